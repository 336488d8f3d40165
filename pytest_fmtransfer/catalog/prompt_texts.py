"""The prompts of our own datasets, one set for all rows that show the same classes.

The wording is ours, written from what the classes mean and before any score was seen, except where `source` names
another. Nobody has tuned it on these images: it is not the best that a model can do with words.
"""

from collections.abc import Mapping

from pytest_fmtransfer.catalog.prompts import Prompts

OURS = "our own wording, written before any score was seen"
_PAIRS = f"{OURS}; pairs of a finding and 'no' finding as in Tiu et al., Nature Biomedical Engineering 2022"

_FUNDUS = (
    "a fundus photograph of {}.",
    "a retinal image with {}.",
    "a colour photograph of the retina showing {}.",
    "an ophthalmoscopy image of an eye with {}.",
)
_MAMMOGRAM = ("a mammogram of {}.", "a mammogram showing {}.", "an x-ray image of {}.", "a screening mammogram of {}.")
_SKIN = (
    "a dermoscopic image of {}.",
    "a dermatoscopy photograph of {}.",
    "a close-up photograph of a skin lesion, {}.",
    "a skin lesion diagnosed as {}.",
)
_CHEST = ("a chest x-ray with {}.", "a chest radiograph showing {}.", "a frontal x-ray of the chest with {}.")
_HISTOLOGY = (
    "a histopathology slide showing {}.",
    "a histopathology image of {}.",
    "a microscope image of {} stained with haematoxylin and eosin.",
    "an H&E stained image of {}.",
)
_CT = ("a CT scan of the {}.", "an abdominal CT slice showing the {}.", "a computed tomography image of the {}.")


