"""What a study's figures depend on: its module, and what that imports of the judge, the metrics and the simulation.

A block of trials is run again when code of these changed. Comments and docstrings are not code.
"""

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from benchmarks.calibration.study import Study

# Other modules carry results about; what they compute, the judge does not ask for.
FOLLOWED = (
    "benchmarks.calibration.",
    "pytest_fmtransfer.judge.",
    "pytest_fmtransfer.metrics.",
    "pytest_fmtransfer.margins.",
)


def code_digest(study: Study) -> str:
    """32 hex digits over the code of every module that the study's figures depend on."""
    whole = hashlib.blake2b(digest_size=16)
    for name in sorted(frozenset().union(*map(_reached, _modules_of(study)))):
        whole.update(f"{name} {_digest(source_of(name))}\n".encode())
    return whole.hexdigest()


def _modules_of(declared: object) -> Iterator[str]:
    """Of a study and of what it is made of, its scenario for one."""
    if f"{type(declared).__module__}.".startswith(FOLLOWED):
        yield type(declared).__module__
    if is_dataclass(declared):
        for field in fields(declared):
            yield from _modules_of(getattr(declared, field.name))


def _reached(module: str) -> frozenset[str]:
    found, waiting = {module}, [module]
    while waiting:
        new = {name for name in _names(source_of(waiting.pop())) if _path(name) is not None} - found
        found |= new
        waiting += new
    return frozenset(found)


def source_of(module: str) -> str:
    """The text of a module."""
    path = _path(module)
    assert path is not None, module
    return path.read_text(encoding="utf-8")


@cache
def _names(source: str) -> frozenset[str]:
    """What a module's text imports of what is followed; a class or a function looks like a module here."""
    tree = ast.parse(source)
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
    }
    return frozenset(
        name
        for node in ast.walk(tree)
        if id(node) not in for_types
        if isinstance(node, ast.ImportFrom) and node.module
        for name in (node.module, *(f"{node.module}.{each.name}" for each in node.names))
        if f"{name}.".startswith(FOLLOWED)
    )


@cache
def _digest(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return hashlib.blake2b(ast.dump(tree).encode(), digest_size=16).hexdigest()


@cache
def _path(module: str) -> Path | None:
    """None where it is no module."""
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:  # its parent is a module, and no package
        return None
    return None if spec is None or spec.origin is None else Path(spec.origin)
