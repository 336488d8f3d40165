"""Options, ini values and what they amount to for one session."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, cast

import pytest

from pytest_fmtransfer.catalog.registry import Registry, Spec
from pytest_fmtransfer.catalog.specs import BackboneSpec, FileWeights
from pytest_fmtransfer.catalog.user_backbone import UserBackbone
from pytest_fmtransfer.catalog.user_dataset import UserDataset
from pytest_fmtransfer.errors import InvalidInput, nearest
from pytest_fmtransfer.functions import look_in, source_of
from pytest_fmtransfer.places import Places, on_ci

DEFAULT_PROFILE = "ci"
REPORTS = ("terminal", "markdown", "csv", "json", "github")
UPDATES = ("new", "changed", "all")
ON_BAD_IMAGE = ("error", "skip")

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
    """`--fm-report=KIND[:FILE]`; without a file the report goes to the terminal."""

    kind: str
    file: Path | None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the options of one session say. `mistakes` gathers wrong names met while collecting.

    `export` is the folder that results are written to, `collect` the one that they come from; `reference` is the
    backbone that stands in place of the suites' own.
    """

    registry: Registry
    places: Places
    profile: str
    baselines: Path | None
    export: Path | None
    collect: Path | None
    update: Literal["new", "changed", "all"] | None
    reports: tuple[ReportRequest, ...]
    require: int
    allow_missing: bool
    controls: bool
    reference: str | None
    on_ci: bool
    mistakes: list[str]

    def of_profile(self, folder: Path) -> Path:
        """Where a folder of results keeps those of this session's profile: the default one's at its top.

        Profiles answer other questions, so they are kept apart.
        """
        return folder if self.profile == DEFAULT_PROFILE else folder / self.profile


class SessionRegistry(Registry):
    """A registry that gathers what conftests register wrongly, to be told as one usage error.

    A conftest in a sub-folder is heard while collecting, where raising would be a traceback.
    """

    def __init__(self, mistakes: list[str], folders: Sequence[Path]) -> None:
        super().__init__()
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
        """`register` that raises; a function of the user's is looked for in `folders` too."""
        super().register(spec, candidate=candidate, everywhere=everywhere)
        if isinstance(spec, BackboneSpec) and spec.library == "python":
            self._looked_in += look_in(*self._folders)

    def look_no_longer(self) -> None:
        """Leave `sys.path` as it was."""
        for folder in self._looked_in:
            if folder in sys.path:
                sys.path.remove(folder)
        self._looked_in.clear()


