"""What the paper compares, under the names that the catalogue has for it, and the words that tests quote.

The abstract, the table of parameters in the authors' repository (github.com/joanaapa/Foundation-Medical) and Figure 1
are what is quoted: "We explore different training settings to fully harness the potential of these models." says of
settings only that they differ.

Everything is held against ImageNet-supervised DeiT-B under a linear classifier, fine-tuned, whatever the candidate's
own classifier: Figure 1 has one bar of the reference, "ImNet-1k-Sup" with a linear classifier, from which all others
are measured. The DeiT-B classifier is itself that reference's weights, so that the reference under it would be two
DeiT-B in a row, which the figure has not.
"""

SOURCE = "arXiv:2310.19522"
SETTINGS = "abstract, 'different training settings'; the direction is this suite's"

DATASETS = ("aptos2019", "chexpert", "ddsm", "isic2019")
OTHERS = ("blip_vitb16", "openclip_vitb16", "sam_vitb16", "seem_focalt")
FOUNDATION = ("dinov2_vitb14", *OTHERS)
TRANSFORMERS = tuple(name for name in FOUNDATION if name != "seem_focalt")
COMPARISONS = ("dino_vitb16", "imagenet_resnet152")

LINEAR, DEITB = "finetune_linear", "finetune_deitb"
CLASSIFIERS = (LINEAR, DEITB)
REFERENCE = f"imagenet_deitb16-{{dataset}}-{LINEAR}"
