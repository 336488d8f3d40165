"""What `medmnist.INFO` says of the twelve two-dimensional sets of MedMNIST v2 and +.

Copied from the package medmnist 3.0.2, and a test holds the two together: a catalogue imports no package that imports
torch. The range of published scores, which margins follow, is added.
"""

from dataclasses import dataclass
from math import floor
from typing import Literal

Task = Literal["multi-class", "binary-class", "multi-label, binary-class", "ordinal-regression"]


@dataclass(frozen=True, kw_only=True)
class Collection:
    """A set as `medmnist.INFO` tells of it; `origin` is its name there for what the images were made of.

    `samples` are images for training, validation and test; `md5` are of the files, by size. `worst` and `best` are the
    lowest and highest AUC of seven backbones, which `margin` follows.
    """

    name: str
    origin: str
    task: Task
    labels: tuple[str, ...]
    channels: Literal[1, 3]
    samples: tuple[int, int, int]
    md5: tuple[str, str, str, str]
    relations: str
    worst: float
    best: float
    licence: str = "CC BY 4.0"

    @property
    def margin(self) -> float:
        return max(1, floor(50 * (self.best - self.worst) + 0.5)) * 0.005


def _labels(text: str) -> tuple[str, ...]:
    return tuple(text.split("; "))


def _sums(text: str) -> tuple[str, str, str, str]:
    small, middle, large, largest = text.split()
    return small, middle, large, largest


_ORGANS = _labels(
    "bladder; femur-left; femur-right; heart; kidney-left; kidney-right; liver; lung-left; lung-right; pancreas; spleen"
)
_ORGAN_RELATIONS = (
    "no scan ids: each of 201 CT scans stands on one side but gives several slices, so that intervals which take "
    "images for independent are too narrow"
)
_NO_IDS = "no patient ids: images of one patient may be on two sides, and intervals take images for independent"