def _pairs(present: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Phrases of an image without each label: 'no' before what it shows."""
    return {name: tuple(f"no {phrase}" for phrase in phrases) for name, phrases in present.items()}


BR35H = Prompts(
    templates=("an MRI scan of {}.", "a brain MRI showing {}.", "a magnetic resonance image of {}."),
    phrases={
        "no tumour": ("a healthy brain", "a normal brain without a tumour"),
        "tumour": ("a brain tumour", "a brain with a tumour"),
    },
    source=OURS,
)
APTOS2019 = Prompts(
    templates=_FUNDUS,
    phrases={
        "no DR": ("no diabetic retinopathy", "a healthy retina"),
        "mild": ("mild diabetic retinopathy", "diabetic retinopathy with few microaneurysms"),
        "moderate": ("moderate diabetic retinopathy", "moderate nonproliferative diabetic retinopathy"),
        "severe": ("severe diabetic retinopathy", "severe nonproliferative diabetic retinopathy"),
        "proliferative": ("proliferative diabetic retinopathy", "diabetic retinopathy with neovascularization"),
    },
    source=f"{OURS}; the grades, and 'a retinal image with', as in LAION's CLIP_benchmark",
)
DDSM = Prompts(
    templates=_MAMMOGRAM,
    phrases={
        "normal": ("a normal breast", "a healthy breast without abnormality"),
        "abnormal": ("a breast with an abnormality", "a breast with a mass", "a breast with calcifications"),
    },
    source=OURS,
)
CBIS_DDSM = Prompts(
    templates=_MAMMOGRAM,
    phrases={
        "benign": ("a breast with a benign mass", "a breast with benign calcifications"),
        "malignant": ("a breast with a malignant mass", "a breast with malignant calcifications", "breast cancer"),
    },
    source=OURS,
)
ISIC2019 = Prompts(
    templates=_SKIN,
    phrases={
        "MEL": ("melanoma", "malignant melanoma"),
        "NV": ("a melanocytic nevus", "a benign mole"),
        "BCC": ("basal cell carcinoma",),
        "AK": ("actinic keratosis",),
        "BKL": ("benign keratosis", "seborrheic keratosis", "solar lentigo"),
        "DF": ("dermatofibroma",),
        "VASC": ("a vascular lesion", "a hemangioma"),
        "SCC": ("squamous cell carcinoma",),
    },
    source=OURS,
)
_CHEXPERT = {
    "Enlarged Cardiomediastinum": ("enlarged cardiomediastinum", "widened mediastinum"),
    "Cardiomegaly": ("cardiomegaly", "enlarged heart"),
    "Lung Opacity": ("lung opacity", "airspace opacity"),
    "Lung Lesion": ("lung lesion", "lung nodule or mass"),
    "Edema": ("pulmonary edema",),
    "Consolidation": ("consolidation",),
    "Pneumonia": ("pneumonia",),
    "Atelectasis": ("atelectasis",),
    "Pneumothorax": ("pneumothorax",),
    "Pleural Effusion": ("pleural effusion",),
    "Pleural Other": ("pleural thickening", "pleural scarring"),
    "Fracture": ("rib fracture", "bone fracture"),
    "Support Devices": ("support devices", "tubes or lines", "pacemaker"),
}
CHEXPERT = Prompts(
    templates=_CHEST,
    phrases={"No Finding": ("no finding", "normal lungs and heart")} | _CHEXPERT,
    absent={"No Finding": ("an abnormal finding", "abnormal lungs or heart")} | _pairs(_CHEXPERT),
    source=_PAIRS,
)
PATCHCAMELYON = Prompts(
    templates=_HISTOLOGY,
    phrases={
        "no metastasis": ("lymph node", "normal lymph node tissue"),
        "metastasis": ("lymph node containing metastatic tumor tissue", "lymph node metastasis of breast cancer"),
    },
    source=f"{OURS}; the first phrase of each class as in Radford et al. 2021, github.com/openai/CLIP data/prompts.md",
)

_CHEST14 = {
    "atelectasis": ("atelectasis",),
    "cardiomegaly": ("cardiomegaly", "enlarged heart"),
    "effusion": ("pleural effusion",),
    "infiltration": ("pulmonary infiltration", "lung infiltrates"),
    "mass": ("lung mass",),
    "nodule": ("lung nodule",),
    "pneumonia": ("pneumonia",),
    "pneumothorax": ("pneumothorax",),
    "consolidation": ("consolidation",),
    "edema": ("pulmonary edema",),
    "emphysema": ("emphysema",),
    "fibrosis": ("pulmonary fibrosis",),
    "pleural": ("pleural thickening",),
    "hernia": ("hiatal hernia", "diaphragmatic hernia"),
}
_ORGANS = {
    "bladder": ("urinary bladder",),
    "femur-left": ("left femur", "left hip bone and femoral head"),
    "femur-right": ("right femur", "right hip bone and femoral head"),
    "heart": ("heart",),
    "kidney-left": ("left kidney",),
    "kidney-right": ("right kidney",),
    "liver": ("liver",),
    "lung-left": ("left lung",),
    "lung-right": ("right lung",),
    "pancreas": ("pancreas",),
    "spleen": ("spleen",),
}
_GRADES = {str(grade): phrases for grade, phrases in enumerate(APTOS2019.phrases.values())}

MEDMNIST = {
    "pathmnist": Prompts(
        templates=_HISTOLOGY,
        phrases={
            "adipose": ("adipose tissue", "fat tissue"),
            "background": ("background without tissue", "an empty glass slide"),
            "debris": ("debris", "necrotic cell debris"),
            "lymphocytes": ("lymphocytes",),
            "mucus": ("mucus",),
            "smooth muscle": ("smooth muscle",),
            "normal colon mucosa": ("normal colon mucosa",),
            "cancer-associated stroma": ("cancer-associated stroma",),
            "colorectal adenocarcinoma epithelium": ("colorectal adenocarcinoma epithelium", "colorectal cancer"),
        },
        source=OURS,
    ),
    "chestmnist": Prompts(templates=_CHEST, phrases=_CHEST14, absent=_pairs(_CHEST14), source=_PAIRS),
    "dermamnist": Prompts(
        templates=_SKIN,
        phrases={
            "actinic keratoses and intraepithelial carcinoma": ("actinic keratosis", "intraepithelial carcinoma"),
            "basal cell carcinoma": ("basal cell carcinoma",),
            "benign keratosis-like lesions": ("benign keratosis", "seborrheic keratosis", "solar lentigo"),
            "dermatofibroma": ("dermatofibroma",),
            "melanoma": ("melanoma", "malignant melanoma"),
            "melanocytic nevi": ("a melanocytic nevus", "a benign mole"),
            "vascular lesions": ("a vascular lesion", "a hemangioma"),
        },
        source=OURS,
    ),
    "octmnist": Prompts(
        templates=("an OCT scan of {}.", "a retinal OCT image showing {}.", "optical coherence tomography of {}."),
        phrases={
            "choroidal neovascularization": ("choroidal neovascularization",),
            "diabetic macular edema": ("diabetic macular edema",),
            "drusen": ("drusen", "a retina with drusen"),
            "normal": ("a normal retina", "a healthy retina"),
        },
        source=OURS,
    ),
    "pneumoniamnist": Prompts(
        templates=("a chest x-ray of {}.", "a chest radiograph of {}.", "a pediatric chest x-ray of {}."),
        phrases={
            "normal": ("a healthy child with clear lungs", "normal lungs"),
            "pneumonia": ("a child with pneumonia", "lungs with pneumonia"),
        },
        source=OURS,
    ),
    "retinamnist": Prompts(templates=_FUNDUS, phrases=_GRADES, source=APTOS2019.source),
    "breastmnist": Prompts(
        templates=("an ultrasound image of {}.", "a breast ultrasound showing {}.", "a sonogram of {}."),
        phrases={
            "malignant": ("a malignant breast tumor", "breast cancer"),
            "normal, benign": ("a normal breast", "a benign breast tumor"),
        },
        source=OURS,
    ),
    "bloodmnist": Prompts(
        templates=("a microscope image of {}.", "a blood smear showing {}.", "a peripheral blood cell, {}."),
        phrases={
            "basophil": ("a basophil",),
            "eosinophil": ("an eosinophil",),
            "erythroblast": ("an erythroblast", "a nucleated red blood cell"),
            "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)": (
                "an immature granulocyte",
                "a myelocyte",
                "a metamyelocyte",
                "a promyelocyte",
            ),
            "lymphocyte": ("a lymphocyte",),
            "monocyte": ("a monocyte",),
            "neutrophil": ("a neutrophil",),
            "platelet": ("a platelet",),
        },
        source=OURS,
    ),
    "tissuemnist": Prompts(
        templates=(
            "a microscope image of {}.",
            "a fluorescence microscopy image of {}.",
            "human kidney cortex cells: {}.",
        ),
        phrases={
            "Collecting Duct, Connecting Tubule": ("the collecting duct", "the connecting tubule"),
            "Distal Convoluted Tubule": ("the distal convoluted tubule",),
            "Glomerular endothelial cells": ("glomerular endothelial cells",),
            "Interstitial endothelial cells": ("interstitial endothelial cells",),
            "Leukocytes": ("leukocytes", "white blood cells"),
            "Podocytes": ("podocytes",),
            "Proximal Tubule Segments": ("the proximal tubule",),
            "Thick Ascending Limb": ("the thick ascending limb",),
        },
        source=OURS,
    ),
    **{
        name: Prompts(templates=_CT, phrases=_ORGANS, source=OURS)
        for name in ("organamnist", "organcmnist", "organsmnist")
    },
}
"""By the name of the collection, at every size."""
