"""Numbers with their nouns, for every sentence that counts something."""

HISSING = ("s", "x", "sh", "nch", "tch")  # 'branch' and 'batch' hiss, 'epoch' does not


def plural(noun: str) -> str:
    """'patient' → 'patients', 'class' → 'classes', 'group of near copies' → 'groups of near copies'."""
    before, of, rest = noun.partition(" of ")
    return f"{before}{'es' if before.endswith(HISSING) else 's'}{of}{rest}"


def counted(number: int, noun: str, form: str = "d") -> str:
    """'1 claim', '2 claims'; `noun` is in the singular. Under the form ',' thousands stand apart: '1,234 passes'."""
    return f"{number:{form}} {noun if number == 1 else plural(noun)}"
