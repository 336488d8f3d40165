"""A transformer's last block for its class token alone: who pools by that reads no other token that the block gives.

All tokens are still attended to; a query, the projection and the MLP, five sixths of a block's work, are computed for
one of them.

Legend: N images, T tokens with the class token first, E a token's width, h heads, W a head's width.
"""

from typing import Any, cast

from timm.layers.attention import Attention
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional


class ClassTokenBlock(nn.Module):
    """timm's block, N × T × E, to its first token, N × 1 × E. Parts and tensors are the block's own."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, tokens_NTE: Tensor) -> Tensor:
        block = cast(Any, self.block)
        class_N1E = tokens_NTE[:, :1]
        class_N1E = class_N1E + block.drop_path1(block.ls1(self._attention(block.norm1(tokens_NTE))))
        return class_N1E + block.drop_path2(block.ls2(block.mlp(block.norm2(class_N1E))))

    def _attention(self, tokens_NTE: Tensor) -> Tensor:
        attention = cast(Any, self.block).attn
        weight, bias, width = attention.qkv.weight, attention.qkv.bias, attention.qkv.out_features // 3
        biases = (None, None) if bias is None else (bias[:width], bias[width:])
        query_N1E = functional.linear(tokens_NTE[:, :1], weight[:width], biases[0])
        others_NTE2 = functional.linear(tokens_NTE, weight[width:], biases[1])
        heads = (attention.num_heads, -1)
        query_Nh1W = attention.q_norm(query_N1E.unflatten(2, heads).transpose(1, 2))
        key_NhTW, value_NhTW = (each.unflatten(2, heads).transpose(1, 2) for each in others_NTE2.chunk(2, dim=2))
        found_Nh1W = functional.scaled_dot_product_attention(query_Nh1W, attention.k_norm(key_NhTW), value_NhTW)
        found_N1E = found_Nh1W.transpose(1, 2).flatten(2)
        return attention.proj(attention.norm(found_N1E) if hasattr(attention, "norm") else found_N1E)


def for_class_token(block: nn.Module) -> ClassTokenBlock | None:
    """The block for its first token; None for one that is not timm's plain block, or has other parts in it.

    One that drops single features at random is none either: it would draw others.
    """
    if type(block) is not Block or type(block.attn) is not Attention or type(block.attn.qkv) is not nn.Linear:
        return None
    drops = any(isinstance(each, nn.Dropout) and each.p > 0 for each in block.modules())
    gated = getattr(block.attn, "gate", None) is not None
    return None if drops or gated else ClassTokenBlock(block)
