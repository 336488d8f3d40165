"""The settings of each kind of regime, as frozen records: what a question holds of how a backbone was adapted."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

HeadKind = Literal["linear", "attention", "deitb", "small_random"]
"""What is put on a backbone. `linear`: one layer on the pooled embedding. `attention`: one learnt query over tokens.
`deitb`: a whole ImageNet-supervised DeiT-B over tokens (Palés Huix et al. 2024). `small_random`: the same construction
in small, from random weights."""

Trained = Literal["head", "all", "from_block", "lora"]
"""What learns: the head alone, everything, the head and the blocks from one on, or the head and low-rank additions."""


@dataclass(frozen=True, kw_only=True)
class KnnSettings:
    """Cosine nearest neighbours, votes weighted by exp(similarity / temperature).

    Temperature: Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination",
    CVPR 2018, section 3.4. k is chosen on validation among `neighbours`.
    """

    neighbours: tuple[int, ...] = (1, 2, 5, 10, 20, 50)
    temperature: float = 0.07


@dataclass(frozen=True, kw_only=True)
class LinearProbeSettings:
    """L2-regularised logistic regression on standardised features.

    The grid of C follows Kornblith, Shlens and Le, "Do Better ImageNet Models Transfer Better?",
    CVPR 2019, appendix A: `steps` values, logarithmically spaced from `smallest_c` to `largest_c`.
    """

    smallest_c: float = 1e-6
    largest_c: float = 1e5
    steps: int = 45
    tolerance: float = 1e-4
    max_iterations: int = 1000


@dataclass(frozen=True, kw_only=True)
class RidgeSettings:
    """Least squares on standardised features with an L2 penalty λ, chosen on validation.

    λ is in units of the mean eigenvalue of the features' covariance; `steps` values, logarithmically spaced.
    """

    smallest_penalty: float = 1e-6
    largest_penalty: float = 1e4
    steps: int = 41


@dataclass(frozen=True, kw_only=True)
class FewShotSettings:
    """A linear probe on `shots` training images of each class; the seed is the draw."""

    shots: int
    probe: LinearProbeSettings = LinearProbeSettings()


@dataclass(frozen=True, kw_only=True)
class ZeroShotSettings:
    """No training: an image's class is the one whose description lies nearest in a space shared with text.

    `prompts` says which are taken: "ensemble", every template with every phrase of a class, or "single", the first with
    the first. `templates` that are given stand in for those of the dataset. `phrases`, a row for each class, and where
    an image may bear several labels `absent`, of an image without each, are the dataset's (`resolving.settings_on`).
    """

    prompts: Literal["ensemble", "single"] = "ensemble"
    templates: tuple[str, ...] = ()
    phrases: tuple[tuple[str, ...], ...] = ()
    absent: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Training by gradient, as Palés Huix et al. 2024 do it where nothing else is said.

    `first_block` is the first that learns (`trained` is "from_block"), `cut_after` the last that is kept; blocks count
    from 0. `views` of a backbone that does not learn: how many augmented views of each training image are stored and
    cycled over the epochs; "every": a new one in every epoch. `warm_up_steps` above 0 stand in for `warm_up_epochs`.
    `rates` and `decays` make a sweep: every pair is trained, on the same batches, and validation chooses.
    """

    head: HeadKind = "linear"
    trained: Trained = "all"
    first_block: int | None = None
    cut_after: int | None = None
    rank: int | None = None
    initial: Literal["pretrained", "random"] = "pretrained"
    recipe: Literal["huix2024", "plain", "none"] = "huix2024"
    views: int | Literal["every"] = "every"
    learning_rate: float = 1e-4
    weight_decay: float = 1e-5
    clip: float = 1.0
    batch: int = 64
    epochs: int = 100
    warm_up_epochs: float = 5.0
    warm_up_steps: int = 0
    rates: tuple[float, ...] = ()
    decays: tuple[float, ...] = ()

    @property
    def head_takes(self) -> Literal["pooled", "tokens"]:
        """Which of a backbone's features its head is given."""
        return "pooled" if self.head == "linear" else "tokens"

    @property
    def sees_anew(self) -> bool:
        """Whether a backbone that does not learn is passed in every epoch, because no view of an image comes again."""
        return self.views == "every" and self.recipe != "none"

    @property
    def stored_views(self) -> int:
        """How many views of the training side a backbone that does not learn is passed for, and its features kept."""
        if self.recipe == "none":  # one is like another
            return 1
        return 0 if self.views == "every" else min(self.views, self.epochs)


RegimeSettings = (
    KnnSettings | LinearProbeSettings | RidgeSettings | FewShotSettings | ZeroShotSettings | TrainingSettings
)


def method_of(settings: RegimeSettings) -> str:
    """The module of `pytest_fmtransfer.adapt` that runs a regime with these settings."""
    match settings:
        case KnnSettings():
            return "knn"
        case LinearProbeSettings():
            return "linear_probe"
        case RidgeSettings():
            return "ridge"
        case FewShotSettings():
            return "fewshot"
        case ZeroShotSettings():
            return "zeroshot"
        case TrainingSettings(trained="head"):
            return "frozen"
        case TrainingSettings():
            return "finetune"


def plain(settings: RegimeSettings) -> dict[str, Any]:
    """As JSON would give them back: what a question holds."""
    return json.loads(json.dumps(asdict(settings)))
