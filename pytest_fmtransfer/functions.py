"""A user's own function, `module:function`: found in its source, without running any of it."""

import ast
import sys
import sysconfig
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, resolve_name
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
        tree = ast.parse(path.read_bytes())
    except SyntaxError as error:
        raise InvalidInput(f"{path} for {function} is not Python: {error}") from error
    bound = _bound(tree)
    if name not in bound and "*" not in bound:
        proposed = _callable(tree)
        told = nearest(name, proposed) if proposed else "it defines no function and no class"
        raise InvalidInput(f"{path} has no function {name!r}; {told}")
    return path


def modules_of(function: str) -> dict[str, Path]:
    """The files of a function's module and of every module of the user's that it imports, by their names.

    Whatever an import statement names counts, wherever it stands, and what it names in turn; so do the packages around
    a module. What is installed, and this package, are not the user's. Raises InvalidInput as `source_of` does.
    """
    found = {function.partition(":")[0]: source_of(function)}
    waiting = [*found, *_packages_around(*found)]
    seen: set[str] = set()
    while waiting:
        if (name := waiting.pop()) in seen:
            continue
        seen.add(name)
        path = found.get(name) or _own_file(name)
        if path is None:
            continue
        found[name] = path
        if path.suffix == ".py":
            imported = _imported(path, name)
            waiting += [*imported, *(around for each in imported for around in _packages_around(each))]
    return dict(sorted(found.items()))


def _packages_around(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _own_file(module: str) -> Path | None:
    """The file of a module of the user's; None for any other, and where there is none."""
    if module.partition(".")[0] in (*sys.stdlib_module_names, __package__):
        return None
    found = _found(module)
    path = Path(found.origin) if found is not None and found.has_location and found.origin else None
    return None if path is None or not path.is_file() or is_installed(path) else path


def is_installed(path: Path) -> bool:
    """Whether a file or folder belongs to Python or to what was installed for it."""
    if {"site-packages", "dist-packages"} & set(path.parts):
        return True
    return any(folder in (path, *path.parents) for folder in _folders_of_python())


@cache
def _folders_of_python() -> frozenset[Path]:
    paths = sysconfig.get_paths()
    return frozenset(Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def _imported(path: Path, module: str) -> set[str]:
    """Every module that a source names in an import, and every name that could be one."""
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:  # importing it is what complains
        return set()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            try:
                base = resolve_name("." * node.level + (node.module or ""), package)
            except ImportError:  # above its top package
                continue
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names if alias.name != "*")
    return names


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


def _callable(tree: ast.Module) -> list[str]:
    """The functions and classes that a module's source defines at its top."""
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
