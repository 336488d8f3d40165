"""AdamW over stacked replicas is torch's AdamW, one replica at a time.

Legend: R replicas.
"""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from pytest_fmtransfer.adapt.stacked_adamw import StackedAdamW
from pytest_fmtransfer.adapt.stacked_parameters import StackedParameters, decays
from pytest_fmtransfer.errors import InvalidInput
from tests.helpers import LAWS

CPU = torch.device("cpu")


class Small(nn.Module):
    """A matrix, a bias, a norm's vectors, a scalar and a bias that has two dimensions."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.linear = nn.Linear(7, 3)
        self.norm = nn.LayerNorm(3)
        self.scale = nn.Parameter(torch.rand(()))
        self.queries = nn.Parameter(torch.rand(2, 3, 4))
        self.table = nn.ParameterDict({"bias": nn.Parameter(torch.rand(2, 2))})


def gradient(module: nn.Module, seed: int, size: float) -> list[Tensor]:
    chance = torch.Generator().manual_seed(seed)
    return [size * torch.randn(each.shape, generator=chance) for each in module.parameters()]


def alone(
    replica: int, times: float, decay: float, rates: Sequence[float], size: float, clip: float | None
) -> dict[str, Tensor]:
    module = Small(replica)
    named = dict(module.named_parameters())
    optimiser = torch.optim.AdamW(
        [
            {"params": [named["linear.weight"], named["queries"]], "weight_decay": decay},
            {"params": [p for name, p in named.items() if name not in ("linear.weight", "queries")]},
        ],
        weight_decay=0.0,
    )
    for step, rate in enumerate(rates):
        for parameter, own in zip(module.parameters(), gradient(module, 100 * step + replica, size), strict=True):
            parameter.grad = own
        if clip is not None:
            nn.utils.clip_grad_norm_(module.parameters(), clip)
        for each in optimiser.param_groups:
            each["lr"] = rate * times
        optimiser.step()
    return {name: each.detach() for name, each in named.items()}


def stepped(
    optimiser: StackedAdamW, gradients: StackedParameters, rates: Sequence[float], size: float, first: int = 0
) -> None:
    module = Small(0)
    for step, rate in enumerate(rates, start=first):
        for replica in range(gradients.replicas):
            own = gradient(module, 100 * step + replica, size)
            for view, each in zip(gradients.by_name.values(), own, strict=True):
                view[replica].copy_(each)
        optimiser.step(rate)


def stacked(count: int) -> tuple[StackedParameters, StackedParameters]:
    values = StackedParameters.of([Small(seed) for seed in range(count)], CPU)
    return values, values.zeros()


replicas_and_rates = st.tuples(
    st.lists(st.tuples(st.sampled_from([1.0, 0.1, 30.0]), st.sampled_from([0.0, 1e-5, 0.3])), min_size=1, max_size=5),
    st.lists(st.floats(1e-6, 1e-2), min_size=1, max_size=6),
    st.sampled_from([1e-4, 0.1, 30.0]),
    st.sampled_from([None, 1.0, 0.01]),
)


@LAWS
@given(replicas_and_rates)
def test_each_replica_moves_as_torchs_adamw_moves_it_alone(
    drawn: tuple[list[tuple[float, float]], list[float], float, float | None],
) -> None:
    points, rates, size, clip = drawn
    values, gradients = stacked(len(points))
    optimiser = StackedAdamW(
        values, gradients, rates_R=[times for times, _ in points], decays_R=[decay for _, decay in points], clip=clip
    )
    stepped(optimiser, gradients, rates, size)
    for replica, (times, decay) in enumerate(points):
        expected = alone(replica, times, decay, rates, size, clip)
        for name, tensor in expected.items():
            torch.testing.assert_close(values.by_name[name][replica], tensor, rtol=1e-6, atol=1e-6)


def test_many_replicas_of_one_rate_are_two_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_fmtransfer.adapt import stacked_adamw

    calls: list[int] = []
    genuine = stacked_adamw.adamw
    monkeypatch.setattr(stacked_adamw, "adamw", lambda *given, **named: calls.append(1) or genuine(*given, **named))
    values, gradients = stacked(4)
    StackedAdamW(values, gradients, rates_R=[1.0] * 4, decays_R=[0.1] * 4, clip=1.0).step(0.1)
    assert len(calls) == 2


def test_a_restored_state_goes_on_as_if_never_left() -> None:
    points = {"rates_R": [1.0, 2.0, 1.0], "decays_R": [0.1, 0.1, 0.0]}
    values, gradients = stacked(3)
    optimiser = StackedAdamW(values, gradients, **points, clip=1.0)
    stepped(optimiser, gradients, [1e-3] * 4, 1.0)
    again, other = stacked(3)
    restored = StackedAdamW(again, other, **points, clip=1.0)
    again.load(values.state())
    restored.load(optimiser.state())
    stepped(optimiser, gradients, [1e-3] * 3, 1.0, first=4)
    stepped(restored, other, [1e-3] * 3, 1.0, first=4)
    assert all(torch.equal(values.by_name[name], tensor) for name, tensor in again.by_name.items())


def test_biases_and_vectors_do_not_decay() -> None:
    named = dict(Small(0).named_parameters())
    assert {name for name, each in named.items() if decays(name, each)} == {"linear.weight", "queries"}


def test_stacked_parameters_are_those_of_torch() -> None:
    modules = [Small(seed) for seed in range(3)]
    expected, _ = torch.func.stack_module_state(list(modules))
    by_name = StackedParameters.of(modules, CPU).by_name
    assert by_name.keys() == expected.keys()
    assert all(torch.equal(by_name[name], tensor) for name, tensor in expected.items())


def test_rows_are_copied_where_a_mask_says_so() -> None:
    values, best = stacked(3)
    best.copy_rows_(values, torch.tensor([True, False, True]))
    matrix, same = best.by_name["linear.weight"], values.by_name["linear.weight"]
    assert torch.equal(matrix[0], same[0])
    assert torch.equal(matrix[2], same[2])
    assert not matrix[1].any()


def test_what_cannot_be_stacked_is_said() -> None:
    with pytest.raises(InvalidInput, match="at least one"):
        StackedParameters.of([], CPU)
    with pytest.raises(InvalidInput, match="build them alike"):
        StackedParameters.of([nn.Linear(2, 3), nn.Linear(3, 2)], CPU)
    values, gradients = stacked(2)
    with pytest.raises(InvalidInput, match="1 rates and 2 decays for 2 replicas"):
        StackedAdamW(values, gradients, rates_R=[1.0], decays_R=[0.1, 0.1], clip=None)
