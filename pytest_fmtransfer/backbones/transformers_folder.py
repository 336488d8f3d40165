"""The image side of a model that transformers saved into a folder: loaded strictly, and no code in it is run."""

import copy
import json
import re
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import transformers
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import logging

from pytest_fmtransfer.backbones.base import seeded
from pytest_fmtransfer.backbones.checkpoints import load_only_tree
from pytest_fmtransfer.backbones.shards import saved_folder
from pytest_fmtransfer.catalog.specs import BackboneSpec
from pytest_fmtransfer.errors import CheckpointMismatch, InvalidInput

VISION = "vision_model"  # the image side of a model of images and text
_FUNCTION = "write a function that builds the network: {name}=py:module:function,weights={weights}"
_MASKS = re.compile(r"(Sam|EdgeTam)\w*Model")


def build_network(spec: BackboneSpec, weights: Path | None) -> tuple[nn.Module, bool]:
    """The image side of the model, and whether its weights hold all that it pools with.

    Three kinds of tensors may differ between file and model: a text side and a whole pooling layer may be missing, and
    the head of the task that the saved model was trained for may be left over.

    Raises:
        InvalidInput: The folder is not one of the library's, its network needs code in the folder, or it is no encoder
            of images; says what works instead.
        CheckpointMismatch: A tensor of the encoder is missing, left over or of another shape; names it.
    """
    folder = saved_folder(spec.architecture, weights)
    if folder is None or not (folder / "config.json").is_file():
        raise InvalidInput(f"{spec.name}: {folder} holds no config.json; name a folder that transformers has saved")
    with quiet():
        config = _config(spec, folder, weights)
        with torch.device("meta"):  # for its class and the names of its tensors
            model = cast(PreTrainedModel, AutoModel.from_config(copy.deepcopy(config), trust_remote_code=False))
        _check_vision(spec, folder, model)
        if weights is None:
            with seeded(spec):
                whole = cast(PreTrainedModel, AutoModel.from_config(config, trust_remote_code=False))
            return _image_side(whole).eval(), True
        loader = _Loader(spec=spec, config=config, model=model, path=weights)
        network = load_only_tree(weights, loader.load, loader.names)
        return network.eval(), loader.pools


def _config(spec: BackboneSpec, folder: Path, weights: Path | None) -> PreTrainedConfig:
    """What the folder's config.json describes, which has to be a model of the library's own."""
    file = folder / "config.json"
    if (adapter := folder / "adapter_config.json").is_file():
        raise InvalidInput(
            f"{spec.name}: {adapter} is of an adapter, which is no part of the model's file; save the model with it: "
            "merge_and_unload() of peft, then save_pretrained(FOLDER)"
        )
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{spec.name}: {file} is no JSON ({error}); save the model again") from error
    if not isinstance(said, dict):
        raise InvalidInput(f"{spec.name}: {file} holds no settings of a model; save the model again")
    said = cast(dict[str, object], said)
    kind, named = said.get("model_type"), weights or folder
    other = _FUNCTION.format(name=spec.name, weights=named)
    if code := said.get("auto_map"):
        files = ", ".join(map(str, cast(dict[str, object], code).values())) if isinstance(code, dict) else code
        own = f"; or take auto_map out of it for the library's own model of type {kind!r}" if _is_known(kind) else ""
        raise InvalidInput(
            f"{spec.name}: {file} names code in the folder ({files}), and code of a folder is never run; {other}{own}"
        )
    if kind == "timm_wrapper" or (kind is None and "architecture" in said):
        raise InvalidInput(
            f"{spec.name}: {folder} is a folder of timm's; "
            f"write {spec.name}=timm:{said.get('architecture', 'NAME')},weights={named}"
        )
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever a class of the library does with settings that are not its own
        if not _is_known(kind):
            raise InvalidInput(
                f"{spec.name}: transformers {transformers.__version__} has no model of type {kind!r}, which {file} "
                f"names; {other}"
            ) from error
        raise InvalidInput(f"{spec.name}: {file}: {_one_line(error)}; save the model again") from error


def _is_known(kind: object) -> bool:
    return isinstance(kind, str) and kind in CONFIG_MAPPING


