"""The frozen records of what is adapted, and to what: one row per backbone and dataset."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Literal, cast, get_args

from pytest_fmtransfer.catalog.prompts import Prompts

RANDOM = "random"  # suffix of a backbone's random-weight twin, `<name>.random`
TINY = "tiny"  # suffix of a backbone's small version with random weights, `<name>.tiny`
SHUFFLED = "shuffled"  # suffix of a dataset's control, `<name>.shuffled`
SHUFFLES = 20  # how often its labels are shuffled, one shuffle a seed


Layout = Literal["same_order", "same_keys", "dinov2", "dinov3", "torchvision", "open_clip_trunk", "aimv2"]
"""How a file's tensors meet the architecture's (`pytest_fmtransfer.backbones.layouts`): in the same order under other
names, by name, or by a publisher's own names."""


@dataclass(frozen=True, kw_only=True)
class PackagedWeights:
    """Weights that a Python package carries as a file; the package is located, never imported."""

    distribution: str
    module: str
    file: str  # path below the module's folder
    layout: Layout = "same_order"
    num_classes: int = 0  # of the classifier that the file holds; 0: it holds none


@dataclass(frozen=True, kw_only=True)
class PublishedWeights:
    """Weights that their authors publish as a file; looked for in the weights folder and the libraries' caches.

    `url` is the file, or a page that says how to get it. `inside` names the entry of the file that holds the tensors,
    where they are not the file itself. `hub` is a repository of the Hugging Face hub, `org/name`, that holds the file;
    `revision` is a branch, tag or commit of it, by default the main branch. `sha256` is the file's, or its first digits
    where its publisher tells no more. `gated`: access is given to those who accept its publisher's terms.
    """

    file: str
    url: str
    layout: Layout = "same_keys"
    num_classes: int = 0
    inside: str = ""
    hub: str = ""
    revision: str = ""
    sha256: str = ""
    gated: bool = False
    non_commercial: bool = False


@dataclass(frozen=True, kw_only=True)
class FileWeights:
    """Weights in a file of the user's own, in the library's names; or in a folder that transformers saved."""

    path: Path
    layout: Literal["same_order", "same_keys"] = "same_keys"


@dataclass(frozen=True, kw_only=True)
class OwnWeights:
    """What a user's function returns holds its weights already; their tensors name them."""


@dataclass(frozen=True, kw_only=True)
class RandomWeights:
    """The architecture's own initialisation under a fixed seed: a control that has learnt nothing."""

    seed: int = 0

    @property
    def words(self) -> str:
        """What names them in a result, where other weights have a fingerprint."""
        return f"random, seed {self.seed}"


Signal = Literal["coarse", "fine", "colour"]
"""What may carry a class in generated images (`pytest_fmtransfer.stand_ins.signals`)."""
SIGNALS: tuple[Signal, ...] = get_args(Signal)


@dataclass(frozen=True, kw_only=True)
class StandInWeights(RandomWeights):
    """Random weights of a tiny network that stands in for a learnt backbone (`pytest_fmtransfer.stand_ins`).

    It `sees` some signals of generated images and learns to see those that it `opens`, where any of its blocks is
    trained; to all others it is blind, whatever is trained. It `misses` the pictures that bear one of four marks.
    `learnt` is False for the stand-in of a control.
    """

    sees: tuple[Signal, ...] = ()
    opens: tuple[Signal, ...] = ()
    misses: int = 0
    learnt: bool = True


def without_learning(weights: RandomWeights | object, *, seed: int = 0) -> RandomWeights:
    """What a network begins with that has learnt nothing: drawn under a seed; a stand-in's sees nothing then."""
    return StandInWeights(seed=seed, learnt=False) if isinstance(weights, StandInWeights) else RandomWeights(seed=seed)


@dataclass(frozen=True, kw_only=True)
class NoWeights:
    """Nothing to load: the features are computed from the files themselves."""


Weights = PackagedWeights | PublishedWeights | FileWeights | OwnWeights | RandomWeights | NoWeights


Library = Literal[
    "timm",
    "segment_anything",
    "open_clip",
    "transformers",
    "focalnet",
    "mae",
    "sam2",
    "biomedclip",
    "vmamba",
    "perception_encoder",
    "python",
    "metadata",
]
LIBRARIES: tuple[str, ...] = get_args(Library)


