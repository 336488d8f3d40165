"""What the options and ini values of one session amount to."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import pytest

from pytest_fmtransfer.catalog.registry import Registry
from pytest_fmtransfer.catalog.specs import FileWeights
from pytest_fmtransfer.catalog.user_backbone import UserBackbone
from pytest_fmtransfer.catalog.user_dataset import UserDataset
from pytest_fmtransfer.devices import Device, best_device, device_and_card
from pytest_fmtransfer.disk import MOVE_STORE, unwritable
from pytest_fmtransfer.errors import InvalidInput, Unavailable, near_names, nearest
from pytest_fmtransfer.functions import source_of
from pytest_fmtransfer.places import Places, no_such_folder, on_ci
from pytest_fmtransfer.plugin import stand_ins
from pytest_fmtransfer.plugin.options import DEFAULT_PROFILE
from pytest_fmtransfer.plugin.session_registry import SessionRegistry
from pytest_fmtransfer.stand_ins.planted import PROFILE

REPORTS = ("terminal", "markdown", "csv", "json", "github")
UPDATES = ("new", "changed", "all")
ON_BAD_IMAGE = ("error", "skip")
ON_UNKNOWN = ("error", "skip")

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
    """`--fm-report=KIND[:FILE]`; without a file the report goes to the terminal."""

    kind: str
    file: Path | None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the options of one session say. `mistakes` gathers wrong names met while collecting, `notes` what else
    collecting has to tell. `absent` are folders that an ini value or a variable names and that are not there: a mistake
    of whoever runs a cell, of nobody else.

    `export` is the folder that results are written to, `collect` are those that they come from, none where they are
    measured; `skip_unknown` leaves out collected results that have no row; `reference` is the
    backbone that stands in place of the suites' own, `regime` the one under which all that is registered is ranked.
    With `stand_ins` data are generated and backbones tiny, and every verdict is held to the one that is planted.
    """

    registry: Registry
    places: Places
    profile: str
    baselines: Path | None
    export: Path | None
    collect: tuple[Path, ...]
    skip_unknown: bool
    update: Literal["new", "changed", "all"] | None
    reports: tuple[ReportRequest, ...]
    require: int
    allow_missing: bool
    controls: bool
    stand_ins: bool
    reference: str | None
    regime: str | None
    on_ci: bool
    mistakes: list[str]
    notes: list[str]
    absent: tuple[str, ...] = ()

    def of_profile(self, folder: Path) -> Path:
        """Where a folder of results keeps those of this session's profile: the default one's at its top.

        Profiles answer other questions, so they are kept apart.
        """
        return folder if self.profile == DEFAULT_PROFILE else folder / self.profile


SETTINGS = pytest.StashKey[Settings]()
VERIFY_SINCE = "fmtransfer_verify_since"  # the name under which a worker is told when the run began


def settings_of(config: pytest.Config) -> Settings:
    return config.stash[SETTINGS]


