"""What the paper compares, under the names that the catalogue has for it.

One convolutional network, ResNet-50, and one transformer, DeiT-S, from random and from ImageNet-supervised weights, on
three data sets and splits that Palés Huix et al. 2024 took over. The released code (github.com/ChrisMats/
medical_transformers) trains with Adam at 1e-4 under a cosine; cells here follow the later paper's recipe.

The abstract goes on: "and outperform their CNN counterparts when pretrained using self-supervision". Its weights are
ImageNet's, trained on by DINO, and are not published (docs/wanted.md): no test claims it, though the table's numbers of
it are in `suites/published`.
"""

SOURCE = "arXiv:2108.09038"

DATASETS = ("aptos2019", "ddsm", "isic2019")
CNN, TRANSFORMER = "imagenet_resnet50", "imagenet_deits16"
MODELS = (CNN, TRANSFORMER)
RANDOM, PRETRAINED = "scratch", "finetune_linear"
