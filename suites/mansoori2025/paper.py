"""What the paper compares, under the names that the catalogue has for it.

The abstract and the values of the main figure are what is quoted and held; the figure states neither regime nor spread,
and cells here are trained end to end under a linear classifier, as the title has it.

The abstract calls its mammograms CBIS-DDSM. The released code (github.com/sajjad-sh33/Medical-Transfer-Learning) reads
DDSM instead, the lists of whole images that Matsoukas et al. and Palés Huix et al. read, normal against the rest, and
the figure's values are near theirs: the data set here is `ddsm`. Of APTOS 2019 that code takes the training images of
the copy on Kaggle and parts them anew; here it is the competition's, parted as those two do.

The paper has no reference. Average gains are in percent over VMamba-S, whose weights are ImageNet-supervised, and only
their order is claimed.
"""

SOURCE = "arXiv:2505.19779"
FIGURE = "main figure"

DATASETS = ("aptos2019", "chexpert", "ddsm", "isic2019")
REGIME = "finetune_linear"

# Each with its largest size first.
AIMV2 = ("aimv2_vith14", "aimv2_vitl14")
DINOV2 = ("dinov2_vitl14", "dinov2_vitb14")
SAM2 = ("sam2_hieral", "sam2_hierabplus")
MAE = ("mae_vith14", "mae_vitl16", "mae_vitb16")
COCA = ("coca_vitl14", "coca_vitb32")
VMAMBA = ("vmamba_b", "vmamba_s")

BEST = (*AIMV2, *DINOV2, *SAM2)
OTHERS = (*MAE, *COCA, *VMAMBA)
