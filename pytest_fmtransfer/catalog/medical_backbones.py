"""Backbones trained on medical images: the contrast to those of natural ones."""

from pytest_fmtransfer.catalog.normalisation import CLIP_MEAN, CLIP_STD, HALF, IMAGENET_MEAN, IMAGENET_STD
from pytest_fmtransfer.catalog.specs import BackboneSpec, PublishedWeights

_BIOMEDCLIP = "BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"


def _retfound(kind: str, images: str) -> BackboneSpec:
    file = f"RETFound_mae_nature{kind.upper()}"
    return BackboneSpec(
        name=f"retfound_{kind}_vitl16",
        library="mae",
        architecture="vit_large_patch16_224.mae",
        weights=PublishedWeights(
            file=f"{file}.pth",
            url=f"https://huggingface.co/YukunZhou/{file}",
            hub=f"YukunZhou/{file}",
            inside="model",
            gated=True,
            non_commercial=True,
        ),
        blocks=24,
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="CC-BY-NC-4.0",
        source=f"Zhou et al., RETFound, Nature 622, 2023, doi:10.1038/s41586-023-06555-x; {images}, self-supervised",
    )


MEDICAL_BACKBONES = (
    BackboneSpec(
        name="biomedclip_vitb16",
        library="biomedclip",
        architecture="vit_base_patch16_224",
        weights=PublishedWeights(
            file="open_clip_pytorch_model.bin",
            url=f"https://huggingface.co/microsoft/{_BIOMEDCLIP}",
            hub=f"microsoft/{_BIOMEDCLIP}",
        ),
        blocks=12,
        image_size=224,
        mean=CLIP_MEAN,
        std=CLIP_STD,
        licence="MIT",
        source="Zhang et al., BiomedCLIP, arXiv:2303.00915; figures of PubMed Central and their captions",
    ),
    BackboneSpec(
        name="raddino_vitb14",
        library="timm",
        architecture="vit_base_patch14_dinov2.lvd142m",
        weights=PublishedWeights(
            # Beside it lies model.safetensors, the same tensors in the names of transformers.
            file="backbone_compatible.safetensors",
            url="https://huggingface.co/microsoft/rad-dino",
            hub="microsoft/rad-dino",
            layout="dinov2",
            sha256="1eac0464b2a00d368aa3eea1dc029964b10320fbabc59a8a4e768c43a23d26f4",
        ),
        blocks=12,
        image_size=518,
        mean=(0.5307, 0.5307, 0.5307),
        std=(0.2583, 0.2583, 0.2583),
        licence="MIT",
        source="Pérez-García et al., RAD-DINO, arXiv:2401.10815; chest radiographs, self-supervised from DINOv2",
    ),
    BackboneSpec(
        name="medsiglip_so400m14",
        library="transformers",
        architecture="medsiglip_so400m",
        weights=PublishedWeights(
            file="model.safetensors",
            url="https://huggingface.co/google/medsiglip-448",
            hub="google/medsiglip-448",
            gated=True,
        ),
        blocks=27,
        image_size=448,
        mean=HALF,
        std=HALF,
        licence="Health AI Developer Foundations terms of use",
        source="Sellergren et al., MedGemma Technical Report, arXiv:2507.05201; the image side of MedSigLIP",
    ),
    _retfound("cfp", "colour fundus photographs"),
    _retfound("oct", "optical coherence tomography"),
)
