"""Options and ini values, as `pytest --help` shows them; `settings` says what they amount to."""

import argparse
from collections.abc import Sequence

import pytest

from pytest_fmtransfer.catalog.profile_words import in_words
from pytest_fmtransfer.catalog.regimes import PROFILES

DEFAULT_PROFILE = "ci"
_PROFILES = "; ".join(map(in_words, PROFILES))


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
        "--fm-claims",
        action=_ListOnly,
        nargs=0,
        default=False,
        help="run nothing; say what the selection claims, what is missing to run it, and each claim's last verdict",
    )
    group.addoption(
        "--fm-profile",
        metavar="NAME",
        help=f"how much is spent, on the images of the training + validation + test side: {_PROFILES}; the default is "
        f"{DEFAULT_PROFILE}",
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
        help="fetch published weights, and data whose licence allows it, that are not here; without it nothing is",
    )
    group.addoption("--fm-data-root", metavar="DIR", help="folder with one sub-folder per dataset")
    group.addoption(
        "--fm-on-bad-image",
        metavar="WHAT",
        default="error",
        help="error (the default): images that cannot be decoded stop a cell; skip: they are left out of their "
        "dataset, and the report counts them",
    )
    group.addoption(
        "--fm-verify",
        action="store_true",
        help="hash all images and weights again, also where no file seems to have changed",
    )
    group.addoption("--fm-export", metavar="DIR", help="write every result that is measured to DIR, to be collected")
    group.addoption(
        "--fm-collect",
        action="append",
        default=[],
        metavar="DIR",
        help="judge what --fm-export wrote to DIR: nothing is computed, and neither weights, data nor torch are "
        "needed; repeatable: folders are merged",
    )
    group.addoption(
        "--fm-collect-unknown",
        metavar="WHAT",
        default="error",
        help="error (the default): a collected result that has no row here is a usage error; skip: it is left out, and "
        "a line counts such results",
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
        "ordered, links=follow, channels=1, 3 or repeat; repeatable",
    )
    group.addoption(
        "--fm-reference",
        metavar="NAME",
        help="a backbone to hold candidates against in place of each that a suite names",
    )
    group.addoption(
        "--fm-regime",
        metavar="NAME",
        help="the regime of suites/leaderboard, in place of linear_probe",
    )
    group.addoption(
        "--fm-device",
        metavar="NAME",
        help="what computes: cpu, cuda (cuda:1 is the second of several cards) or mps; default: the best there is, and "
        "a card for each worker of pytest-xdist",
    )
    group.addoption(
        "--fm-deterministic",
        action="store_true",
        help="compute the same bits in every run, if more slowly; an operation that cannot is an error",
    )
    group.addoption(
        "--fm-compile",
        action="store_true",
        help="train networks through torch.compile, which takes a compiler and, at first, half a minute a network",
    )
    group.addoption(
        "--fm-stand-ins",
        action="store_true",
        help="run suites without data and weights: on generated images and tiny random backbones, between which "
        "differences are planted; a test passes when its verdict is the planted one (stand-in data, not evidence)",
    )
    parser.addini("fm_profile", "default of --fm-profile", default=DEFAULT_PROFILE)
    parser.addini("fm_baselines", "folder of baselines (default: the nearest folder 'baselines' above a test)")
    parser.addini("fm_store", "default of --fm-store")
    parser.addini("fm_weights", "default of --fm-weights")
    parser.addini("fm_data_root", "default of --fm-data-root")
    parser.addini("fm_device", "default of --fm-device")
    parser.addini("fm_compile", "as if --fm-compile were given", type="bool", default=False)
    parser.addini("fm_verify", "as if --fm-verify were given", type="bool", default=False)
    parser.addini("fm_deterministic", "as if --fm-deterministic were given", type="bool", default=False)
