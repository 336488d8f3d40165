"""The backbones of Mansoori et al. 2025 that Palés Huix et al. 2024 have not: SAM 2, MAE, CoCa, AIMv2 and VMamba.

Which file of each the paper took is what its released code loads (github.com/sajjad-sh33/Medical-Transfer-Learning);
so is the size, 224 px, and what is pooled. VMamba is not in that code: its files are those of the sizes that the paper
gives, 50 and 89 million parameters.
"""

from pytest_fmtransfer.catalog.normalisation import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD
from pytest_fmtransfer.catalog.specs import BackboneSpec, PublishedWeights


def _sam2(name: str, size: str, blocks: int) -> BackboneSpec:
    file = f"sam2.1_hiera_{size}.pt"
    return BackboneSpec(
        name=name,
        library="sam2",
        architecture=f"sam2_hiera_{size}",
        weights=PublishedWeights(
            file=file, url=f"https://dl.fbaipublicfiles.com/segment_anything_2/092824/{file}", inside="model"
        ),
        blocks=blocks,
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="Apache-2.0",
        source="Ravi et al., SAM 2, arXiv:2408.00714; version 2.1, the image encoder",
    )


def _mae(name: str, size: str, patch: int, blocks: int) -> BackboneSpec:
    file = f"mae_pretrain_vit_{size}.pth"
    return BackboneSpec(
        name=name,
        library="mae",
        architecture=f"vit_{size}_patch{patch}_224.mae",
        weights=PublishedWeights(
            file=file,
            url=f"https://dl.fbaipublicfiles.com/mae/pretrain/{file}",
            inside="model",
            non_commercial=True,
        ),
        blocks=blocks,
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="CC-BY-NC-4.0",
        source="He et al., Masked Autoencoders, CVPR 2022, arXiv:2111.06377; ImageNet-1k self-supervised",
    )


def _coca(name: str, architecture: str, blocks: int) -> BackboneSpec:
    hub = f"laion/CoCa-{architecture}-laion2B-s13B-b90k"
    return BackboneSpec(
        name=name,
        library="open_clip",
        architecture=f"coca_{architecture}",
        weights=PublishedWeights(file="open_clip_pytorch_model.bin", url=f"https://huggingface.co/{hub}", hub=hub),
        blocks=blocks,
        image_size=224,
        mean=CLIP_MEAN,
        std=CLIP_STD,
        licence="MIT",
        source=f"Yu et al., CoCa, arXiv:2205.01917, as OpenCLIP trained it; {hub}",
    )


def _aimv2(name: str, size: str) -> BackboneSpec:
    hub = f"apple/aimv2-{size}-patch14-224"
    return BackboneSpec(
        name=name,
        library="timm",
        architecture=f"aimv2_{size}_patch14_224.apple_pt",
        weights=PublishedWeights(
            file="model.safetensors",
            url=f"https://huggingface.co/{hub}",
            hub=hub,
            layout="aimv2",
            non_commercial=True,
        ),
        blocks=24,
        image_size=224,
        mean=CLIP_MEAN,
        std=CLIP_STD,
        licence="Apple's model licence for research (apple-amlr)",
        source=f"Fini et al., AIMv2, arXiv:2411.14402; {hub}",
    )


def _vmamba(letter: str, size: str, epoch: int) -> BackboneSpec:
    file = f"vssm_{size}_0229_ckpt_epoch_{epoch}.pth"
    return BackboneSpec(
        name=f"vmamba_{letter}",
        library="vmamba",
        architecture=f"vmamba_{size}_s2l15",
        weights=PublishedWeights(
            file=file,
            url=f"https://github.com/MzeroMiko/VMamba/releases/download/%23v2cls/{file}",
            inside="model",
            num_classes=1000,
        ),
        blocks=4,
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="MIT",
        source="Liu et al., VMamba, NeurIPS 2024, arXiv:2401.10166; version 2, ImageNet-1k supervised",
    )


MANSOORI2025_BACKBONES = (
    _sam2("sam2_hierabplus", "base_plus", 24),
    _sam2("sam2_hieral", "large", 48),
    _mae("mae_vitb16", "base", 16, 12),
    _mae("mae_vitl16", "large", 16, 24),
    _mae("mae_vith14", "huge", 14, 32),
    _coca("coca_vitb32", "ViT-B-32", 12),
    _coca("coca_vitl14", "ViT-L-14", 24),
    _aimv2("aimv2_vitl14", "large"),
    _aimv2("aimv2_vith14", "huge"),
    _vmamba("s", "small", 222),
    _vmamba("b", "base", 237),
)
