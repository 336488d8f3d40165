"""Which backbones see text too, where the vocabulary that BLIP reads by may lie, and what is missing for either.

Nothing is opened or imported but the file in which open_clip describes a model.
"""

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pytest_fmtransfer.catalog.specs import RANDOM, TINY, BackboneSpec, FileWeights, NoWeights, PublishedWeights
from pytest_fmtransfer.checksums import check_sha256
from pytest_fmtransfer.errors import Unavailable
from pytest_fmtransfer.missing import Missing
from pytest_fmtransfer.places import Places
from pytest_fmtransfer.weights_places import can_download, find_weights, short_way_to, ways_to

VOCABULARY = PublishedWeights(
    file="vocab.txt",
    url="https://huggingface.co/google-bert/bert-base-uncased",
    hub="google-bert/bert-base-uncased",
    sha256="07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
)
"""The vocabulary of BERT (Devlin et al. 2019), uncased: a word or a piece of one in each line."""
VOCABULARY_LICENCE = "Apache-2.0"

Tower = Literal["open_clip_text", "blip_text"]


def tower_of(spec: BackboneSpec) -> Tower | None:
    """The module of `pytest_fmtransfer.backbones` that builds a backbone's text tower; None where it has none."""
    if spec.library == "open_clip":
        return "open_clip_text"
    return "blip_text" if spec.library == "transformers" and spec.architecture.startswith("blip_") else None


def foreign_tokenizer(spec: BackboneSpec) -> str:
    """What open_clip would fetch from a hub to read text by; empty for a model that takes CLIP's own vocabulary."""
    package = find_spec("open_clip") if spec.library == "open_clip" else None
    if package is None or package.origin is None:
        return ""
    file = Path(package.origin).parent / "model_configs" / f"{spec.architecture}.json"
    if not file.is_file():  # building the model says that there is no such architecture
        return ""
    text = json.loads(file.read_text(encoding="utf-8")).get("text_cfg", {})
    return text.get("hf_tokenizer_name") or text.get("hf_model_name") or ""


def find_vocabulary(spec: BackboneSpec, places: Places) -> Path | None:
    """The first place that holds BERT's vocabulary: the weights folder, beside the weights, then the caches."""
    folders = [places.weights] if places.weights else []
    weights = spec.weights
    found = find_weights(spec, weights, places) if isinstance(weights, PublishedWeights) else None
    beside = weights.path if isinstance(weights, FileWeights) else found
    folders += [beside.parent] if beside else []
    for folder in folders:
        if (file := folder / VOCABULARY.file).is_file():
            return file
    # A random twin reads by what its backbone reads by.
    twin = replace(spec, name=spec.name.removesuffix(f".{RANDOM}").removesuffix(f".{TINY}"))
    # The hub has moved the repository; caches that were filled before have it under its old name.
    older = replace(VOCABULARY, hub=VOCABULARY.hub.rpartition("/")[2])
    return find_weights(twin, VOCABULARY, places) or find_weights(twin, older, places)


def vocabulary_file(spec: BackboneSpec, places: Places) -> Path:
    """The vocabulary that BLIP reads text by. It is downloaded where `places` allows that.

    Raises Unavailable, with the remedy, when it is not here, and CheckpointMismatch for another vocabulary than BERT's,
    unless it lies beside weights of the user's own.
    """
    path = find_vocabulary(spec, places)
    if path is None and can_download(VOCABULARY, places):
        from pytest_fmtransfer.download import download  # collection asks for nothing of the network

        path = download(replace(spec, licence=VOCABULARY_LICENCE), VOCABULARY, places)
    if path is None:
        raise Unavailable("; ".join(map(str, text_lacks(spec, places))))
    if not (isinstance(spec.weights, FileWeights) and path.parent == spec.weights.path.parent):
        check_sha256(path, VOCABULARY, f"vocabulary of the text tower of {spec.name}", places)
    return path


def never_reads(spec: BackboneSpec) -> Missing | None:
    """Why a backbone can be compared with no text, whatever is put in place; None for one that can be."""
    if tower_of(spec) is None:
        remedy = "name an OpenCLIP or a BLIP backbone, such as openclip_vitb16 or blip_vitb16"
        if isinstance(spec.weights, NoWeights):
            remedy = "run zeroshot without --fm-controls, whose shortcut probe reads no text"
        return Missing(reason=f"zeroshot needs a text tower, and {spec.name} has none", remedy=remedy)
    if foreign := foreign_tokenizer(spec):
        return Missing(
            reason=f"the text tower of {spec.name} reads by {foreign}, which open_clip would fetch",
            remedy="name a model that reads by CLIP's own vocabulary, such as ViT-B-16",
        )
    return None


def text_lacks(spec: BackboneSpec, places: Places) -> list[Missing]:
    """What a backbone lacks to be compared with text."""
    if (never := never_reads(spec)) is not None:
        return [never]
    if tower_of(spec) == "open_clip_text" or can_download(VOCABULARY, places) or find_vocabulary(spec, places):
        return []
    licensed = replace(spec, licence=VOCABULARY_LICENCE)
    return [
        Missing(
            reason=f"no vocabulary of the text tower of {spec.name}",
            remedy=ways_to(licensed, VOCABULARY, places),
            short=short_way_to(licensed, VOCABULARY, places),
        )
    ]
