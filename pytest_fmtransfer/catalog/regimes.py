"""One row per regime and per profile."""

from pytest_fmtransfer.catalog.specs import (
    KnnSettings,
    LinearProbeSettings,
    NotBuilt,
    Profile,
    RegimeSpec,
    Tolerance,
)

REGIMES = (
    RegimeSpec(
        name="knn",
        settings=KnnSettings(),
        seeded=False,
        tolerance=Tolerance(same_dtype=1e-3, across_dtypes=0.5),
        summary="cosine k-nearest-neighbours on frozen features, k chosen on validation",
    ),
    RegimeSpec(
        name="linear_probe",
        settings=LinearProbeSettings(),
        seeded=False,
        tolerance=Tolerance(same_dtype=1e-2, across_dtypes=0.5),
        summary="logistic regression on standardised frozen features, C chosen on validation",
    ),
    RegimeSpec(
        name="finetune_linear",
        settings=NotBuilt(),
        seeded=True,
        tolerance=Tolerance(same_dtype=0.0, across_dtypes=0.0),
        summary="the whole backbone and one linear layer trained end to end (Palés Huix et al. 2024)",
    ),
)

PROFILES = (
    Profile(name="ci", forward_dtype="bfloat16_where_native"),
    Profile(name="full", forward_dtype="float32"),
)
