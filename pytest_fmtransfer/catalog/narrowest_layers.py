"""How wide the narrowest layer of a network's blocks is, of those that low-rank additions go to (`adapt/lora.py`).

Additions have no higher rank than that. A network that is not here is asked when it is built; tests/test_possible.py
builds those that are.
"""

from pytest_fmtransfer.catalog.specs import BackboneSpec

# By library and architecture, the fewest inputs or outputs of a layer; 0: no block has such a layer.
NARROWEST: dict[str, dict[str, int]] = {
    "biomedclip": {
        "vit_base_patch16_224": 768,
    },
    "focalnet": {
        "focalnet_tiny_dw": 96,
    },
    "mae": {
        "vit_base_patch16_224.mae": 768,
        "vit_huge_patch14_224.mae": 1280,
        "vit_large_patch16_224.mae": 1024,
    },
    "open_clip": {
        "ViT-B-16": 768,
        "ViT-B-16-quickgelu": 768,
        "ViT-H-14": 1280,
        "ViT-L-14": 1024,
        "coca_ViT-B-32": 768,
        "coca_ViT-L-14": 1024,
    },
    "perception_encoder": {
        "vit_pe_core_base_patch16_224.fb": 768,
        "vit_pe_core_large_patch14_336.fb": 1024,
    },
    "sam2": {
        "sam2_hiera_base_plus": 112,
        "sam2_hiera_large": 144,
    },
    "segment_anything": {
        "vit_b": 768,
        "vit_h": 1280,
        "vit_l": 1024,
    },
    "timm": {
        "aimv2_huge_patch14_224.apple_pt": 1536,
        "aimv2_large_patch14_224.apple_pt": 1024,
        "deit_base_patch16_224.fb_in1k": 768,
        "deit_small_patch16_224.fb_in1k": 384,
        "densenet121.ra_in1k": 64,
        "efficientnet_b4.ra2_in1k": 24,
        "eva02_base_patch16_clip_224.merged2b": 768,
        "mobilenetv2_100": 16,
        "resnet152.tv_in1k": 64,
        "resnet18.a1_in1k": 64,
        "resnet50.tv_in1k": 64,
        "tf_efficientnet_lite0": 16,
        "tf_efficientnet_lite1": 16,
        "tf_efficientnet_lite2": 16,
        "vgg16.tv_in1k": 0,
        "vit_base_patch14_dinov2.lvd142m": 768,
        "vit_base_patch14_reg4_dinov2.lvd142m": 768,
        "vit_base_patch16_224.augreg2_in21k_ft_in1k": 768,
        "vit_base_patch16_224.dino": 768,
        "vit_base_patch16_clip_224.laion2b_ft_in12k_in1k": 768,
        "vit_base_patch16_dinov3_qkvb.lvd1689m": 768,
        "vit_giant_patch14_dinov2.lvd142m": 1536,
        "vit_giant_patch14_reg4_dinov2.lvd142m": 1536,
        "vit_large_patch14_dinov2.lvd142m": 1024,
        "vit_large_patch14_reg4_dinov2.lvd142m": 1024,
        "vit_large_patch16_dinov3_qkvb.lvd1689m": 1024,
        "vit_small_patch14_dinov2.lvd142m": 384,
        "vit_small_patch14_reg4_dinov2.lvd142m": 384,
        "vit_small_patch16_dinov3_qkvb.lvd1689m": 384,
    },
    "transformers": {
        "blip_base": 768,
        "blip_large": 1024,
        "medsiglip_so400m": 1152,
        "siglip_base": 768,
    },
    "vmamba": {
        "vmamba_base_s2l15": 128,
        "vmamba_small_s2l15": 96,
    },
}


def narrowest_layer(backbone: BackboneSpec) -> int | None:
    """0 where there is no such layer, None where nothing is known of the network, as of a tiny version."""
    return None if backbone.tiny else NARROWEST.get(backbone.library, {}).get(backbone.architecture)
