"""What the benchmark compares, under the names that the catalogue has for it.

Ten networks under three training schemes on twelve data sets of four sizes, of which 224 px is here. AlexNet has no
row (docs/wanted.md). The released code (github.com/sdoerrich97/rethinking-model-prototyping-MedMNISTPlus) does not
augment, and neither do the regimes here: its end-to-end training is `finetune_linear.unaugmented`; its linear probing,
one layer trained by AdamW on the frozen network, `frozen_linear.unaugmented`; its k-NN, at k = 11, `knn`, which chooses
k on the validation side.

The abstract's "higher image resolutions do not consistently improve performance beyond a certain threshold" is not
tested: files of two sizes are two data sets here, and results on other images are not compared.
"""

SOURCE = "arXiv:2404.15786"

DATASETS = tuple(
    f"medmnist.{name}mnist_224"
    for name in (
        *("blood", "breast", "chest", "derma", "oct", "organa", "organc", "organs", "path", "pneumonia", "retina"),
        "tissue",
    )
)
CNNS = ("imagenet_densenet121", "imagenet_efficientnetb4", "imagenet_resnet18", "imagenet_vgg16")
SUPERVISED_VIT = "imagenet_vitb16"
FOUNDATION = ("dino_vitb16", "eva02_vitb16", "openclip_vitb16_in1k", "sam_vitb16")
MODELS = (*CNNS, SUPERVISED_VIT, *FOUNDATION)

END_TO_END, PROBED, KNN = "finetune_linear.unaugmented", "frozen_linear.unaugmented", "knn"
