"""The names of timm's models, read from its source without importing it, which would take seconds.

So a suite that names `timm.<model>` is collected at once, and a name that timm does not have is refused then.
"""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pytest_fmtransfer.catalog.specs import RANDOM, TINY
from pytest_fmtransfer.errors import UnknownName

PREFIX = "timm."
_MODEL = re.compile(r"^@register_model\s+def (\w+)\(", re.MULTILINE)


def check_timm(name: str) -> str:
    """The architecture that `timm.<model>` or `timm.<model>.<tag>` names.

    Raises UnknownName, with near names, for a model that timm has not; only timm itself knows all tags.
    """
    architecture = name.removeprefix(PREFIX)
    model, _, tag = architecture.partition(".")
    if model not in timm_models() or tag.rpartition(".")[2] in (RANDOM, TINY):
        raise UnknownName("backbone", name, (PREFIX + each for each in timm_models()))
    return architecture


@cache
def timm_models() -> frozenset[str]:
    """Every model of the installed timm, without tags; none where timm is not installed."""
    found = find_spec("timm")
    folders = found.submodule_search_locations if found else None
    if not folders:
        return frozenset()
    files = (Path(folders[0]) / "models").glob("*.py")
    return frozenset(name for file in files for name in _MODEL.findall(file.read_text(encoding="utf-8")))
