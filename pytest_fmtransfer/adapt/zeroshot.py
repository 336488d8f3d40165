"""No training at all: an image's class is the one whose description lies nearest in the space shared with text.

A class is described by prompts, each template with each phrase. Its vector is the mean of their unit embeddings,
brought to unit length again: the prompt ensemble of Radford et al., "Learning Transferable Visual Models From Natural
Language Supervision", ICML 2021, section 3.1.4. Where an image may bear several labels, each has a second vector, of an
image without it, and both compete for the image (Tiu et al., Nature Biomedical Engineering 2022).

Legend: N images of a dataset, T of its test side, C classes or labels, M texts, D the width of the shared space, E of
an embedding.
"""

import random
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pytest_fmtransfer.adapt.job import Job, Ran
from pytest_fmtransfer.adapt.pooled import on_pooled
from pytest_fmtransfer.adapt.sides import Adapted
from pytest_fmtransfer.backbones.text_towers import TextTower, text_tower
from pytest_fmtransfer.catalog.prompts import fill
from pytest_fmtransfer.catalog.regime_settings import ZeroShotSettings
from pytest_fmtransfer.data.table import TEST


def run(job: Job, settings: ZeroShotSettings, seeds: Sequence[int]) -> Ran:
    """Scores of the test side, from its stored features; neither training nor validation side is used.

    No seed changes anything, except on shuffled labels. There is no label to learn from, so it is the descriptions
    that are shuffled: each seed gives the classes those of one another.
    """
    chosen = {
        "phrases": "the dataset's" if job.dataset.spec.prompts else "names of the classes",
        "prompts": sum(len(texts) for texts in described(settings)),
    }

    def adapted(pooled_NE: np.ndarray) -> list[Adapted]:
        tested_TE = pooled_NE[job.dataset.table.side(TEST)]
        scores_TC = scores(text_tower(job.spec, job.places), settings, tested_TE, of=job.spec.name)
        return [
            Adapted(scores_TC=_shuffled(scores_TC, seed) if job.dataset.spec.shuffled else scores_TC, chosen=chosen)
            for seed in seeds
        ]

    return on_pooled(job, adapted, sides=(TEST,))


def scores(tower: TextTower, settings: ZeroShotSettings, pooled_TE: np.ndarray, *, of: str) -> np.ndarray:
    """Logits, T × C float32: the cosine with a class's vector, times the scale that was learnt.

    Where an image may bear several labels, the logarithm of the odds of each: the difference of the two logits.
    """
    vectors = class_vectors(tower, described(settings), of=of)
    labels = len(settings.phrases)
    images_TD = tower.images(torch.from_numpy(np.ascontiguousarray(pooled_TE, dtype=np.float32)))
    scores_TC = images_TD @ vectors[:labels].T
    if settings.absent:
        scores_TC = scores_TC - images_TD @ vectors[labels:].T
    return (tower.scale * scores_TC).numpy()


def described(settings: ZeroShotSettings) -> tuple[tuple[str, ...], ...]:
    """The prompts of each class; after them, where an image may bear several labels, those of each label's absence."""
    return tuple(fill(settings.templates, phrases) for phrases in (*settings.phrases, *settings.absent))


def class_vectors(tower: TextTower, described: Sequence[Sequence[str]], *, of: str) -> Tensor:
    """Of what each row of prompts describes, C × D, of unit length. A prompt that stands twice is embedded once."""
    texts = list(dict.fromkeys(text for prompts in described for text in prompts))
    row_of, texts_MD = {text: row for row, text in enumerate(texts)}, tower.texts(texts, of=of)
    means = [texts_MD[[row_of[text] for text in prompts]].mean(dim=0) for prompts in described]
    return nn.functional.normalize(torch.stack(means), dim=-1)


def _shuffled(scores_TC: np.ndarray, seed: int) -> np.ndarray:
    columns = list(range(scores_TC.shape[1]))
    random.Random(seed).shuffle(columns)  # its sequence is the same in every Python
    return scores_TC[:, columns]
