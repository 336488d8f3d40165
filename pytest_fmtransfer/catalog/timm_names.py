"""The names of timm's models, read from its source without importing it, which would take seconds.

So a suite that names `timm.<model>` is collected at once, and a name that timm does not have is refused then.
"""

import re
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from pytest_fmtransfer.catalog.specs import RANDOM, TINY
from pytest_fmtransfer.errors import InvalidInput, UnknownName, nearest

PREFIX = "timm."
LISTED_BY = "`timm.list_models()` in Python"
_MODEL = re.compile(r"^@register_model\s+def (\w+)\(", re.MULTILINE)
_TAGGED = re.compile(r"""['"](\w+\.\w+)['"]""")
_FORMER = re.compile(r"^register_model_deprecations\(__name__, \{(.*?)^\}\)", re.MULTILINE | re.DOTALL)
_KEY = re.compile(r"""^\s*['"](\w+)['"]\s*:""", re.MULTILINE)


def check_timm(name: str) -> str:
    """The architecture that `timm.<model>` or `timm.<model>.<tag>` names.

    Raises UnknownName, with near names, for a model that timm has not; only timm itself knows all tags.
    """
    architecture = name.removeprefix(PREFIX)
    model, _, tag = architecture.partition(".")
    if model not in timm_models() or tag.rpartition(".")[2] in (RANDOM, TINY):
        raise UnknownName("backbone", name, (PREFIX + each for each in timm_models()), listed_by=LISTED_BY)
    return architecture


def check_timm_architecture(architecture: str) -> None:
    """Raises InvalidInput, with near names, for an architecture that timm cannot build: `<model>` or `<model>.<tag>`.

    What timm itself looks up elsewhere (`hf-hub:owner/name`) passes, so do tags that timm makes up as it is imported,
    and so does everything where timm is not installed: nothing is built there.
    """
    model, _, tag = architecture.partition(".")
    if ":" in architecture or not timm_models():
        return
    if model not in timm_models() | _former_models() and not _registered_here(model):
        raise InvalidInput(f"timm has no model {model!r}; {nearest(model, timm_models(), listed_by=LISTED_BY)}")
    tagged = [name for name in _tagged_models() if name.startswith(f"{model}.")]
    if tag and tagged and architecture not in tagged:
        raise InvalidInput(f"timm has no weights {architecture!r}; {nearest(architecture, [model, *tagged])}")


def _registered_here(model: str) -> bool:
    """Whether code of the user's has added a model to timm, which is imported then."""
    timm = sys.modules.get("timm")
    return timm is not None and bool(timm.is_model(model))


@cache
def timm_models() -> frozenset[str]:
    """Every model of the installed timm, without tags; none where timm is not installed."""
    return frozenset(name for text in _sources() for name in _MODEL.findall(text))


@cache
def _tagged_models() -> frozenset[str]:
    """Every `<model>.<tag>` that the source of timm names."""
    named = (name for text in _sources() for name in _TAGGED.findall(text))
    return frozenset(name for name in named if name.partition(".")[0] in timm_models())


@cache
def _former_models() -> frozenset[str]:
    """Names under which timm still builds models that it has renamed."""
    return frozenset(name for text in _sources() for names in _FORMER.findall(text) for name in _KEY.findall(names))


@cache
def _sources() -> tuple[str, ...]:
    try:  # where it is installed, without asking Python to import it
        folder = Path(str(distribution("timm").locate_file("timm/models")))
    except PackageNotFoundError:
        return ()
    return tuple(file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.py")))