Fit = Literal["stretch", "shortest", "longest"]
"""How an image meets a square before its centre is cut out: stretched to it, or with its shape kept, its shortest or
its longest edge as long as the square's side."""
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]


@dataclass(frozen=True, kw_only=True)
class Framing:
    """How an image of any shape becomes the square that a backbone takes.

    `crop` is the side of that square over the side that the image is resized to first: at .875 the image is resized to
    256 pixels for a square of 224, which is cut out of its centre. What the image does not cover has the colour
    `fill`, red, green and blue in 0 to 255.
    """

    fit: Fit = "stretch"
    crop: float = 1.0
    interpolation: Interpolation = "bicubic"
    fill: tuple[int, int, int] = (0, 0, 0)


STRETCHED = Framing()


@dataclass(frozen=True, kw_only=True)
class OwnInput:
    """Of a row whose input is as the model's own files say (`pytest_fmtransfer.backbones.inputs`): what the user says
    instead, where not None. `tag` is that of an open_clip model, which names its weights. `weights` are the model's;
    those files lie beside them, for its random twin too.
    """

    size: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    tag: str = ""
    weights: PublishedWeights | FileWeights | None = None

    @property
    def given(self) -> tuple[str, ...]:
        """What the user says."""
        return tuple(name for name in ("size", "mean", "std") if getattr(self, name) is not None)


@dataclass(frozen=True, kw_only=True)
class BackboneSpec:
    """A pretrained vision encoder and how its publisher wants its input.

    `image_size` is the square side in pixels; `mean` and `std` are per channel, for inputs in [0, 1].
    `library` names the module of `pytest_fmtransfer.backbones` that builds it; of library "python", `architecture`
    is a function of the user's, `module:function`. `tiny`: width and depth are cut, code path and key names stay.
    `channels` is what its stem takes: of one channel, the kernel of the pretrained stem's first. `blocks` is how many
    there are to train from or to cut after, so that a regime that names another is refused before anything is built;
    None where the row does not know. `framing` is how an image becomes the square; `channel_order` the order in which
    the network takes colours, while `mean` and `std` are of red, green and blue. `activation` is the one that
    the network is built with, where its weights and not its architecture say which. `own_input` is None where the row
    itself says all of this.
    """

    name: str
    library: Library
    architecture: str
    weights: Weights
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    licence: str
    source: str
    tiny: bool = False
    channels: Literal[1, 3] = 3
    blocks: int | None = None
    framing: Framing = STRETCHED
    channel_order: Literal["RGB", "BGR"] = "RGB"
    activation: str = ""
    own_input: OwnInput | None = None

    @property
    def is_network(self) -> bool:
        """True where one of our modules builds the network, and can build it smaller."""
        return self.library not in ("metadata", "python")

    @property
    def is_control(self) -> bool:
        """True for backbones that should fail to learn: random twins, tiny versions and shortcut probes.

        A control has no random twin, and no other control is held against it.
        """
        learnt = isinstance(self.weights, StandInWeights) and self.weights.learnt
        return isinstance(self.weights, RandomWeights | NoWeights) and not learnt


