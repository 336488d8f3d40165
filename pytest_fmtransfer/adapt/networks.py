"""A backbone with a head, trained together: the learner of every regime whose backbone learns.

Legend: R replicas, here one; A images of the training side, K batches of an epoch, B images of a batch, C classes or
labels.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from pytest_fmtransfer.adapt.heads import Head
from pytest_fmtransfer.adapt.inputs import Feed
from pytest_fmtransfer.adapt.losses import summed_loss, terms_of
from pytest_fmtransfer.adapt.micro_batches import halved
from pytest_fmtransfer.adapt.optimiser import adamw, clip
from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.computing import is_out_of_memory
from pytest_fmtransfer.backbones.precision import Dtype
from pytest_fmtransfer.catalog.regime_settings import TrainingSettings
from pytest_fmtransfer.data.table import TEST, VALIDATION
from pytest_fmtransfer.errors import Unavailable

EVALUATED = 32  # images passed at once where no gradient is kept


class Headed(nn.Module):
    """Inputs of a backbone, or of the part of it that learns, to logits, N × C."""

    def __init__(self, body: nn.Module, head: Head) -> None:
        super().__init__()
        self.body, self.head = body, head

    def forward(self, inputs: Tensor) -> Tensor:
        made = self.body(inputs)
        pooled_ND, tokens_NTE = (made.pooled_ND, made.tokens_NTE) if isinstance(self.body, Backbone) else made
        return self.head(pooled_ND if self.head.takes == "pooled" else tokens_NTE)


class NetworkLearner:
    """Steps of one network. `rows` are the dataset's row numbers by side, `labels_A` those of the training side.

    `micro` images of a batch are passed at once; where memory does not hold them, half as many from then on, which
    `notes` tell. A network with batch normalisation sees the statistics of such a part. `compiled`: what is learnt from
    goes through torch.compile; what is tested does not.
    """

    replicas = 1

    def __init__(
        self,
        module: Headed,
        feed: Feed,
        *,
        rows: Mapping[str, np.ndarray],
        labels_A: np.ndarray,
        settings: TrainingSettings,
        seed: int,
        micro: int,
        dtype: Dtype,
        device: torch.device,
        compiled: bool = False,
    ) -> None:
        self._module, self._feed, self._rows, self._settings, self._seed = module, feed, rows, settings, seed
        self._labels_A = torch.from_numpy(labels_A)
        self._dtype, self._device = dtype, device
        self._optimiser = adamw(module, settings)
        self._best = {name: tensor.clone() for name, tensor in self._learnt().items()}
        self._batches: Iterator[Tensor] = iter(())
        self._in_training = torch.compile(module) if compiled else module
        self.micro, self.notes = micro, list[str]()

    def begin(self, epoch: int, rows_KRB: Tensor) -> None:
        """Chance of the epoch (drop path) follows from seed and epoch; batches begin to be read."""
        torch.manual_seed(int(np.random.SeedSequence([self._seed, epoch]).generate_state(1)[0]))
        self._module.train()
        rows_KB = self._rows["train"][rows_KRB[:, 0].numpy()]
        self._batches = self._feed.training(rows_KB, epoch=epoch, seed=self._seed)

    def step(self, rows_RB: Tensor, epoch: int, share: float) -> Tensor:
        inputs = next(self._batches).to(self._device, non_blocking=True)
        labels_B = self._labels_A[rows_RB[0]]
        for group in self._optimiser.param_groups:
            group["lr"] = share * self._settings.learning_rate
        while True:
            try:
                loss = self._gradients(inputs, labels_B)
                break
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            self._halve(len(inputs), epoch)  # outside the handler, whose error holds on to what is to be freed
        clip((each for group in self._optimiser.param_groups for each in group["params"]), self._settings.clip)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        return loss.unsqueeze(0)

    def scores(self, side: Literal["validation", "test"]) -> Tensor:
        self._module.eval()
        rows_N = self._rows[{"validation": VALIDATION, "test": TEST}[side]]
        with torch.no_grad():  # not inference mode, under which some libraries take slower paths
            parts = [
                self._module(inputs.to(self._device, non_blocking=True)).float()
                for inputs in self._feed.evaluation(rows_N, min(EVALUATED, max(self.micro, 1)))
            ]
        return torch.cat(parts).unsqueeze(0).cpu()

    def keep_best(self, better_R: Tensor) -> None:
        if bool(better_R[0]):
            for name, tensor in self._learnt().items():
                self._best[name].copy_(tensor)

    def use_best(self) -> None:
        self._take(self._best)

    def state(self) -> dict[str, Any]:
        return {
            "learnt": self._learnt(),
            "best": self._best,
            "optimiser": self._optimiser.state_dict(),
            "micro": self.micro,
            "notes": self.notes,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        self._take(state["learnt"])
        for name, tensor in state["best"].items():
            self._best[name].copy_(tensor)
        self._optimiser.load_state_dict(state["optimiser"])
        self.micro, self.notes = state["micro"], list(state["notes"])

    def _gradients(self, inputs: Tensor, labels_B: Tensor) -> Tensor:
        """The batch's loss, its gradient being left with the parameters."""
        terms, losses = max(terms_of(labels_B), 1), list[Tensor]()
        labels_on_device = labels_B.to(self._device, non_blocking=True)
        for start in range(0, len(inputs), self.micro):
            part = slice(start, start + self.micro)
            with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._dtype == "bfloat16"):
                logits_BC = self._logits(inputs[part])
            loss = summed_loss(logits_BC, labels_on_device[part]) / terms
            loss.backward()
            losses.append(loss.detach())
        return torch.stack(losses).sum()

    def _logits(self, inputs: Tensor) -> Tensor:
        if self._in_training is self._module:
            return self._module(inputs)
        from torch._dynamo.exc import TorchDynamoException

        try:
            return self._in_training(inputs)
        except TorchDynamoException as error:
            reason = str(error).strip().partition("\n")[0]
            raise Unavailable(
                f"torch.compile cannot take this network ({reason}); leave out --fm-compile, or install a C++ compiler"
            ) from error

    def _halve(self, batch: int, epoch: int) -> None:
        self._optimiser.zero_grad(set_to_none=True)
        too_large = (
            "memory does not hold the training of one image; choose a smaller backbone or image size, or partial<k> or "
            "lora<r>, which train less"
        )
        self.micro = halved(self.micro, batch, epoch, self.notes, too_large=too_large, device=self._device)

    def _learnt(self) -> dict[str, Tensor]:
        """What training moves: parameters with gradients, and buffers."""
        named = [(name, each.detach()) for name, each in self._module.named_parameters() if each.requires_grad]
        return dict([*named, *self._module.named_buffers()])

    def _take(self, tensors: Mapping[str, Tensor]) -> None:
        own = self._learnt()
        with torch.no_grad():
            for name, tensor in tensors.items():
                cast(Tensor, own[name]).copy_(tensor)