class _ListOnly(argparse.Action):
    """A flag that implies --collect-only, from the moment the command line is read."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> None:
        del parser, values, option_string
        setattr(namespace, self.dest, True)
        namespace.collectonly = True


SETTINGS = pytest.StashKey[Settings]()


def settings_of(config: pytest.Config) -> Settings:
    return config.stash[SETTINGS]


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("fmtransfer", "claims about foundation models (pytest-fmtransfer)")
    group.addoption(
        "--fm-report",
        action="append",
        nargs="?",
        const="terminal",
        default=[],
        metavar="KIND[:FILE]",
        help="report cells and claims: terminal (default), markdown, csv or json, or github, which annotates what "
        "fails and adds the markdown report to $GITHUB_STEP_SUMMARY; repeatable; write the kind with '=', as in "
        "--fm-report=markdown:report.md",
    )
    group.addoption(
        "--fm-plan",
        action=_ListOnly,
        nargs=0,
        default=False,
        help="run nothing; say what the selection would cost, and what each claim could show",
    )
    group.addoption(
        "--fm-profile",
        metavar="NAME",
        help="how much is spent: ci (default, float32) or smoke (bfloat16 where the processor has it)",
    )
    group.addoption(
        "--fm-update",
        metavar="WHICH",
        help="write baselines of cells that run: new (missing ones), changed (missing, drifted, stale ones) or all",
    )
    group.addoption(
        "--fm-store", metavar="DIR", help="store of images, features and results (default: the user's cache)"
    )
    group.addoption("--fm-weights", metavar="DIR", help="folder with weights as their authors publish them")
    group.addoption(
        "--fm-download",
        action="store_true",
        help="fetch published weights that are not on this machine; nothing is fetched without it",
    )
    group.addoption("--fm-data-root", metavar="DIR", help="folder with one sub-folder per dataset")
    group.addoption(
        "--fm-on-bad-image",
        metavar="WHAT",
        default="error",
        help="error (the default): images that cannot be decoded stop a cell; skip: they are left out of their "
        "dataset, and the report counts them",
    )
    group.addoption("--fm-export", metavar="DIR", help="write every result that is measured to DIR, to be collected")
    group.addoption(
        "--fm-collect",
        metavar="DIR",
        help="judge what --fm-export wrote to DIR: nothing is computed, and neither weights, data nor torch are needed",
    )
    group.addoption(
        "--fm-require",
        metavar="N",
        type=int,
        default=0,
        help="exit with 5 when fewer than N cells were measured",
    )
    group.addoption(
        "--fm-allow-missing",
        action="store_true",
        help="where CI is set, let a cell that has a baseline be skipped for want of weights or data",
    )
    group.addoption(
        "--fm-controls",
        action="store_true",
        help="run the control cells of every dataset and regime: can they tell backbones apart?",
    )
    group.addoption(
        "--fm-backbone",
        action="append",
        default=[],
        metavar="NAME=SOURCE:REF[,KEY=VALUE...]",
        help="a backbone of yours beside the candidates of every suite: timm:NAME, open_clip:NAME/TAG, "
        "hf:REPO_OR_FOLDER, or py:MODULE:FUNCTION, which returns an nn.Module; with weights=FILE, size= (224), mean= "
        "and std= (ImageNet's; one number, or three as in 0.5/0.5/0.5); repeatable",
    )
    group.addoption(
        "--fm-dataset",
        action="append",
        default=[],
        metavar="NAME=folder:DIR|table:FILE[,KEY=VALUE...]",
        help="images of yours beside the datasets of every suite's comparisons: a folder with a sub-folder per class, "
        "or a CSV or Parquet file with label=COLUMN, patient=, split=, image=; with metric=, margin=, classes=A+B, "
        "ordered, channels=1, 3 or repeat; repeatable",
    )
    group.addoption(
        "--fm-reference",
        metavar="NAME",
        help="a backbone to hold candidates against in place of each that a suite names",
    )
    parser.addini("fm_profile", "default of --fm-profile", default=DEFAULT_PROFILE)
    parser.addini("fm_baselines", "folder of baselines (default: the nearest folder 'baselines' above a test)")
    parser.addini("fm_store", "default of --fm-store")
    parser.addini("fm_weights", "default of --fm-weights")
    parser.addini("fm_data_root", "default of --fm-data-root")


def configure(config: pytest.Config) -> None:
    """Read the options once, and let every conftest register its rows.

    Raises pytest.UsageError for a value that cannot be used, naming those that can.
    """
    mistakes: list[str] = []
    registry = SessionRegistry(mistakes, (config.rootpath, config.invocation_params.dir))
    config.add_cleanup(registry.look_no_longer)
    update = config.getoption("--fm-update")
    if update is not None and update not in UPDATES:
        raise pytest.UsageError(f"--fm-update={update}: {nearest(update, UPDATES)}")
    if update is not None and on_ci():
        raise pytest.UsageError("--fm-update refuses to write baselines where CI is set; run it on your machine")
    on_bad_image = cast(str, config.getoption("--fm-on-bad-image"))
    if on_bad_image not in ON_BAD_IMAGE:
        raise pytest.UsageError(f"--fm-on-bad-image={on_bad_image}: {nearest(on_bad_image, ON_BAD_IMAGE)}")
    export, collect = _export_folder(config), _collect_folder(config)
    if export and collect:
        raise pytest.UsageError(
            "--fm-collect judges results that exist, --fm-export writes those that are measured; give one of the two"
        )
    config.stash[SETTINGS] = Settings(
        registry=registry,
        places=_places(config),
        profile=config.getoption("--fm-profile") or cast(str, config.getini("fm_profile")),
        baselines=_ini_path(config, "fm_baselines"),
        export=export,
        collect=collect,
        update=update,
        reports=tuple(_report_request(text) for text in cast(list[str], config.getoption("--fm-report"))),
        require=cast(int, config.getoption("--fm-require")),
        allow_missing=cast(bool, config.getoption("--fm-allow-missing")),
        controls=cast(bool, config.getoption("--fm-controls")),
        reference=cast(str | None, config.getoption("--fm-reference")),
        on_ci=on_ci(),
        mistakes=mistakes,
    )

    def heard(result: object) -> None:
        del result

    usage(
        lambda: config.pluginmanager.hook.pytest_fmtransfer_register.call_historic(heard, kwargs={"registry": registry})
    )
    usage(lambda: registry.profile(settings_of(config).profile))
    for text in cast(list[str], config.getoption("--fm-backbone")):
        _add_backbone(config, registry, text)
    for text in cast(list[str], config.getoption("--fm-dataset")):
        _add_dataset(config, registry, text)
    registry.collecting = True
    if (reference := settings_of(config).reference) is not None:
        try:
            registry.backbone(reference)
        except InvalidInput as error:
            raise pytest.UsageError(f"--fm-reference={reference}: {error}") from error


def _add_backbone(config: pytest.Config, registry: SessionRegistry, text: str) -> None:
    """A backbone of the command line; what is to be loaded here must be here."""
    try:
        row = UserBackbone.parse(text).row
        registry.add(row, candidate=True)
        if settings_of(config).collect is not None:
            return
        if row.library == "python":
            source_of(row.architecture)
    except InvalidInput as error:
        raise pytest.UsageError(f"--fm-backbone={text}: {error}") from error
    if isinstance(row.weights, FileWeights) and not row.weights.path.exists():
        raise pytest.UsageError(f"--fm-backbone={text}: no such file: {row.weights.path}")


def _add_dataset(config: pytest.Config, registry: SessionRegistry, text: str) -> None:
    """A dataset of the command line; it must be here, unless its results were measured elsewhere."""
    try:
        given = UserDataset.parse(text)
        if settings_of(config).collect is None and not given.is_here:
            raise InvalidInput(f"no such {'folder' if given.reader == 'folder' else 'file'}: {given.given}")
        registry.add(given.row, everywhere=True)
    except InvalidInput as error:
        raise pytest.UsageError(f"--fm-dataset={text}: {error}") from error


def usage(work: Callable[[], T]) -> T:
    """Our complaint about what the user wrote becomes pytest's usage error, exit code 4."""
    try:
        return work()
    except InvalidInput as error:
        raise pytest.UsageError(str(error)) from error


