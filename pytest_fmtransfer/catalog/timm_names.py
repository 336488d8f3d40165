"""The names of timm's models, read from its source without importing it, which would take seconds.

So a suite that names `timm.<model>` is collected at once, and a name that timm does not have is refused then.
"""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pytest_fmtransfer.errors import UnknownName

PREFIX = "timm."
_MODEL = re.compile(r"^@register_model\s+def (\w+)\(", re.MULTILINE)
_TAGGED = re.compile(r"""^\s+['"]([a-z0-9_]+\.[a-z0-9_]+)['"]\s*:""", re.MULTILINE)


def check_timm(name: str) -> str:
    """The architecture that `timm.<model>` or `timm.<model>.<tag>` names. Raises UnknownName, with near names."""
    architecture = name.removeprefix(PREFIX)
    if architecture not in timm_names():
        raise UnknownName("backbone", name, (PREFIX + each for each in timm_names()))
    return architecture


@cache
def timm_names() -> frozenset[str]:
    """Every architecture of the installed timm, and every one with the tag of its weights."""
    found = find_spec("timm")
    folders = found.submodule_search_locations if found else None
    if not folders:
        return frozenset()
    texts = [path.read_text(encoding="utf-8") for path in (Path(folders[0]) / "models").glob("*.py")]
    models = {name for text in texts for name in _MODEL.findall(text)}
    tagged = {name for text in texts for name in _TAGGED.findall(text)}
    return frozenset(models | {name for name in tagged if name.partition(".")[0] in models})
