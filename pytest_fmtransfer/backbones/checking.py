"""A backbone is looked at before anything is extracted with it: what it gives an image is to be the image's alone.

Two passes of a small batch of noise, the second in reverse order and with one image exchanged for another, see chance
that is drawn in evaluation mode, an order or a batch that matters, and an output that changes its width. These passes
are no image's of a dataset and are counted nowhere. A backbone is looked at once, and what was found is kept.

Legend: N images, S pixels of a side, D features.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytest_fmtransfer.backbones.precision import Dtype
from pytest_fmtransfer.backbones.threads import import_torch
from pytest_fmtransfer.catalog.specs import BackboneSpec
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.store import Store, code_digest, fingerprint


@dataclass(frozen=True, kw_only=True)
class Looked:
    """Width of the pooled embedding, and the activations of the network, where they are modules of it."""

    width: int
    activation: str


def looked_at(
    spec: BackboneSpec, dtype: Dtype, places: Places, subject: dict[str, Any], *, tokens: bool = False
) -> Looked:
    """What a backbone is found to be. `subject` is all that may move what it gives; `tokens` whether these are read.

    Raises InvalidInput for a backbone that does not give the same for the same image, and as building it does.
    """
    code = code_digest("backbones/checking.py", "backbones/two_passes.py")
    name = {} if spec.library != "python" else {"function": spec.architecture}
    key = fingerprint(subject, name, tokens, code)

    def compute(entry: Path) -> None:
        import_torch()
        from pytest_fmtransfer.backbones.two_passes import look

        width, activation = look(spec, dtype, places, tokens=tokens)
        found = Looked(width=width, activation=activation)
        (entry / "looked.json").write_text(json.dumps(asdict(found)), encoding="utf-8")

    entry, _ = Store(root=places.store).fetch("looks", key, compute, about={"backbone": spec.name})
    return Looked(**json.loads((entry / "looked.json").read_text(encoding="utf-8")))
