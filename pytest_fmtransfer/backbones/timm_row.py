"""The row of a timm model that the catalogue has none of, from timm's own record of its weights."""

import timm
from timm.models import PretrainedCfg

from pytest_fmtransfer.catalog.specs import BackboneSpec, PublishedWeights
from pytest_fmtransfer.catalog.timm_names import PREFIX
from pytest_fmtransfer.errors import UnknownName


def row(architecture: str) -> BackboneSpec:
    """Input size, mean, standard deviation, licence and hub page as timm's default configuration has them.

    The weights are a file `<architecture>.pth` in timm's names, its classifier included where timm publishes one.
    Raises UnknownName for a model or a tag that timm has not.
    """
    model = architecture.partition(".")[0]
    known = {model} if timm.is_model(model) else set[str]()
    known |= set(timm.list_pretrained(f"{model}.*"))
    if architecture not in known:
        raise UnknownName("backbone", f"{PREFIX}{architecture}", (PREFIX + each for each in known))
    config = timm.get_pretrained_cfg(architecture) or PretrainedCfg()
    tag = config.tag or ""
    page = config.hf_hub_id or f"timm/{model}.{tag}"
    page = f"{page}{model}.{tag}" if page.endswith("/") else page
    return BackboneSpec(
        name=f"{PREFIX}{architecture}",
        library="timm",
        architecture=architecture,
        weights=PublishedWeights(
            file=f"{architecture}.pth", url=f"https://huggingface.co/{page}", num_classes=config.num_classes
        ),
        image_size=config.input_size[-1],
        mean=_three(config.mean),
        std=_three(config.std),
        licence=config.license or f"as https://huggingface.co/{page} says",
        source=f"timm, {model}{'.' if tag else ''}{tag}",
    )


def _three(values: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue
