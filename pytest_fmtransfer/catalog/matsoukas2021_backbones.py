"""The backbones of Matsoukas et al. 2021, arXiv:2108.09038: ResNet-50 and DeiT-S, supervised on ImageNet-1k.

Its released code (github.com/ChrisMats/medical_transformers) takes the first from torchvision and the second from
DeiT's authors. Its third initialisation is these weights trained on by DINO, without labels: no such file is published,
and there is no row of it (docs/wanted.md).
"""

from pytest_fmtransfer.catalog.normalisation import IMAGENET_MEAN, IMAGENET_STD
from pytest_fmtransfer.catalog.specs import BackboneSpec, PublishedWeights

MATSOUKAS2021_BACKBONES = (
    BackboneSpec(
        name="imagenet_resnet50",
        library="timm",
        architecture="resnet50.tv_in1k",
        weights=PublishedWeights(
            file="resnet50-0676ba61.pth",
            url="https://download.pytorch.org/models/resnet50-0676ba61.pth",
            layout="torchvision",
            num_classes=1000,
            sha256="0676ba61",
        ),
        blocks=4,
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="BSD-3-Clause",
        source="He et al., ResNet, CVPR 2016; torchvision IMAGENET1K_V1, ImageNet-1k supervised",
    ),
    BackboneSpec(
        name="imagenet_deits16",
        library="timm",
        architecture="deit_small_patch16_224.fb_in1k",
        weights=PublishedWeights(
            file="deit_small_patch16_224-cd65a155.pth",
            url="https://dl.fbaipublicfiles.com/deit/deit_small_patch16_224-cd65a155.pth",
            inside="model",
            num_classes=1000,
            sha256="cd65a155",
        ),
        blocks=12,
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="Apache-2.0",
        source="Touvron et al., DeiT, arXiv:2012.12877; ImageNet-1k supervised",
    ),
)
