"""The backbones of MedMNIST+ 2025 that no other publication has here, as its code loads them.

Doerrich et al., Sci. Rep. 2025, arXiv:2404.15786. Its code names timm models without a tag, so what it saw are the
weights that timm 0.9.12 to 1.0.31 alike takes for their default: `augreg2_in21k_ft_in1k` for ViT-B/16, `a1_in1k` for
ResNet-18, and for "CLIP ViT-B/16" not OpenAI's but LAION-2B's, fine-tuned on ImageNet-12k and 1k. OpenAI's own has a
row too. All are of size 224, at which the benchmark shows its pictures; EfficientNet-B4 was trained at 320.
DINO ViT-B/16 and SAM ViT-B/16 are in `catalog/backbones.py`.
"""

from pytest_fmtransfer.catalog.normalisation import CLIP_MEAN, CLIP_STD, HALF, IMAGENET_MEAN, IMAGENET_STD
from pytest_fmtransfer.catalog.specs import BackboneSpec, PublishedWeights


def _timm(
    name: str,
    architecture: str,
    source: str,
    blocks: int,
    *,
    mean: tuple[float, float, float] = IMAGENET_MEAN,
    std: tuple[float, float, float] = IMAGENET_STD,
    sha256: str = "",
) -> BackboneSpec:
    """Of weights that timm's authors trained and publish on the hub, in timm's names, with their classifier."""
    hub = f"timm/{architecture}"
    return BackboneSpec(
        name=name,
        library="timm",
        architecture=architecture,
        weights=PublishedWeights(
            file="model.safetensors", url=f"https://huggingface.co/{hub}", hub=hub, num_classes=1000, sha256=sha256
        ),
        blocks=blocks,
        image_size=224,
        mean=mean,
        std=std,
        licence="Apache-2.0",
        source=source,
    )


MEDMNIST_PLUS_BACKBONES = (
    _timm(
        "imagenet_vitb16",
        "vit_base_patch16_224.augreg2_in21k_ft_in1k",
        "Steiner et al., How to train your ViT, arXiv:2106.10270; ImageNet-21k, then ImageNet-1k supervised",
        12,
        mean=HALF,
        std=HALF,
    ),
    _timm(
        "imagenet_resnet18",
        "resnet18.a1_in1k",
        "He et al., ResNet, CVPR 2016; Wightman et al., ResNet strikes back, arXiv:2110.00476; ImageNet-1k supervised",
        4,
        sha256="80c49dee3da4822c009c5a7fe591e9223c5a2cfcf95a4067ca4dfb5a7b89c612",
    ),
    _timm(
        "imagenet_densenet121",
        "densenet121.ra_in1k",
        "Huang et al., DenseNet, CVPR 2017, arXiv:1608.06993; ImageNet-1k supervised",
        4,
    ),
    _timm(
        "imagenet_efficientnetb4",
        "efficientnet_b4.ra2_in1k",
        "Tan and Le, EfficientNet, ICML 2019, arXiv:1905.11946; ImageNet-1k supervised",
        7,
    ),
    BackboneSpec(
        name="imagenet_vgg16",
        library="timm",
        architecture="vgg16.tv_in1k",
        weights=PublishedWeights(
            file="vgg16-397923af.pth",
            url="https://download.pytorch.org/models/vgg16-397923af.pth",
            layout="torchvision",
            num_classes=1000,
            sha256="397923af",
        ),
        blocks=5,
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="BSD-3-Clause",
        source="Simonyan and Zisserman, VGG, ICLR 2015; torchvision IMAGENET1K_V1, ImageNet-1k supervised",
    ),
    _timm(
        "openclip_vitb16_in1k",
        "vit_base_patch16_clip_224.laion2b_ft_in12k_in1k",
        "Cherti et al., Reproducible scaling laws, CVPR 2023, arXiv:2212.07143; LAION-2B, then ImageNet-12k and 1k "
        "supervised",
        12,
        mean=CLIP_MEAN,
        std=CLIP_STD,
    ),
    BackboneSpec(
        name="clip_vitb16",
        library="open_clip",
        architecture="ViT-B-16-quickgelu",
        weights=PublishedWeights(
            file="open_clip_pytorch_model.bin",
            url="https://huggingface.co/timm/vit_base_patch16_clip_224.openai",
            hub="timm/vit_base_patch16_clip_224.openai",
        ),
        blocks=12,
        image_size=224,
        mean=CLIP_MEAN,
        std=CLIP_STD,
        licence="MIT",
        source="Radford et al., CLIP, ICML 2021, arXiv:2103.00020; OpenAI's weights as OpenCLIP publishes them",
    ),
    BackboneSpec(
        name="eva02_vitb16",
        library="timm",
        architecture="eva02_base_patch16_clip_224.merged2b",
        weights=PublishedWeights(
            file="open_clip_pytorch_model.bin",
            url="https://huggingface.co/timm/eva02_base_patch16_clip_224.merged2b_s8b_b131k",
            hub="timm/eva02_base_patch16_clip_224.merged2b_s8b_b131k",
            layout="open_clip_trunk",
            num_classes=512,
        ),
        blocks=12,
        image_size=224,
        mean=CLIP_MEAN,
        std=CLIP_STD,
        licence="MIT",
        source="Sun et al., EVA-CLIP, arXiv:2303.15389; EVA-02 on Merged-2B; its image tower before the projection",
    ),
)
