"""A row of the catalogue becomes a backbone: the one place that finds the module of its library."""

from importlib import import_module

from pytest_fmtransfer.availability import weights_file
from pytest_fmtransfer.backbones.base import Backbone
from pytest_fmtransfer.backbones.function_code import remember
from pytest_fmtransfer.catalog.specs import BackboneSpec, StandInWeights
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.store import Store


def build_backbone(
    spec: BackboneSpec, places: Places, *, trainable: bool = False, cut_after: int | None = None
) -> Backbone:
    """The backbone with its weights, cut off after a block where one is named.

    Raises Unavailable and CheckpointMismatch as weights do, and InvalidInput for a block that the backbone does not
    have.
    """
    module = import_module(f"pytest_fmtransfer.backbones.{spec.library}")
    backbone: Backbone = module.build(spec, weights_file(spec, places), channels=spec.channels, trainable=trainable)
    if spec.library == "python":
        from pytest_fmtransfer.backbones.python import FunctionBackbone

        assert isinstance(backbone, FunctionBackbone)
        remember(spec.architecture, spec.channels, backbone.opened, Store(root=places.store))
    stands_in = isinstance(spec.weights, StandInWeights)
    if stands_in:
        from pytest_fmtransfer.backbones.sight import deepen

        deepen(backbone)
    if cut_after is not None:
        from pytest_fmtransfer.backbones.cutting import cut_after as cut

        backbone = cut(backbone, cut_after)
    if stands_in:
        from pytest_fmtransfer.backbones.sight import give_sight

        give_sight(backbone, trainable=trainable)
    return backbone
