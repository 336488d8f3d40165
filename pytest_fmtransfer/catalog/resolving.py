"""What a regime's settings and a backbone's row come to under a profile and on a dataset."""

from dataclasses import replace

from pytest_fmtransfer.catalog.prompts import by_class_names, check_templates
from pytest_fmtransfer.catalog.regime_settings import RegimeSettings, TrainingSettings, ZeroShotSettings
from pytest_fmtransfer.catalog.regime_specs import Profile, RegimeSpec
from pytest_fmtransfer.catalog.specs import SHUFFLES, BackboneSpec, DatasetSpec, FileWeights, OwnWeights
from pytest_fmtransfer.catalog.timm_names import PREFIX

# A rate of 1e-4 is one of pretrained weights. A few hundred steps of it move random ones very little: under `smoke`,
# `python benchmarks/regimes.py --regime scratch` found nothing learnt in 56 steps.
HURRY = 10


def settings_on(regime: RegimeSpec, dataset: DatasetSpec, profile: Profile) -> RegimeSettings:
    """The settings that a cell runs with, which its question holds.

    Where a profile leaves fewer epochs the learning rate rises over a part of them that is as large as it was, and
    random weights are trained at ten times the rate. Raises InvalidInput for a template of the regime's own that has no
    place for a class.
    """
    settings = regime.settings
    if isinstance(settings, ZeroShotSettings):
        return _described(settings, dataset, regime.name)
    if not isinstance(settings, TrainingSettings):
        return settings
    epochs = min(settings.epochs, _most_epochs(settings, profile) or settings.epochs)
    share = epochs / settings.epochs
    hurried = settings.initial == "random" and share < 1
    return replace(
        settings,
        epochs=epochs,
        learning_rate=profile.learning_rate or settings.learning_rate * (HURRY if hurried else 1),
        batch=min(settings.batch, profile.batch or settings.batch),
        warm_up_epochs=settings.warm_up_epochs * share,
        warm_up_steps=round((settings.warm_up_steps or dataset.warm_up_steps) * share),
    )


def _most_epochs(settings: TrainingSettings, profile: Profile) -> int | None:
    if settings.trained == "head" and settings.views != "every":
        return profile.head_epochs
    return (settings.initial == "random" and profile.scratch_epochs) or profile.epochs


def _described(settings: ZeroShotSettings, dataset: DatasetSpec, regime: str) -> ZeroShotSettings:
    """With the prompts of a dataset, in the order of its classes."""
    prompts = dataset.prompts or by_class_names(dataset.classes, several=dataset.several_labels)
    most = 1 if settings.prompts == "single" else None
    templates = settings.templates or prompts.templates
    check_templates(templates, f"prompts of regime {regime}")
    return replace(
        settings,
        templates=templates[:most],
        phrases=tuple(prompts.phrases[name][:most] for name in dataset.classes),
        absent=tuple(prompts.absent[name][:most] for name in dataset.classes) if prompts.absent else (),
    )


def seeds_on(regime: RegimeSpec, dataset: DatasetSpec, profile: Profile) -> tuple[int, ...]:
    """The seeds at which a cell runs where nothing else is asked."""
    own = (regime.seeds or profile.seeds) if regime.seeded else 1
    return tuple(range(max(own, SHUFFLES) if dataset.shuffled and not regime.costly else own))


def draws_on(regime: RegimeSpec, dataset: DatasetSpec) -> bool:
    """Whether a cell's seed draws what is learnt from, the same for every backbone: images, or shuffled labels."""
    return regime.draws or dataset.shuffled


def backbone_under(spec: BackboneSpec, profile: Profile) -> BackboneSpec:
    """A backbone at the size of the profile; those that a user brings, or timm names, keep their own."""
    users = isinstance(spec.weights, FileWeights | OwnWeights) or spec.own_input is not None
    own = users or spec.name.startswith(PREFIX)
    if profile.size is None or own or not spec.is_network or spec.image_size <= profile.size:
        return spec
    return replace(spec, image_size=profile.size)
