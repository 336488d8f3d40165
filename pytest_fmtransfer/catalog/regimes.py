"""One row per regime that has no number in its name (`regime_families` has the others), and per profile."""

from dataclasses import replace

from pytest_fmtransfer.catalog.regime_families import ATTENTION, PAPER, trained
from pytest_fmtransfer.catalog.regime_settings import (
    KnnSettings,
    LinearProbeSettings,
    RidgeSettings,
    ZeroShotSettings,
)
from pytest_fmtransfer.catalog.regime_specs import Caps, Profile, RegimeSpec

REGIMES = (
    RegimeSpec(
        name="knn",
        settings=KnnSettings(),
        seeded=False,
        tolerance=1e-3,
        metric_tolerance=1e-3,
        summary="cosine k-nearest-neighbours on frozen features, k chosen on validation",
    ),
    RegimeSpec(
        name="linear_probe",
        settings=LinearProbeSettings(),
        seeded=False,
        tolerance=1e-2,
        metric_tolerance=5e-3,
        summary="logistic regression on standardised frozen features, C chosen on validation",
    ),
    RegimeSpec(
        name="ridge",
        settings=RidgeSettings(),
        seeded=False,
        tolerance=1e-2,
        metric_tolerance=5e-3,
        summary="least squares on standardised frozen features, the penalty chosen on validation",
    ),
    RegimeSpec(
        name="zeroshot",
        settings=ZeroShotSettings(),
        seeded=False,
        tolerance=1e-3,
        metric_tolerance=1e-3,
        summary="no training: the class whose description lies nearest, for backbones with a text tower",
    ),
    trained("attention_probe", ATTENTION, "one learnt query over frozen tokens"),
    trained("frozen_linear", PAPER["frozen_linear"]),
    trained("frozen_deitb", PAPER["frozen_deitb"]),
    trained("finetune_linear", PAPER["finetune_linear"]),
    trained("finetune_deitb", PAPER["finetune_deitb"]),
    trained(
        "scratch",
        replace(PAPER["finetune_linear"], initial="random"),
        "the architecture with random weights and one linear layer, trained end to end as finetune_linear is",
    ),
)

PROFILES = (
    Profile(
        name="smoke",
        forward_dtype="bfloat16_where_native",
        training_dtype="bfloat16_where_native",
        caps=Caps(train=256, validation=128, test=256),
        epochs=8,
        scratch_epochs=40,
        head_epochs=60,
        batch=16,
        size=112,
    ),
    Profile(
        name="ci",
        forward_dtype="float32",
        caps=Caps(train=2000, validation=1000, test=2000),
        epochs=10,
        head_epochs=100,
        batch=16,
    ),
    Profile(name="full", forward_dtype="float32", training_dtype="bfloat16_where_native", seeds=5),
)
