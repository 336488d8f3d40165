"""Regimes whose names hold a number or say how augmentation is done, such as `partial9_linear.unaugmented`.

    <frozen | finetune | partial<k> | drop<k>>_<linear | deitb>[.small_random]
        [.views<V> | .every | .unaugmented][.sweep]
    attention_probe[.sweep]    lora<r>[.from<k>][.unaugmented]    scratch[.unaugmented]    fewshot<k>

`.small_random` puts a small head from random weights in the place of `deitb`'s. `.views<V>` and `.every` are for a
backbone that does not learn, and so is `.sweep`.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from pytest_fmtransfer.catalog.regime_settings import FewShotSettings, TrainingSettings
from pytest_fmtransfer.catalog.regime_specs import RegimeSpec
from pytest_fmtransfer.words import counted

# How many augmented views of an image are stored where a backbone does not learn: docs/regimes.md says why.
VIEWS = 16
# Each rate with each decay: the paper's 1e-4 and 1e-5, and what lies around them.
RATES, DECAYS = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2), (1e-5, 1e-3, 1e-1)
DRAWS = 10  # of a few-shot regime

PAPER = {
    "frozen_linear": TrainingSettings(head="linear", trained="head", views=VIEWS),
    "frozen_deitb": TrainingSettings(head="deitb", trained="head", views=VIEWS),
    "finetune_linear": TrainingSettings(head="linear"),
    "finetune_deitb": TrainingSettings(head="deitb"),
}
ATTENTION = TrainingSettings(
    head="attention", trained="head", recipe="none", views=1, learning_rate=1e-3, weight_decay=1e-4
)
LORA = TrainingSettings(head="linear", trained="lora", recipe="plain", learning_rate=1e-3)

FORMS = {
    "partial<k>_linear": "the backbone's blocks from k on and a linear layer trained; partial9_linear",
    "partial<k>_deitb": "the same with a DeiT-B over tokens",
    "drop<k>_linear": "the backbone frozen and cut off after block k, a linear layer trained; drop5_linear",
    "drop<k>_deitb": "the same with a DeiT-B over tokens",
    "lora<r>": "additions of rank r to attention and MLP trained with a linear layer; lora8, or lora8.from9",
    "fewshot<k>": f"a linear probe on k training images of each class, {DRAWS} draws; fewshot5",
    "<regime>.small_random": "of …_deitb: a small transformer from random weights in place of DeiT-B",
    "<regime>.views<V>": "of frozen_…: so many stored views of each training image; .every: a new one in every epoch",
    "<regime>.unaugmented": "without augmentation",
    "<regime>.sweep": "of frozen_… and attention_probe: a grid of rates and decays trained at once",
}
"""Regimes that have no row of their own, as they are listed, and as whoever mistypes one is told."""

_HEADED = re.compile(
    r"(?P<how>frozen|finetune|partial(?P<first>0|[1-9]\d*)|drop(?P<last>0|[1-9]\d*))_(?P<head>linear|deitb)"
    r"(?P<small>\.small_random)?(?:\.(?:views(?P<views>[1-9]\d*)|(?P<every>every)|(?P<plain>unaugmented)))?"
    r"(?P<sweep>\.sweep)?",
    re.ASCII,
)
_LORA = re.compile(r"lora(?P<rank>[1-9]\d*)(?:\.from(?P<first>0|[1-9]\d*))?(?P<plain>\.unaugmented)?", re.ASCII)
_FEW = re.compile(r"fewshot(?P<shots>[1-9]\d*)", re.ASCII)


@cache
def regime_of(name: str) -> RegimeSpec | None:
    """The row that a name of these families stands for; None for any other name."""
    if match := _HEADED.fullmatch(name):
        return _headed(name, match)
    if match := _LORA.fullmatch(name):
        first = match["first"]
        settings = replace(LORA, rank=int(match["rank"]), first_block=int(first) if first else None)
        return trained(name, replace(settings, recipe="none") if match["plain"] else settings)
    if match := _FEW.fullmatch(name):
        shots = int(match["shots"])
        return RegimeSpec(
            name=name,
            settings=FewShotSettings(shots=shots),
            seeded=True,
            tolerance=1e-2,
            metric_tolerance=5e-3,
            summary=f"a linear probe on {counted(shots, 'training image')} of each class, {DRAWS} draws",
            seeds=DRAWS,
        )
    if name == "attention_probe.sweep":
        return trained(name, replace(ATTENTION, rates=RATES, decays=DECAYS))
    if name == "scratch.unaugmented":
        return trained(name, replace(PAPER["finetune_linear"], initial="random", recipe="none"))
    return None


def trained(name: str, settings: TrainingSettings, summary: str = "") -> RegimeSpec:
    """The row of a regime that trains by gradient."""
    # Seeds differ by far more than rounding; what rounding alone does was not measured for these regimes.
    return RegimeSpec(
        name=name,
        settings=settings,
        seeded=True,
        tolerance=1e-2,
        metric_tolerance=5e-3,
        summary=summary or ", ".join(_told(settings)),
        # Of such a head, or where the backbone is passed in every epoch, twenty shuffles take hours.
        costly=settings.trained != "head" or settings.head in ("deitb", "small_random") or settings.views == "every",
    )


def _headed(name: str, match: re.Match[str]) -> RegimeSpec | None:
    how, deitb = match["how"], match["head"] == "deitb"
    learns = how == "finetune" or match["first"] is not None
    if (match["small"] and not deitb) or (learns and (match["views"] or match["every"] or match["sweep"])):
        return None
    settings = TrainingSettings(
        head=("small_random" if match["small"] else "deitb") if deitb else "linear",
        trained="from_block" if match["first"] else "all" if learns else "head",
        first_block=int(match["first"]) if match["first"] else None,
        cut_after=int(match["last"]) if match["last"] else None,
        views="every" if learns or match["every"] else int(match["views"] or VIEWS),
    )
    if match["plain"]:
        settings = replace(settings, recipe="none", views="every" if learns else 1)
    if match["sweep"]:
        settings = replace(settings, rates=RATES, decays=DECAYS)
    return trained(name, settings)


def _told(settings: TrainingSettings) -> Iterator[str]:
    """What is done, in a few words each."""
    yield {
        "linear": "one linear layer",
        "attention": "one learnt query over tokens",
        "deitb": "an ImageNet-supervised DeiT-B over tokens",
        "small_random": "a small transformer from random weights over tokens",
    }[settings.head]
    yield {
        "head": "the backbone frozen",
        "all": "the whole backbone trained",
        "from_block": f"blocks from {settings.first_block} on trained",
        "lora": f"additions of rank {settings.rank} trained",
    }[settings.trained]
    if settings.cut_after is not None:
        yield f"blocks after {settings.cut_after} cut off"
    if settings.recipe == "none":
        yield "no augmentation"
    elif settings.trained == "head":
        yield "a new view in every epoch" if settings.views == "every" else counted(settings.views, "stored view")
    if settings.rates:
        yield f"{len(settings.rates) * len(settings.decays)} pairs of rate and decay at once"
    if settings.recipe == "huix2024":
        yield "Palés Huix et al. 2024"
