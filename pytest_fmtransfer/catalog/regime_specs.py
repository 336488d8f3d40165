"""The frozen records of how a backbone is adapted, and of how much is spent on that: one row per regime and profile."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pytest_fmtransfer.catalog.regime_settings import FewShotSettings, RegimeSettings, method_of


@dataclass(frozen=True, kw_only=True)
class SeedVariance:
    """The variance of a metric over single runs, recorded beforehand, with its degrees of freedom and source."""

    variance: float
    degrees: int
    source: str


@dataclass(frozen=True, kw_only=True)
class RegimeSpec:
    """A way of adapting a backbone to a dataset.

    `seeded` is True where training depends on a seed. `tolerance` is how far rounding on another processor
    may move a score of a regime that does not, in robust standard deviations of the stored scores, the largest
    over images; `metric_tolerance` how far it may move the metric, which is what runs at other seeds are compared
    by too. `python benchmarks/tolerance.py` prints what was measured. `seed_variances` by dataset let a claim be
    judged on a single run. `seeds` is at how many it runs where nothing else is asked, whatever the profile says.
    `costly`: a run takes so long that chance is told from as many shuffled labellings as there are seeds.
    """

    name: str
    settings: RegimeSettings
    seeded: bool
    tolerance: float
    metric_tolerance: float
    summary: str
    seed_variances: Mapping[str, SeedVariance] = field(default_factory=dict[str, SeedVariance])
    seeds: int | None = None
    costly: bool = False

    @property
    def method(self) -> str:
        """The module of `pytest_fmtransfer.adapt` that runs it."""
        return method_of(self.settings)

    @property
    def draws(self) -> bool:
        """Whether its seed draws the training images, and the same ones for every backbone."""
        return isinstance(self.settings, FewShotSettings)


@dataclass(frozen=True, kw_only=True)
class Caps:
    """At most so many images of each side are used; of every class alike, as far as it has them."""

    train: int
    validation: int
    test: int


PrecisionRule = Literal["bfloat16_where_native", "float32"]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """How much is spent: images, epochs, seeds, size and dtype. They move scores, so a question holds them.

    `bfloat16_where_native`: bfloat16 autocast on processors with bfloat16 instructions, float32 elsewhere; for forward
    passes whose features are kept, and for training (`training_dtype`; tested without). It is not negligible: on
    efficientnet_lite0 it moved features by 5 % and the kNN AUC by .011
    (`python benchmarks/tolerance.py efficientnet_lite0`). `caps` are None where every image counts; `epochs` of
    training a network, `scratch_epochs` of one with random weights and `head_epochs` of training a head on stored
    features, `batch` and `size`, the side in pixels, are None where the regime's and the backbone's own hold (and
    `epochs`, for `scratch_epochs`), and are upper limits elsewhere. `learning_rate` stands in for that of every regime
    that trains by gradient, sweeps apart; None leaves each its own.
    """

    name: str
    forward_dtype: PrecisionRule
    training_dtype: PrecisionRule = "float32"
    caps: Caps | None = None
    epochs: int | None = None
    scratch_epochs: int | None = None
    head_epochs: int | None = None
    batch: int | None = None
    size: int | None = None
    seeds: int = 3
    learning_rate: float | None = None
