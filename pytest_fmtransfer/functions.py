"""A user's own function, `module:function`: found in its source, without running any of it."""

import ast
import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from pytest_fmtransfer.errors import InvalidInput, nearest


def source_of(function: str) -> Path:
    """The file of the module that a function is in.

    Raises InvalidInput when there is no such module, when it is no Python source, or when the source binds no such
    name; a module that imports everything of another is taken at its word.
    """
    module, _, name = function.partition(":")
    found = _found(module)
    if found is None and module.endswith(".py"):
        raise InvalidInput(f"{module!r} is a file; write its module's name, {module.removesuffix('.py')}:{name}")
    if found is None:
        raise InvalidInput(
            f"no module {module!r} for {function}; it is looked for in the folder that pytest calls rootdir, where you "
            "stand, and wherever else Python imports from (ini pythonpath, PYTHONPATH)"
        )
    path = Path(found.origin or "")
    if path.suffix != ".py":
        raise InvalidInput(f"module {module!r} for {function} is no Python source; name one that is a .py file")
    try:
        bound = _bound(ast.parse(path.read_bytes()))
    except SyntaxError as error:
        raise InvalidInput(f"{path} for {function} is not Python: {error}") from error
    if name not in bound and "*" not in bound:
        raise InvalidInput(f"{path} has no function {name!r}; {nearest(name, bound)}")
    return path


def look_in(*folders: Path) -> list[str]:
    """Let modules in these folders be found, after all others; what was added to `sys.path`."""
    added = [str(folder) for folder in dict.fromkeys(folders) if str(folder) not in sys.path]
    sys.path.extend(added)
    return added


def _found(module: str) -> ModuleSpec | None:
    """Where a module is; `find_spec` would import the packages above it."""
    top, *below = module.split(".")
    try:
        found = find_spec(top)
    except ValueError:  # a module that was put together by hand
        return None
    name = top
    for part in below:
        if found is None or found.submodule_search_locations is None:
            return None
        name = f"{name}.{part}"
        found = PathFinder.find_spec(name, list(found.submodule_search_locations))
    return found


def _bound(tree: ast.Module) -> set[str]:
    """Names that a module's source defines, assigns or imports, anywhere; '*' where it imports all of another."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    return names
