"""Textbook tests beside a verdict. They know one seed and one image per patient, and never decide.

Legend: N test images.
"""

import numpy as np
from scipy.stats import binomtest, norm

from pytest_fmtransfer.judge.comparison import Comparison


def diagnostics(comparison: Comparison) -> list[str]:
    """DeLong's test of two ROC-AUCs, McNemar's exact test of two accuracies; empty where they do not apply."""
    candidate, reference = comparison.candidate, comparison.reference
    one_image_each = candidate.patients == len(candidate.ids_N)
    if len(candidate.seeds) > 1 or len(reference.seeds) > 1 or not one_image_each or candidate.labels_N.ndim > 1:
        return []
    told: list[str] = []
    piece = comparison.patient_piece
    if candidate.question.metric == "roc_auc" and piece is not None and piece.variance > 0:
        z = comparison.effect / float(np.sqrt(piece.variance))
        above, either = float(norm.sf(z)), 2 * float(norm.sf(abs(z)))
        told.append(f"DeLong's test: z {z:+.2f}, one-sided p {above:.2g} (better), two-sided p {either:.2g}")
    mine_N, other_N = (result.scores_SNC[0].argmax(axis=1) == result.labels_N for result in (candidate, reference))
    better, worse = int((mine_N & ~other_N).sum()), int((other_N & ~mine_N).sum())
    if better + worse:
        p = float(binomtest(better, better + worse).pvalue)
        told.append(
            f"McNemar's exact test: right where the reference is wrong {better}, wrong where it is right {worse}, "
            f"two-sided p {p:.2g}"
        )
    return told