def configure(config: pytest.Config) -> None:
    """Read the options once, and let every conftest register its rows.

    Raises pytest.UsageError for a value that cannot be used, naming those that can.
    """
    mistakes: list[str] = []
    stand_ins.configure(config)
    kind = stand_ins.StandInRegistry if stand_ins.asked(config) else SessionRegistry
    registry = kind(mistakes, (config.rootpath, config.invocation_params.dir))
    config.add_cleanup(registry.look_no_longer)
    places = usage(lambda: _places(config))
    absent = _absent_folders(config)
    if config.getoption("--fm-plan"):
        _refuse_a_plan_for_a_device_that_is_not_here(places.device, places.card)
    update = config.getoption("--fm-update")
    if update is not None and update not in UPDATES:
        raise pytest.UsageError(f"--fm-update={update}: {nearest(update, UPDATES)}")
    if update is not None and on_ci():
        raise pytest.UsageError(
            "--fm-update refuses to write baselines where CI is set; run it on your machine, without CI set"
        )
    on_bad_image = cast(str, config.getoption("--fm-on-bad-image"))
    if on_bad_image not in ON_BAD_IMAGE:
        raise pytest.UsageError(f"--fm-on-bad-image={on_bad_image}: {nearest(on_bad_image, ON_BAD_IMAGE)}")
    unknown = cast(str, config.getoption("--fm-collect-unknown"))
    if unknown not in ON_UNKNOWN:
        raise pytest.UsageError(f"--fm-collect-unknown={unknown}: {nearest(unknown, ON_UNKNOWN)}")
    export, collect = _export_folder(config), _collect_folders(config)
    if export and collect:
        raise pytest.UsageError(
            "--fm-collect judges results that exist, --fm-export writes those that are measured; give one of the two"
        )
    config.stash[SETTINGS] = Settings(
        registry=registry,
        places=places,
        profile=PROFILE
        if stand_ins.asked(config)
        else config.getoption("--fm-profile") or cast(str, config.getini("fm_profile")),
        baselines=_ini_path(config, "fm_baselines"),
        export=export,
        collect=collect,
        skip_unknown=unknown == "skip",
        update=update,
        reports=tuple(_report_request(text) for text in cast(list[str], config.getoption("--fm-report"))),
        require=cast(int, config.getoption("--fm-require")),
        allow_missing=cast(bool, config.getoption("--fm-allow-missing")),
        stand_ins=stand_ins.asked(config),
        controls=cast(bool, config.getoption("--fm-controls")),
        reference=cast(str | None, config.getoption("--fm-reference")),
        regime=cast(str | None, config.getoption("--fm-regime")),
        on_ci=on_ci(),
        mistakes=mistakes,
        notes=[],
        absent=absent,
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
    if (regime := settings_of(config).regime) is not None:
        try:
            registry.regime(regime)
        except InvalidInput as error:
            raise pytest.UsageError(f"--fm-regime={regime}: {error}") from error


def _refuse_a_plan_for_a_device_that_is_not_here(device: Device, card: int | None) -> None:
    """A plan of the time that another machine takes would be of no machine; torch is asked where we do not see one."""
    if card is None and device in ("cpu", best_device()):
        return
    from pytest_fmtransfer.backbones.threads import import_torch

    import_torch()
    from pytest_fmtransfer.backbones.computing import torch_device

    try:
        torch_device(device, card)
    except Unavailable as error:
        raise pytest.UsageError(f"--fm-plan is of the time that {device} would take here: {error}") from error


def _add_backbone(config: pytest.Config, registry: SessionRegistry, text: str) -> None:
    """A backbone of the command line; what is to be loaded here must be here."""
    try:
        row = UserBackbone.parse(text).row
        registry.add(row, candidate=True)
        if settings_of(config).collect:
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
        if not settings_of(config).collect and not given.is_here:
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
        meant = near_names(kind, REPORTS)
        write = f"--fm-report={meant[0] if meant else 'markdown'}:{file}"
        if not file:  # a name alone may be what `--fm-report` was to leave alone
            write = f"--fm-report={meant[0]}" if meant else f"--fm-report=terminal {text}"
        raise pytest.UsageError(f"--fm-report: no report kind {kind!r}; {near} (write {write})")
    if kind in ("terminal", "github") and file:
        raise pytest.UsageError(f"--fm-report={kind} takes no file; write --fm-report=markdown:{file}")
    return ReportRequest(kind=kind, file=Path(file).absolute() if file else None)


def _export_folder(config: pytest.Config) -> Path | None:
    folder = _option_path(config, "--fm-export")
    if folder is None:
        return None
    there = next(place for place in (folder, *folder.parents) if place.exists())  # it is made before the first result
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise pytest.UsageError(f"--fm-export={folder}: cannot write to {there}; name a folder that you may write to")
    return folder


def _collect_folders(config: pytest.Config) -> tuple[Path, ...]:
    """Each folder once, however it is named."""
    given = [Path(text).expanduser().absolute() for text in cast(list[str], config.getoption("--fm-collect"))]
    for folder in given:
        if not folder.is_dir():
            raise pytest.UsageError(
                f"--fm-collect={folder}: no such folder; name one that a run with --fm-export=DIR has filled"
            )
    return tuple({folder.resolve(): folder for folder in reversed(given)}.values())[::-1]


class _Verifying:
    """Tells workers when the run began, so that they hash each file once in all."""

    def __init__(self, since: float) -> None:
        self._since = since

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[VERIFY_SINCE] = self._since


def _verify_since(config: pytest.Config) -> float | None:
    """When the run began that hashes everything; None where nobody asks for that, or nothing is run."""
    if not (config.getoption("--fm-verify") or config.getini("fm_verify")) or _lists(config):
        return None
    if hasattr(config, "workerinput"):
        return cast(float, cast(Any, config).workerinput[VERIFY_SINCE])
    since = time.time()
    config.pluginmanager.register(_Verifying(since), "fmtransfer-verifying")
    return since


def _lists(config: pytest.Config) -> bool:
    return any(cast(bool, config.getoption(option)) for option in ("--fm-plan", "--fm-claims"))


def _places(config: pytest.Config) -> Places:
    ours = Places.from_environment()

    def choose(name: str, default: Path | None) -> Path | None:
        given = _option_path(config, f"--fm-{name.replace('_', '-')}")
        return given or _ini_path(config, f"fm_{name}") or default

    device, card = _device(config) or (ours.device, ours.card)
    places = Places(
        store=choose("store", ours.store) or ours.store,
        weights=choose("weights", ours.weights),
        data_root=choose("data_root", ours.data_root),
        # A list runs nothing: what would have to be fetched is absent there.
        download=cast(bool, config.getoption("--fm-download")) and not _lists(config),
        skip_bad_images=config.getoption("--fm-on-bad-image") == "skip",
        device=device,
        card=card,
        deterministic=cast(bool, config.getoption("--fm-deterministic") or config.getini("fm_deterministic")),
        compiled=cast(bool, config.getoption("--fm-compile") or config.getini("fm_compile")),
        verify_since=_verify_since(config),
    )
    return stand_ins.places_of(config, places) if stand_ins.asked(config) else places


def _absent_folders(config: pytest.Config) -> tuple[str, ...]:
    """What is wrong with folders of weights and data that ini values or variables name.

    Raises pytest.UsageError for one that an option names. Nothing is said of folders that are not read, and of one that
    --fm-download will make.
    """
    if stand_ins.asked(config) or config.getoption("--fm-collect"):
        return ()
    found: list[str] = []
    for name, variable in (("weights", "FMTRANSFER_WEIGHTS"), ("data_root", "FMTRANSFER_DATA")):
        option, ini = f"--fm-{name.replace('_', '-')}", f"fm_{name}"
        given, from_ini = _option_path(config, option), _ini_path(config, ini)
        folder = given or from_ini or getattr(Places.from_environment(), name)
        if folder is None or (config.getoption("--fm-download") and not folder.exists()):
            continue
        file = config.inipath.name if config.inipath else "the ini file"
        named = option if given else f"ini value {ini} of {file}" if from_ini else variable
        wrong = no_such_folder(named, folder.absolute())
        if wrong is not None and given:
            raise pytest.UsageError(wrong)
        found += [wrong] if wrong is not None else []
    return tuple(found)


def unwritable_places(config: pytest.Config) -> list[str]:
    """What is wrong with the folders that a run of cells writes to, and who named each; empty where all is well.

    The folders are made. To be asked only where a cell is to be run or planned: other sessions write nothing.
    """
    settings, found = settings_of(config), list[str]()
    if not settings.collect and (reason := unwritable(settings.places.store)) is not None:
        named = next(
            (
                name
                for name, given in (
                    ("--fm-store", _option_path(config, "--fm-store")),
                    ("ini value fm_store", _ini_path(config, "fm_store")),
                    ("FMTRANSFER_STORE", os.environ.get("FMTRANSFER_STORE")),
                )
                if given
            ),
            "the store, in the user's cache,",
        )
        found.append(f"{named} {settings.places.store} cannot be written ({reason}); {MOVE_STORE}")
    if settings.export is not None and (reason := unwritable(settings.export)) is not None:
        found.append(
            f"--fm-export={settings.export}: cannot be written ({reason}); name a folder that you may write to"
        )
    return found


def _device(config: pytest.Config) -> tuple[Device, int | None] | None:
    """What the option names, else the ini value; None where neither does."""
    option, ini = cast(str | None, config.getoption("--fm-device")), cast(str, config.getini("fm_device"))
    name = option or ini
    try:
        return device_and_card(name) if name else None
    except InvalidInput as error:
        raise InvalidInput(f"{'--fm-device' if option else 'fm_device'}={name}: {error}") from error


def _option_path(config: pytest.Config, option: str) -> Path | None:
    given = cast(str | None, config.getoption(option))
    return Path(given).expanduser().absolute() if given else None


def _ini_path(config: pytest.Config, name: str) -> Path | None:
    value = cast(str, config.getini(name))
    return (config.inipath.parent if config.inipath else config.rootpath) / Path(value).expanduser() if value else None
