"""The catalogue of one session: ours, that of entry points, and what conftests and options add."""

import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_fmtransfer.catalog.open_clip_names import check_open_clip_architecture
from pytest_fmtransfer.catalog.registry import Registry, Spec
from pytest_fmtransfer.catalog.specs import BackboneSpec
from pytest_fmtransfer.catalog.timm_names import check_timm_architecture
from pytest_fmtransfer.errors import InvalidInput
from pytest_fmtransfer.functions import look_in

# What refuses an architecture that a library has not, without importing the library.
_CHECKS = {"timm": check_timm_architecture, "open_clip": check_open_clip_architecture}


class SessionRegistry(Registry):
    """A registry that gathers what conftests register wrongly, to be told as one usage error.

    A conftest in a sub-folder is heard while collecting, where raising would be a traceback.
    """

    _ours = True  # until our own rows are in, whose architectures need no check

    def __init__(self, mistakes: list[str], folders: Sequence[Path]) -> None:
        super().__init__()
        self._ours = False
        self._mistakes, self._folders = mistakes, folders
        self._looked_in: list[str] = []
        self.collecting = False

    def register(self, spec: Spec, *, candidate: bool = False, everywhere: bool = False) -> None:
        try:
            if (candidate or everywhere) and self.collecting:
                role = "be a candidate" if candidate else "join the suites"
                raise InvalidInput(
                    f"{spec.name!r} is heard too late to {role}: tests are collected already; register it in a "
                    "conftest at or above what the command line names"
                )
            self.add(spec, candidate=candidate, everywhere=everywhere)
        except InvalidInput as error:
            self._mistakes.append(f"pytest_fmtransfer_register: {error}")

    def add(self, spec: Spec, *, candidate: bool = False, everywhere: bool = False) -> None:
        """`register` that raises; a function of the user's is looked for in `folders` too.

        A library whose names can be read must have the architecture.
        """
        if not self._ours and isinstance(spec, BackboneSpec) and (check := _CHECKS.get(spec.library)) is not None:
            try:
                check(spec.architecture)
            except InvalidInput as error:
                raise InvalidInput(f"backbone {spec.name}: {error}") from error
        super().register(spec, candidate=candidate, everywhere=everywhere)
        if isinstance(spec, BackboneSpec) and spec.library == "python":
            self._looked_in += look_in(*self._folders)

    def look_no_longer(self) -> None:
        """Leave `sys.path` as it was."""
        for folder in self._looked_in:
            if folder in sys.path:
                sys.path.remove(folder)
        self._looked_in.clear()