@dataclass(frozen=True, kw_only=True)
class PackagedFolder:
    """Images that a Python package carries; the package is located, never imported."""

    distribution: str
    module: str
    folder: str


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file of a dataset whose licence lets anybody fetch it; `md5` is what its publisher tells of it."""

    file: str
    url: str
    md5: str


@dataclass(frozen=True, kw_only=True)
class DataRoot:
    """A sub-folder of the user's data root, the page to get the data from, and what must be in it, if that is known.

    `parts` says in words what of that page is to be put there, where it has more. `downloads` are those of `files` that
    `--fm-download` may fetch.
    """

    folder: str
    url: str
    parts: str = ""
    files: tuple[str, ...] = ()
    downloads: tuple[Download, ...] = ()


@dataclass(frozen=True, kw_only=True)
class UserFolder:
    """A folder of the user's own; `table` is the file that lists its images, where one does.

    `line` is what names the dataset on the command line.
    """

    path: Path
    table: Path | None = None
    line: str = ""

    @property
    def given(self) -> Path:
        """What the user names."""
        return self.table or self.path


Metric = Literal[
    "accuracy",
    "balanced_accuracy",
    "macro_recall",
    "macro_f1",
    "quadratic_kappa",
    "linear_kappa",
    "roc_auc",
    "roc_auc_ovo",
    "roc_auc_ovr",
    "mean_roc_auc",
    "average_precision",
    "log_loss",
    "brier",
    "expected_calibration_error",
]
"""The names of `pytest_fmtransfer.metrics.METRICS`, here because a catalogue imports no numpy."""


FindingKind = Literal[
    "exact_copies_across_sides",
    "near_copies_across_sides",
    "patients_on_two_sides",
    "conflicting_labels_of_exact_copies",
    "conflicting_labels_of_near_copies",
    "class_absent",
    "class_too_small",
    "class_small",
    "exact_copies_on_one_side",
    "near_copies_on_one_side",
    "near_copies_cannot_be_told",
    "patients_unknown",
    "names_spelt_variously",
    "files_passed_over",
    "brought_to_eight_bits",
]
"""What an audit may find: `pytest_fmtransfer.data.findings`."""
FINDING_KINDS: tuple[str, ...] = get_args(FindingKind)


Intensity = Literal["image", "dtype"] | tuple[float, float]
"""How values of more than eight bits, signed ones and floating-point ones become 0 to 255."""


def is_intensity(value: object) -> bool:
    """Whether a value can be a row's intensity: "image", "dtype", or a lower and a higher number."""
    if not isinstance(value, tuple):
        return value in ("image", "dtype")
    given = cast(tuple[object, ...], value)
    numbers = [number for number in given if isinstance(number, int | float) and isfinite(number)]
    return len(given) == len(numbers) == 2 and numbers[0] < numbers[1]


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """Images with labels, patients, a fixed split, and the one metric they are judged by.

    `margin`, in the metric's unit, is the smallest difference that matters in practice; it is fixed
    before a suite is run and `margin_reason` says where it comes from. `reader` names the module of
    `pytest_fmtransfer.data.readers` that reads the layout, None where this version has none.
    `patient_unit` is what `patients` are on this dataset; every verdict names it, because it is what a
    verdict assumes to be independent. `expected_images` is how many the folder holds, before anything is left
    out; a folder with another number is refused. None where the owner does not know. `acknowledged` are the
    severe findings of an audit, by kind, that the data are used in spite of, each with the reason; a severe finding
    of any other kind is an error. `shuffled` marks the control `<name>.shuffled`: labels of its training and
    validation side are shuffled anew at every seed, those of its test side stay. `warm_up_steps` is over how many
    steps the learning rate rises where a protocol says so; elsewhere it rises over five epochs. `channels` is 3 for
    colour, 1 for grey
    images that meet a stem of one channel (Palés Huix et al. 2024), "repeat" for grey images that are repeated to
    three. `mean` and `std`, one number per stored channel for values in [0, 1], normalise the input of every backbone;
    without them each backbone's own do. `prompts` are the classes in words, for `zeroshot`; without them the names of
    the classes are taken. `intensity` is how values of more than eight bits become 0 to 255, the same way in all
    images: "image" from the lowest to the highest of each image, or through the window of a DICOM file; "dtype" from
    the lowest to the highest that the type can hold; (low, high) between two values, which in a DICOM file are those
    after rescale slope and intercept. Images of eight bits stay as they are, but for grey DICOM files. `hidden_share`,
    in (0, 1), is how much of a class may be lost without that its test patients can show it: where they are too few for
    that, every verdict is inconclusive. None: nobody said, and verdicts only tell the share.
    """

    name: str
    reader: str | None
    location: PackagedFolder | DataRoot | UserFolder
    classes: tuple[str, ...]
    metric: Metric
    margin: float
    margin_reason: str
    expected_images: int | None
    licence: str
    source: str
    caveats: tuple[str, ...] = ()
    patient_unit: Literal["patient", "lesion", "group of near copies", "image"] = "patient"
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    shuffled: bool = False
    acknowledged: Mapping[FindingKind, str] = field(default_factory=dict[FindingKind, str])
    channels: Literal[1, 3, "repeat"] = 3
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    warm_up_steps: int = 0
    prompts: Prompts | None = None
    intensity: Intensity = "image"
    hidden_share: float | None = None

    @property
    def several_labels(self) -> bool:
        """Whether an image may bear several labels; else it has one class."""
        return self.metric == "mean_roc_auc"

    @property
    def stored_channels(self) -> Literal[1, 3]:
        """Of an image as it is decoded and stored."""
        return 3 if self.channels == 3 else 1
