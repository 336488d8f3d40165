"""One row per regime and per profile."""

from pytest_fmtransfer.catalog.specs import (
    KnnSettings,
    LinearProbeSettings,
    NotBuilt,
    Profile,
    RegimeSpec,
)

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
        name="finetune_linear",
        settings=NotBuilt(),
        seeded=True,
        tolerance=0.0,
        metric_tolerance=0.0,
        summary="the whole backbone and one linear layer trained end to end (Palés Huix et al. 2024)",
    ),
)

PROFILES = (
    Profile(name="smoke", forward_dtype="bfloat16_where_native"),
    Profile(name="ci", forward_dtype="float32"),
)
