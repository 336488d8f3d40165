"""`fmtransfer VERB …`: what is asked outside of a pytest run.

A verb is one module here and one line of `VERBS`. The module offers `add_arguments(parser)` and
`run(arguments) -> int`, the exit code, and is imported only when its verb is used. What a verb prints goes to
standard output. Our own errors are one line on standard error and exit code 2, as argparse's are.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any, NoReturn, Protocol, cast

from pytest_fmtransfer.cli.output import printable_output
from pytest_fmtransfer.errors import FmTransferError, nearest

# Name of the verb and of its module: what it does, for `fmtransfer --help`.
VERBS = {
    "audit": "look for copies, patients on two sides, conflicting labels and small classes in a dataset",
    "convert": "keep the tensors of an old checkpoint as .safetensors, running nothing in it",
    "baseline": "list, show, diff, accept, migrate or prune baselines, and name their images",
    "doctor": "say what is here and what is missing: weights, data, versions, the store",
    "list": "list backbones, datasets, regimes or profiles, and whether they are ready here",
}


class Verb(Protocol):
    """What the module of a verb offers."""

    __doc__: str | None

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare what may follow the verb."""
        ...

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it, and say the exit code. May raise any FmTransferError."""
        ...


class Parser(argparse.ArgumentParser):
    """argparse's parser; of a word that is missing it says the valid ones, of a wrong one which was probably meant."""

    def error(self, message: str) -> NoReturn:
        """Usage and exit code 2. argparse ends the message of a missing word in its metavar."""
        for action in self._actions:
            if action.choices is not None and not action.option_strings and message.endswith(f": {action.metavar}"):
                message += f", which is one of: {', '.join(sorted(map(str, action.choices)))}"
        super().error(message)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """The one place where argparse knows both the word and the choices; its verbs' parsers are of this class too.

        Raises argparse.ArgumentError, which ends in the usage and exit code 2.
        """
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, f"no {value!r} here; {nearest(str(value), map(str, action.choices))}")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; `argv` is by default what followed `fmtransfer`. argparse exits with 2 on wrong usage."""
    with printable_output():
        return _main(argv)


def _main(argv: Sequence[str] | None) -> int:
    given = [*(sys.argv[1:] if argv is None else argv)]  # here `list` is the module of a verb
    parser = Parser(
        prog="fmtransfer",
        description="Claims about foundation models for medical images: what is asked outside pytest.",
    )
    parser.add_argument("--version", action="version", version=version("pytest-fmtransfer"))
    verbs = parser.add_subparsers(metavar="VERB", dest="verb", required=True)
    used: Verb | None = None
    for name, summary in VERBS.items():
        of_verb = verbs.add_parser(name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter)
        if given[:1] == [name]:  # nothing but --help and --version may stand before the verb
            used = cast(Verb, import_module(f"{__name__}.{name}"))
            of_verb.description = used.__doc__
            used.add_arguments(of_verb)
    arguments = parser.parse_args(given)
    assert used is not None, "argparse lets only a verb through"
    try:
        code = used.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read has seen enough, as `head` does; at exit Python would flush once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except FmTransferError as error:
        print(f"fmtransfer {arguments.verb}: {error}", file=sys.stderr)
        return 2
    return code
