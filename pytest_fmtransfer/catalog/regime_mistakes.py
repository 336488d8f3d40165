"""What is wrong with a name that is nearly a regime's, and what to write: the rule it breaks, not the nearest names."""

import re
from collections.abc import Callable
from itertools import permutations

Known = Callable[[str], bool]
"""Whether a name stands for a regime."""

_SWEPT = "a sweep trains heads on a backbone that does not learn: frozen_…, drop<k>_… and attention_probe alone"
_VIEWED = "views are stored of a backbone that does not learn: frozen_… and drop<k>_… alone"
_AUGMENTED = "this regime augments nothing, and has no variant .unaugmented"

_RULES = (
    (r"fewshot0*", "k is how many training images of each class there are, from 1 on", "fewshot5"),
    (r"lora0*", "r is the rank of what is learnt, from 1 on", "lora8"),
    (r"(partial|drop)(_linear|_deitb)", "k is a block, counted from 0", r"\g<1>9\2"),
)


def mistake_in(name: str, known: Known) -> str:
    """A sentence that names a rule of the grammar and a regime that keeps it; empty where no rule is known."""
    base, *suffixes = name.split(".")
    if known(plainly := re.sub(r"(?<=[a-z])0+(?=[0-9])", "", name)) and plainly != name:
        return f"a number has no zeros before it; write {plainly}"
    for pattern, rule, instead in _RULES:
        if match := re.fullmatch(pattern, base):
            return f"{rule}; write {'.'.join([match.expand(instead), *suffixes])}"
    if any(re.fullmatch(r"views0*", each) for each in suffixes):
        return f"V is how many views are stored, from 1 on; write {base}.views4"
    if others := [order for order in permutations(suffixes) if known(".".join((base, *order)))]:
        return f"what follows a dot has an order; write {'.'.join((base, *others[0]))}"
    return _without(base, suffixes, known)


def _without(base: str, suffixes: list[str], known: Known) -> str:
    """Of a regime that has not the variant asked for."""
    for at, each in enumerate(suffixes):
        rest = ".".join((base, *suffixes[:at], *suffixes[at + 1 :]))
        if not known(rest):
            continue
        if each == "sweep":
            return f"{_SWEPT}; write frozen_linear.sweep, or {rest} without one"
        if each == "every" or re.fullmatch(r"views[0-9]+", each):
            return f"{_VIEWED}; write {rest}"
        if each == "unaugmented":
            return f"{_AUGMENTED}; write {rest}"
        if each == "small_random":
            return f"the small head takes the place of deitb's; write {rest.replace('_linear', '_deitb')}.small_random"
    return ""