COLLECTIONS = (
    Collection(
        name="pathmnist",
        origin="NCT-CRC-HE-100K",
        task="multi-class",
        labels=_labels(
            "adipose; background; debris; lymphocytes; mucus; smooth muscle; normal colon mucosa; "
            "cancer-associated stroma; colorectal adenocarcinoma epithelium"
        ),
        channels=3,
        samples=(89996, 10004, 7180),
        md5=_sums(
            "a8b06965200029087d5bd730944a56c1 55aa9c1e0525abe5a6b9d8343a507616 ac42d08fb904d92c244187169d1fd1d9 "
            "2c51a510bcdc9cf8ddb2af93af1eadec"
        ),
        relations=(
            "no slide or patient ids: training and validation side are patches of the same collection, so that patches "
            "of one slide may be on both; the test side is from another clinical centre"
        ),
        worst=0.9824,
        best=0.9979,
    ),
    Collection(
        name="chestmnist",
        origin="NIH-ChestXray14",
        task="multi-label, binary-class",
        labels=_labels(
            "atelectasis; cardiomegaly; effusion; infiltration; mass; nodule; pneumonia; pneumothorax; "
            "consolidation; edema; emphysema; fibrosis; pleural; hernia"
        ),
        channels=1,
        samples=(78468, 11219, 22433),
        md5=_sums(
            "02c8a6516a18b556561a56cbdd36c4a8 9de6cd0b934ebb5b7426cfba5efbae16 db107e5590b27930b62dbaf558aebee3 "
            "45bd33e6f06c3e8cdb481c74a89152aa"
        ),
        relations=(
            "no patient ids: 112,120 images are of 30,805 patients, so that intervals which take images for "
            "independent are too narrow; labels were mined from reports"
        ),
        worst=0.7382,
        best=0.8222,
    ),
    Collection(
        name="dermamnist",
        origin="HAM10000",
        task="multi-class",
        labels=_labels(
            "actinic keratoses and intraepithelial carcinoma; basal cell carcinoma; benign keratosis-like "
            "lesions; dermatofibroma; melanoma; melanocytic nevi; vascular lesions"
        ),
        channels=3,
        samples=(7007, 1003, 2005),
        md5=_sums(
            "0744692d530f8e62ec473284d019b0c7 b70a2f5635c6199aeaa28c31d7202e1f 2defd784463fa5243564e855ed717de1 "
            "8974907d8e169bef5f5b96bc506ae45d"
        ),
        relations=(
            "no lesion ids, and images of one lesion are on two sides (Abhishek et al., Scientific Data 2025, "
            "arXiv:2401.14497)"
        ),
        worst=0.8835,
        best=0.965,
        licence="CC BY-NC 4.0",
    ),
    Collection(
        name="octmnist",
        origin="optical coherence tomography (OCT) images for retinal diseases",
        task="multi-class",
        labels=_labels("choroidal neovascularization; diabetic macular edema; drusen; normal"),
        channels=1,
        samples=(97477, 10832, 1000),
        md5=_sums(
            "c68d92d5b585d8d81f7112f81e2d0842 e229e9440236b774d9f0dfef9d07bdaf 0a97e76651ace45c5d943ee3f65b63ae "
            "abc493b6d529d5de7569faaef2773ba3"
        ),
        relations=_NO_IDS,
        worst=0.921,
        best=0.9926,
    ),
    Collection(
        name="pneumoniamnist",
        origin="pediatric chest X-Ray images",
        task="binary-class",
        labels=_labels("normal; pneumonia"),
        channels=1,
        samples=(4708, 524, 624),
        md5=_sums(
            "28209eda62fecd6e6a2d98b1501bb15f 8f4eceb4ccffa70c672198ea285246c6 05b46931834c231683c68f40c47b2971 "
            "d6a3c71de1b945ea11211b03746c1fe1"
        ),
        relations=_NO_IDS,
        worst=0.9453,
        best=0.9804,
    ),
    Collection(
        name="retinamnist",
        origin="DeepDRiD",
        task="ordinal-regression",
        labels=_labels("0; 1; 2; 3; 4"),
        channels=3,
        samples=(1080, 120, 400),
        md5=_sums(
            "bd4c0672f1bba3e3a89f0e4e876791e4 afda852cc34dcda56f86ad2b2457dbcc e48e916a24454daf90583d4e6efb1a18 "
            "eae7e3b6f3fcbda4ae613ebdcbe35348"
        ),
        relations=f"{_NO_IDS}; the official metrics ignore that the five levels are ordered",
        worst=0.7041,
        best=0.8316,
    ),
    Collection(
        name="breastmnist",
        origin="breast ultrasound images",
        task="binary-class",
        labels=_labels("malignant; normal, benign"),
        channels=1,
        samples=(546, 78, 156),
        md5=_sums(
            "750601b1f35ba3300ea97c75c52ff8f6 742edef2a1fd1524b2efff4bd7ba9364 363e4b3f8d712e9b5de15470a2aaadf1 "
            "b56378a6eefa9fed602bb16d192d4c8b"
        ),
        relations=_NO_IDS,
        worst=0.7753,
        best=0.8994,
    ),
    Collection(
        name="bloodmnist",
        origin="individual normal cells",
        task="multi-class",
        labels=_labels(
            "basophil; eosinophil; erythroblast; immature granulocytes(myelocytes, metamyelocytes and "
            "promyelocytes); lymphocyte; monocyte; neutrophil; platelet"
        ),
        channels=3,
        samples=(11959, 1712, 3421),
        md5=_sums(
            "7053d0359d879ad8a5505303e11de1dc 2b94928a2ae4916078ca51e05b6b800b adace1e0ed228fccda1f39692059dd4c "
            "b718ff6835fcbdb22ba9eacccd7b2601"
        ),
        relations=_NO_IDS,
        worst=0.9924,
        best=0.9995,
    ),
    Collection(
        name="tissuemnist",
        origin="BBBC051",
        task="multi-class",
        labels=_labels(
            "Collecting Duct, Connecting Tubule; Distal Convoluted Tubule; Glomerular endothelial cells; "
            "Interstitial endothelial cells; Leukocytes; Podocytes; Proximal Tubule Segments; Thick Ascending "
            "Limb"
        ),
        channels=1,
        samples=(165466, 23640, 47280),
        md5=_sums(
            "ebe78ee8b05294063de985d821c1c34b 123ece2eba09d0aa5d698fda57103344 61b955355d7425a89687b06cca3ce0c2 "
            "b077128c4a949f0a4eb01517f9037b9c"
        ),
        relations=(
            "no specimen ids: cells of 3 specimens were split 7:1:2, so that cells of one specimen may be on every side"
        ),
        worst=0.9059,
        best=0.9525,
    ),
    Collection(
        name="organamnist",
        origin="Liver Tumor Segmentation Benchmark (LiTS)",
        task="multi-class",
        labels=_ORGANS,
        channels=1,
        samples=(34561, 6491, 17778),
        md5=_sums(
            "68e3f8846a6bd62f0c9bf841c0d9eacc 2dcccc29b88e6da5a01161ef20cda288 eeae80d0a227a8d099027e1b3cfd3b60 "
            "50747347e05c87dd3aaf92c49f9f3170"
        ),
        relations=_ORGAN_RELATIONS,
        worst=0.993,
        best=0.9991,
    ),
    Collection(
        name="organcmnist",
        origin="Liver Tumor Segmentation Benchmark (LiTS)",
        task="multi-class",
        labels=_ORGANS,
        channels=1,
        samples=(12975, 2392, 8216),
        md5=_sums(
            "b9ceb9546e10131b32923c5bbeaea2b1 3ce34a8724ea6f548e6db4744d03b6a9 773c1f009daa3fe5d9a2a201b2a7ed94 "
            "050f5e875dc056f6768abf94ec9995d1"
        ),
        relations=_ORGAN_RELATIONS,
        worst=0.9914,
        best=0.9978,
    ),
    Collection(
        name="organsmnist",
        origin="Liver Tumor Segmentation Benchmark (LiTS)",
        task="multi-class",
        labels=_ORGANS,
        channels=1,
        samples=(13932, 2452, 8827),
        md5=_sums(
            "9ab87b696fb54e2a387ebe992d6ed5f1 53a6d115339d874c25e309a994ff46d3 ded0c5fa01a95dc4978b956f613e9b8e "
            "b354719e553fbbb2513d5533f52a4cb1"
        ),
        relations=_ORGAN_RELATIONS,
        worst=0.9723,
        best=0.9833,
    ),
)