def _check_vision(spec: BackboneSpec, folder: Path, model: PreTrainedModel) -> None:
    name = type(model).__name__
    if _MASKS.fullmatch(name) and not hasattr(model.config, "image_size"):
        raise InvalidInput(
            f"{spec.name}: {name} in {folder} answers prompts with masks and gives no embedding; name a row of the "
            "catalogue (sam_vitb16, sam_vitl16, sam_vith16, or one of SAM 2.1) with its publisher's file, or "
            f"timm's encoder: {spec.name}=timm:samvit_base_patch16"
        )
    config = _image_side(model).config
    if not hasattr(config, "image_size") and not hasattr(config, "num_channels"):
        raise InvalidInput(
            f"{spec.name}: {name} in {folder} is no vision model; name a folder of an encoder of images, or "
            + _FUNCTION.format(name=spec.name, weights="FILE")
        )


def _image_side(model: PreTrainedModel) -> PreTrainedModel:
    return cast(PreTrainedModel, getattr(model, VISION, model))


@dataclass(kw_only=True)
class _Loader:
    """Puts tensors into the library's model, as it does itself: old names, and prefixes of a task, are its own work.

    `model` has no values: it stands for its class. `pools` says of what was loaded last whether it pools.
    """

    spec: BackboneSpec
    config: PreTrainedConfig
    model: PreTrainedModel
    path: Path
    pools: bool = True
    _tried: bool = False

    def names(self) -> list[str]:
        """Of the tensors of the image side, as the library's whole model has them."""
        return [name for name in self.model.state_dict() if self._is_visual(name)]

    def load(self, tensors: Mapping[str, Tensor]) -> nn.Module:
        """Raises CheckpointMismatch for the first tensor of the image side that does not fit."""
        # The file as it stands may have old names, which the library knows; a part of it has the network's.
        prefix = f"{self.model.base_model_prefix}."
        if self._tried and not {name.removeprefix(prefix) for name in tensors} & set(self.names()):
            raise CheckpointMismatch(f"{self.path}: no tensor has a name of {type(self.model).__name__}'s")
        self._tried = True
        try:
            with seeded(self.spec):
                found = cast(
                    object,
                    type(self.model).from_pretrained(
                        None,
                        config=copy.deepcopy(self.config),
                        state_dict=dict(tensors),
                        output_loading_info=True,
                        ignore_mismatched_sizes=True,  # told in our words
                        dtype=torch.float32,
                        trust_remote_code=False,
                    ),
                )
        except Exception as error:  # whatever the library does with tensors that are not its own
            raise CheckpointMismatch(
                f"{self.path} does not fit {type(self.model).__name__}: {_one_line(error)}"
            ) from error
        whole, told = cast(tuple[PreTrainedModel, dict[str, Any]], found)
        for name, theirs, ours in sorted(told["mismatched_keys"]):
            raise CheckpointMismatch(
                f"{self.path}: tensor {name!r} has shape {tuple(theirs)}, the architecture's has {tuple(ours)}"
            )
        missing = {name for name in map(str, told["missing_keys"]) if self._is_visual(name)}
        pooler = {name for name in self.names() if "pooler" in name.split(".")}
        if missing != pooler:  # a whole layer that pools may be missing: the embedding is then not what it gives
            for name in sorted(missing):
                raise CheckpointMismatch(f"{self.path}: tensor {name!r} of the architecture is not in the file")
        left = set(map(str, told["unexpected_keys"]))
        for name in sorted(left - self._heads(tensors, left)):
            raise CheckpointMismatch(f"{self.path}: tensor {name!r} of the file is not in the architecture")
        self.pools = not missing
        return _image_side(whole)

    def _is_visual(self, name: str) -> bool:
        return not hasattr(self.model, VISION) or name.startswith(f"{VISION}.")

    def _heads(self, tensors: Mapping[str, Tensor], left: Collection[str]) -> set[str]:
        """Tensors of the task that the model was saved with, none of which is the encoder's.

        They are those that the class has which config.json says was saved, and those that do not stand under the
        encoder's prefix in a file that has it.
        """
        prefix = f"{self.model.base_model_prefix}."
        if any(name.startswith(prefix) for name in tensors):
            return {name for name in left if not name.startswith(prefix)}
        return {name for name in left if name in self._saved_names()}

    def _saved_names(self) -> set[str]:
        for name in self.config.architectures or ():
            kind = getattr(transformers, name, None)
            if isinstance(kind, type) and issubclass(kind, PreTrainedModel):
                with torch.device("meta"):
                    return set(kind(copy.deepcopy(self.config)).state_dict())
        return set()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


@contextmanager
def quiet() -> Generator[None]:
    """The library tells what a file lacks by warnings; we tell it by errors. Its bars are shown to nobody."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
