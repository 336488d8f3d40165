"""A linear recurrence along a sequence, in parts that are run side by side.

Legend: … leading axes, P parts of a sequence, one after the other, S places of a part.
"""

import torch
from torch import Tensor


def selective_scan(rates_PS: Tensor, entering_PS: Tensor) -> Tensor:
    """States x of x₀ = e₀, xₜ = exp(rₜ) · xₜ₋₁ + eₜ, where t runs through all parts, … × P × S in float32.

    `rates_PS` are r, none above 0, and `entering_PS` e. All parts go their S steps at once from nothing; what the end
    of a part hands on then fades through the next. P + S steps instead of P · S, and no quotient that could overflow.
    """
    rates_PS, entering_PS = rates_PS.float(), entering_PS.float()
    # Unbound at once: the gradient of one index would be as large as the whole.
    states: list[Tensor] = []
    for share_P, new_P in zip(rates_PS.exp().unbind(-1), entering_PS.unbind(-1), strict=True):
        states.append(share_P * states[-1] + new_P if states else new_P)
    alone_PS, fading_PS = torch.stack(states, dim=-1), rates_PS.cumsum(dim=-1).exp()
    handed = [torch.zeros_like(alone_PS[..., 0, 0])]
    for share, own in zip(fading_PS[..., -1].unbind(-1), alone_PS[..., -1].unbind(-1), strict=True):
        handed.append(share * handed[-1] + own)
    return alone_PS + fading_PS * torch.stack(handed[:-1], dim=-1).unsqueeze(-1)
