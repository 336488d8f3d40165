"""The twelve two-dimensional sets of MedMNIST v2 and +, at 28, 64, 128 and 224 pixels: one row for each of their files.

The headline is the official AUC, `medmnist.evaluator.getAUC`: of two classes `roc_auc`, of more `roc_auc_ovr`, which is
the mean over classes of each against the rest, of labels `mean_roc_auc`. The official accuracy is our `accuracy`, the
argmax of the scores; for ChestMNIST it is the mean over labels of the accuracy at a probability above 0.5. Both ignore
that RetinaMNIST's five levels are ordered. Where a label of ChestMNIST has no positive or no negative image, the
official AUC is undefined and ours counts 0.5.
"""

from pytest_fmtransfer.catalog import prompt_texts
from pytest_fmtransfer.catalog.medmnist_sets import COLLECTIONS, Collection, Task
from pytest_fmtransfer.catalog.specs import DataRoot, DatasetSpec, Download, Metric

SIZES = (28, 64, 128, 224)
RECORD = "https://zenodo.org/records/10519652"
FOLDER = "MedMNIST"
METRICS: dict[Task, Metric] = {
    "multi-class": "roc_auc_ovr",
    "binary-class": "roc_auc",
    "multi-label, binary-class": "mean_roc_auc",
    "ordinal-regression": "roc_auc_ovr",
}


def file_name(collection: Collection, size: int) -> str:
    """`<name>.npz` at 28 pixels, `<name>_<size>.npz` at the others."""
    return f"{collection.name}.npz" if size == SIZES[0] else f"{collection.name}_{size}.npz"


def _row(collection: Collection, size: int) -> DatasetSpec:
    file = file_name(collection, size)
    url = f"{RECORD}/files/{file}?download=1"
    return DatasetSpec(
        name=f"medmnist.{file.removesuffix('.npz')}",
        reader="medmnist",
        location=DataRoot(
            folder=FOLDER,
            url=url,
            files=(file,),
            downloads=(Download(file=file, url=url, md5=collection.md5[SIZES.index(size)]),),
        ),
        classes=collection.labels,
        metric=METRICS[collection.task],
        margin=collection.margin,
        margin_reason=(
            "practical, nobody's measurement: a quarter of the range of seven backbones fine-tuned at 224 px in "
            f"Doerrich et al. 2025, arXiv:2404.15786 ({collection.worst:.4f} to {collection.best:.4f}), in steps of "
            ".005 and no less; the same at every size"
        ),
        expected_images=sum(collection.samples),
        licence=collection.licence,
        source=f"{collection.origin}, as in MedMNIST+ (Yang et al., Scientific Data 2023; {RECORD})",
        caveats=(collection.relations,),
        patient_unit="image",
        options={"file": file, "samples": " ".join(map(str, collection.samples)), "side": str(size)},
        channels=3 if collection.channels == 3 else "repeat",
        prompts=prompt_texts.MEDMNIST[collection.name],
    )


MEDMNIST = tuple(_row(collection, size) for collection in COLLECTIONS for size in SIZES)
