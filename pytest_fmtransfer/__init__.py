"""Claims about foundation models for medical images, as regression tests.

The public names are loaded when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_fmtransfer._transfer import transfer as transfer
    from pytest_fmtransfer.catalog.prompts import Prompts as Prompts
    from pytest_fmtransfer.catalog.regime_specs import Profile as Profile
    from pytest_fmtransfer.catalog.regime_specs import RegimeSpec as RegimeSpec
    from pytest_fmtransfer.catalog.registry import Registry as Registry
    from pytest_fmtransfer.catalog.specs import BackboneSpec as BackboneSpec
    from pytest_fmtransfer.catalog.specs import DatasetSpec as DatasetSpec
    from pytest_fmtransfer.catalog.user_dataset import own_folder as own_folder
    from pytest_fmtransfer.catalog.user_dataset import own_table as own_table
    from pytest_fmtransfer.cell import Cell as Cell
    from pytest_fmtransfer.errors import FmTransferError as FmTransferError
    from pytest_fmtransfer.judge.compound import consistently_better as consistently_better
    from pytest_fmtransfer.judge.compound import not_consistently_better as not_consistently_better
    from pytest_fmtransfer.judge.compound import ranks_above as ranks_above
    from pytest_fmtransfer.judge.court import Verdict as Verdict
    from pytest_fmtransfer.judge.gain_claims import gain_consistent_with as gain_consistent_with
    from pytest_fmtransfer.judge.gain_claims import gains_in_order as gains_in_order
    from pytest_fmtransfer.judge.published import Published as Published
    from pytest_fmtransfer.judge.ranks import Rank as Rank
    from pytest_fmtransfer.judge.ranks import ranks as ranks
    from pytest_fmtransfer.judge.relative_gain import RelativeGain as RelativeGain
    from pytest_fmtransfer.judge.relative_gain import relative_gains as relative_gains
    from pytest_fmtransfer.places import Places as Places
    from pytest_fmtransfer.results import Result as Result

_HOMES = {
    "BackboneSpec": "catalog.specs",
    "Cell": "cell",
    "DatasetSpec": "catalog.specs",
    "FmTransferError": "errors",
    "Places": "places",
    "Prompts": "catalog.prompts",
    "Published": "judge.published",
    "Profile": "catalog.regime_specs",
    "Rank": "judge.ranks",
    "RegimeSpec": "catalog.regime_specs",
    "Registry": "catalog.registry",
    "RelativeGain": "judge.relative_gain",
    "Result": "results",
    "Verdict": "judge.court",
    "consistently_better": "judge.compound",
    "gain_consistent_with": "judge.gain_claims",
    "gains_in_order": "judge.gain_claims",
    "not_consistently_better": "judge.compound",
    "own_folder": "catalog.user_dataset",
    "own_table": "catalog.user_dataset",
    "ranks": "judge.ranks",
    "ranks_above": "judge.compound",
    "relative_gains": "judge.relative_gain",
    "transfer": "_transfer",
}
__all__ = (
    "BackboneSpec",
    "Cell",
    "DatasetSpec",
    "FmTransferError",
    "Places",
    "Profile",
    "Prompts",
    "Published",
    "Rank",
    "RegimeSpec",
    "Registry",
    "RelativeGain",
    "Result",
    "Verdict",
    "consistently_better",
    "gain_consistent_with",
    "gains_in_order",
    "not_consistently_better",
    "own_folder",
    "own_table",
    "ranks",
    "ranks_above",
    "relative_gains",
    "transfer",
)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
