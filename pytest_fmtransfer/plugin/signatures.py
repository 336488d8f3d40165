"""The marks of the plugin as `pytest --markers` shows them; a mark that does not fit is told its signature."""

MARKS = (
    "fm_cells(backbones, datasets, regimes, reference=None, over=None, cells=None, closed=False, recorded=False, "
    "registered=False, pooled=False): parametrise a test over backbone × dataset × regime; `reference` is a backbone, "
    "or a cell id, in which {backbone}, {dataset} and {regime} are filled in; over='datasets' or over='backbones' "
    "makes one test of all of them, for the fixtures `candidates` and `references`; "
    "cells=['{backbone}-{dataset}-knn', …] in the place of `regimes`, with over='datasets', makes one test of these "
    "cells on all datasets, for each of `backbones` where a cell says {backbone}; closed=True is a claim about the "
    "named backbones alone, which no --fm-backbone "
    "joins; pooled=True, in a test that asks for `baseline`, also judges all its seeded cells together, once; "
    "fm_cells(recorded=True), with nothing but pooled besides, is about every cell that has a baseline; "
    "fm_cells(registered=True, regimes=[…]) about every backbone of the catalogue on each of its datasets",
    "fm_claim(source='', where='', family='', family_size=1, expected={}, controls=False): who claims it and where, "
    "how many claims make one sentence about one dataset and regime (`family` names it across tests), known "
    "exceptions {cell id: (verdict, reason)}, and whether the controls are run with it",
    "fm_cell(backbone, dataset, regime): set on every item for each of its cells, to select with -m",
)


def signature(name: str) -> str:
    """'fm_claim(source='', …)': how a mark of ours is written."""
    return next(mark for mark in MARKS if mark.startswith(name)).partition(":")[0]
