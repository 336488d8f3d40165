"""Encoders that are chosen today: DINOv2 with registers, DINOv3, SigLIP 2 and Perception Encoder."""

from pytest_fmtransfer.catalog.normalisation import HALF, IMAGENET_MEAN, IMAGENET_STD
from pytest_fmtransfer.catalog.specs import BackboneSpec, PublishedWeights


def _dinov2_with_registers(letter: str, size: str, blocks: int) -> BackboneSpec:
    file = f"dinov2_vit{letter}14_reg4_pretrain.pth"
    return BackboneSpec(
        name=f"dinov2_vit{letter}14_reg",
        library="timm",
        architecture=f"vit_{size}_patch14_reg4_dinov2.lvd142m",
        weights=PublishedWeights(
            file=file, url=f"https://dl.fbaipublicfiles.com/dinov2/dinov2_vit{letter}14/{file}", layout="dinov2"
        ),
        blocks=blocks,
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="Apache-2.0",
        source="Oquab et al., DINOv2, arXiv:2304.07193; Darcet et al., arXiv:2309.16588; with four registers",
    )


def _dinov3(letter: str, size: str, digest: str, blocks: int) -> BackboneSpec:
    return BackboneSpec(
        name=f"dinov3_vit{letter}16",
        library="timm",
        architecture=f"vit_{size}_patch16_dinov3_qkvb.lvd1689m",
        weights=PublishedWeights(
            file=f"dinov3_vit{letter}16_pretrain_lvd1689m-{digest}.pth",
            url="https://ai.meta.com/resources/models-and-libraries/dinov3-downloads/",
            layout="dinov3",
            sha256=digest,
            gated=True,
        ),
        blocks=blocks,
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="DINOv3 License",
        source="Siméoni et al., DINOv3, arXiv:2508.10104; distilled, on LVD-1689M",
    )


def _perception_encoder(name: str, architecture: str, published: str, size: int, blocks: int) -> BackboneSpec:
    hub = f"facebook/{published}"
    return BackboneSpec(
        name=name,
        library="perception_encoder",
        architecture=architecture,
        weights=PublishedWeights(file=f"{published}.pt", url=f"https://huggingface.co/{hub}", hub=hub),
        blocks=blocks,
        image_size=size,
        mean=HALF,
        std=HALF,
        licence="Apache-2.0",
        source=f"Bolya et al., Perception Encoder, arXiv:2504.13181; {published}, its image tower",
    )


BACKBONES_OF_TODAY = (
    _dinov2_with_registers("s", "small", 12),
    _dinov2_with_registers("b", "base", 12),
    _dinov2_with_registers("l", "large", 24),
    _dinov2_with_registers("g", "giant", 40),
    _dinov3("s", "small", "08c60483", 12),
    _dinov3("b", "base", "73cec8be", 12),
    _dinov3("l", "large", "8aa4cbdd", 24),
    BackboneSpec(
        name="siglip2_vitb16",
        library="transformers",
        architecture="siglip_base",
        weights=PublishedWeights(
            file="model.safetensors",
            url="https://huggingface.co/google/siglip2-base-patch16-224",
            hub="google/siglip2-base-patch16-224",
        ),
        blocks=12,
        image_size=224,
        mean=HALF,
        std=HALF,
        licence="Apache-2.0",
        source="Tschannen et al., SigLIP 2, arXiv:2502.14786; its image tower",
    ),
    _perception_encoder("pecore_vitb16", "vit_pe_core_base_patch16_224.fb", "PE-Core-B16-224", 224, 12),
    _perception_encoder("pecore_vitl14", "vit_pe_core_large_patch14_336.fb", "PE-Core-L14-336", 336, 24),
)
