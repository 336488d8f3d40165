"""Images per second of each pocket backbone, gated against a stored ratio.

A second is worth something else on every machine, so what is stored is the ratio to a calibration product
(1024 × 1024 float32 matrices) timed in turn with the forward passes: how many images pass while one product is
computed. Both are the fastest of their rounds, which other work on the machine disturbs least. Ratios are kept per
kind of processor, thread count and dtype. A fall of more than 20 % fails. The batch is random pixels: speed does not
depend on them.
"""

import json
import time
from importlib import import_module
from pathlib import Path

import pytest

from pytest_fmtransfer.availability import ready, weights_file
from pytest_fmtransfer.backbones.pace import USUAL
from pytest_fmtransfer.backbones.precision import dtype_of
from pytest_fmtransfer.backbones.threads import import_torch
from pytest_fmtransfer.cell import Cell
from pytest_fmtransfer.missing import Missing
from pytest_fmtransfer.plugin.settings import settings_of
from pytest_fmtransfer.store import write_atomically

RATIOS = Path(__file__).with_name("ratios.json")
FALL = 0.8  # of the stored ratio
ROUNDS = 40


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "mobilenetv2"])
def test_images_per_second(name, benchmark, request):
    """The forward pass is no slower, held against a matrix product, than when the ratio was stored."""
    settings = settings_of(request.config)
    spec = settings.registry.backbone(name)
    state = ready(Cell(name, "br35h", "knn"), settings.registry, settings.places)
    if isinstance(state, Missing):
        pytest.skip(str(state))
    if benchmark.disabled:
        pytest.skip("timing needs a process of its own: leave out -n and --benchmark-disable")
    import_torch()
    import torch

    dtype = dtype_of(settings.registry.profile(settings.profile).forward_dtype)
    backbone = import_module(f"pytest_fmtransfer.backbones.{spec.library}").build(
        spec, weights_file(spec, settings.places)
    )
    backbone.lay_out(getattr(torch, USUAL.memory_format))
    generator = torch.Generator().manual_seed(0)
    size = (USUAL.batch, spec.image_size, spec.image_size)
    pixels_NSS = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
    left, right = torch.rand(2, 1024, 1024, generator=generator)
    products: list[float] = []

    def product() -> None:
        started = time.perf_counter()
        torch.mm(left, right)
        products.append(time.perf_counter() - started)

    def forward() -> None:
        backbone(backbone.normalise(pixels_NSS))

    with (
        torch.inference_mode(),
        torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bfloat16"),
    ):
        benchmark.pedantic(forward, setup=product, rounds=ROUNDS, warmup_rounds=3)
    per_image = benchmark.stats.stats.min / USUAL.batch
    ratio = min(products) / per_image
    benchmark.extra_info.update(images_per_second=1 / per_image, images_per_product=ratio)

    kind = f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads, {dtype}"
    stored = json.loads(RATIOS.read_text(encoding="utf-8")) if RATIOS.is_file() else {}
    known = stored.get(kind, {}).get(name)
    write = {"new": known is None, "changed": known is None or ratio < FALL * known, "all": True}
    if settings.update and write[settings.update]:
        stored.setdefault(kind, {})[name] = known = round(ratio, 4)
        write_atomically(RATIOS, (json.dumps(stored, indent=1, sort_keys=True) + "\n").encode())
    if known is None:
        pytest.skip(f"no ratio stored for {name} on {kind}; record it: pytest suites/throughput --fm-update=new")
    assert ratio >= FALL * known, (
        f"{name} passes {ratio:.3f} images per calibration product, {known:.3f} when stored ({kind}); "
        "accept the slower speed: pytest suites/throughput --fm-update=changed"
    )
