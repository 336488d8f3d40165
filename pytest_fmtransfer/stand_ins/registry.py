"""A catalogue of stand-ins: every look-up gives the stand-in of what is registered under a name."""

from typing import TypeVar, cast

from pytest_fmtransfer.catalog.regime_specs import Profile, RegimeSpec
from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import BackboneSpec, DatasetSpec
from pytest_fmtransfer.stand_ins import planted

S = TypeVar("S", BackboneSpec, DatasetSpec, RegimeSpec, Profile)


class StandIns(Registry):
    """Rows are registered as ever, also late ones of a conftest; regimes are what they are."""

    def backbone(self, name: str) -> BackboneSpec:
        return planted.stands_in(super().backbone(name))

    def dataset(self, name: str) -> DatasetSpec:
        return planted.generated(super().dataset(name))

    def profile(self, name: str) -> Profile:
        return planted.under(super().profile(name))

    def rows(self, kind: type[S]) -> tuple[S, ...]:
        of_kind = {BackboneSpec: planted.stands_in, DatasetSpec: planted.generated, Profile: planted.under}
        change = of_kind.get(kind)
        return tuple(cast(S, change(row)) if change else row for row in super().rows(kind))  # pyright: ignore
