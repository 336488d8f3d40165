"""The recurrence in parts equals the recurrence step by step, and so do its gradients."""

import pytest
import torch
from torch import Tensor

from pytest_fmtransfer.backbones.selective_scan import selective_scan


def drawn(parts: int, places: int, *, steepness: float = 1.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(parts * 100 + places)
    rates = -steepness * torch.rand(2, 3, parts, places, generator=generator)
    return rates.requires_grad_(), torch.randn(2, 3, parts, places, generator=generator).requires_grad_()


def step_by_step(rates: Tensor, entering: Tensor) -> Tensor:
    state, states = torch.zeros_like(entering[..., 0, 0]), list[Tensor]()
    for rate, new in zip(rates.flatten(-2).unbind(-1), entering.flatten(-2).unbind(-1), strict=True):
        state = rate.exp() * state + new
        states.append(state)
    return torch.stack(states, dim=-1).unflatten(-1, entering.shape[-2:])


@pytest.mark.parametrize(("parts", "length"), [(1, 1), (1, 7), (7, 1), (5, 3), (14, 14)])
def test_it_equals_the_recurrence_step_by_step(parts: int, length: int) -> None:
    rates, entering = drawn(parts, length)
    torch.testing.assert_close(selective_scan(rates, entering), step_by_step(rates, entering), rtol=1e-6, atol=1e-6)


def test_its_gradients_are_those_of_the_recurrence() -> None:
    found, expected = ([*drawn(5, 4)] for _ in range(2))
    selective_scan(*found).sin().sum().backward()
    step_by_step(*expected).sin().sum().backward()
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.grad is not None
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-5, atol=1e-6)


def test_states_that_fade_to_nothing_leave_everything_finite() -> None:
    rates, entering = drawn(8, 8, steepness=1000.0)
    states = selective_scan(rates, entering)
    states.sum().backward()
    assert rates.grad is not None
    assert states.isfinite().all()
    assert rates.grad.isfinite().all()
    torch.testing.assert_close(states.detach(), step_by_step(rates, entering).detach(), rtol=1e-6, atol=1e-6)


def test_half_precision_is_computed_in_single() -> None:
    rates, entering = (each.detach().bfloat16() for each in drawn(6, 6))
    found = selective_scan(rates, entering)
    assert found.dtype == torch.float32
    assert torch.equal(found, selective_scan(rates.float(), entering.float()))