def _report_request(text: str) -> ReportRequest:
    kind, _, file = text.partition(":")
    if kind not in REPORTS:
        near = nearest(kind, REPORTS)
        raise pytest.UsageError(f"--fm-report: no report kind {kind!r}; {near} (write --fm-report=terminal {text})")
    if kind in ("terminal", "github") and file:
        raise pytest.UsageError(f"--fm-report={kind} takes no file; write --fm-report=markdown:{file}")
    return ReportRequest(kind=kind, file=Path(file).absolute() if file else None)


def _export_folder(config: pytest.Config) -> Path | None:
    folder = _option_path(config, "--fm-export")
    if folder is None:
        return None
    there = next(place for place in (folder, *folder.parents) if place.exists())  # it is made by the first result
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise pytest.UsageError(f"--fm-export={folder}: cannot write to {there}; name a folder that you may write to")
    return folder


def _collect_folder(config: pytest.Config) -> Path | None:
    folder = _option_path(config, "--fm-collect")
    if folder is not None and not folder.is_dir():
        raise pytest.UsageError(
            f"--fm-collect={folder}: no such folder; name one that a run with --fm-export=DIR has filled"
        )
    return folder


def _places(config: pytest.Config) -> Places:
    ours = Places.from_environment()

    def choose(name: str, default: Path | None) -> Path | None:
        given = _option_path(config, f"--fm-{name.replace('_', '-')}")
        return given or _ini_path(config, f"fm_{name}") or default

    return Places(
        store=choose("store", ours.store) or ours.store,
        weights=choose("weights", ours.weights),
        data_root=choose("data_root", ours.data_root),
        # A plan runs nothing: what would have to be fetched is absent there.
        download=cast(bool, config.getoption("--fm-download")) and not cast(bool, config.getoption("--fm-plan")),
        skip_bad_images=config.getoption("--fm-on-bad-image") == "skip",
    )


def _option_path(config: pytest.Config, option: str) -> Path | None:
    given = cast(str | None, config.getoption(option))
    return Path(given).expanduser().absolute() if given else None


def _ini_path(config: pytest.Config, name: str) -> Path | None:
    value = cast(str, config.getini(name))
    return (config.inipath.parent if config.inipath else config.rootpath) / Path(value).expanduser() if value else None
