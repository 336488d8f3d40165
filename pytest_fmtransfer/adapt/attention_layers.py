"""torch's attention as two linear layers, so that what is added to linear layers is added to it too.

`nn.MultiheadAttention`, which OpenCLIP is built of, keeps its first product as a bare parameter and reads the second
one's weights past their layer. peft's own answer adds the second's additions twice and leaves its rounding in frozen
weights (https://github.com/huggingface/peft/pull/3774; so in 0.21.2). timm's EVA and BEiT read the weights of a layer
past it too, to add biases that are kept apart, unless they are told to add them behind it.

Legend: N images, T tokens, E a token's width, H heads, W a head's width.
"""

from collections.abc import Collection
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from pytest_fmtransfer.errors import Impossible, InvalidInput


class SelfAttention(nn.Module):
    """What `nn.MultiheadAttention` computes of tokens that attend to themselves, N × T × E; nothing is dropped."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        weight = cast(nn.Parameter, attention.in_proj_weight)
        self.heads = attention.num_heads
        self.qkv = nn.Linear(attention.embed_dim, len(weight), bias=attention.in_proj_bias is not None, device="meta")
        self.qkv.weight = weight
        if attention.in_proj_bias is not None:
            self.qkv.bias = attention.in_proj_bias
        self.out_proj = cast(nn.Linear, attention.out_proj)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
    ) -> tuple[Tensor, None]:
        """Raises InvalidInput for what needs more: another source of keys, a mask, or weights asked for."""
        if key is not query or value is not query or need_weights or not (key_padding_mask is attn_mask is None):
            raise InvalidInput("low-rank additions are for attention of tokens to themselves, without masks")
        qkv = self.qkv(query).unflatten(-1, (3, self.heads, -1))  # N × T × 3 × H × W
        attended_NHTW = scaled_dot_product_attention(*(each.transpose(1, 2) for each in qkv.unbind(2)))
        return self.out_proj(attended_NHTW.transpose(1, 2).flatten(2)), None


def as_linear_layers(network: nn.Module, within: Collection[nn.Module]) -> None:
    """Replace torch's attention, in place, by the same of linear layers with the same weights, where it is `within`.

    timm's attention is told to call its own layers. Raises Impossible for attention that this cannot stand for, and
    for a `nn.TransformerEncoderLayer`, which in evaluation reads weights past all of its layers.
    """
    for name, module in list(network.named_modules()):
        if module not in within:
            continue
        if isinstance(module, nn.TransformerEncoderLayer) or not _fits(module):
            raise Impossible(
                f"{name} is a {type(module).__name__} of torch's, which would pass by what is added to its layers; "
                "write finetune_linear or partial<k>_linear"
            )
        if isinstance(module, nn.MultiheadAttention):
            network.set_submodule(name, SelfAttention(module).train(module.training))
        elif hasattr(module, "qkv_bias_separate"):
            cast(Any, module).qkv_bias_separate = True


def _fits(module: nn.Module) -> bool:
    """Anything but attention to keys of other widths or of its own, or with tokens second."""
    return not isinstance(module, nn.MultiheadAttention) or (
        module.in_proj_weight is not None and module.batch_first and module.bias_k is None and not module.add_zero_attn
    )
