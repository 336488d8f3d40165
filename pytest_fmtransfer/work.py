"""What this process computes: forward passes, and the seconds that entries of the store take.

Counted where somebody asked for it with `counting`, and refused inside `idle`. A look-up is no work.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from pytest_fmtransfer.errors import Unavailable


@dataclass(kw_only=True)
class Tally:
    """Work done so far; `busy` while an entry is being computed."""

    seconds: float = 0.0
    forward_passes: int = 0
    busy: bool = False


_tally: ContextVar[Tally | None] = ContextVar("tally of work", default=None)


_idle: ContextVar[bool] = ContextVar("whether work is refused", default=False)


@contextmanager
def idle() -> Generator[None]:
    """Inside the block nothing is computed or stored: whatever would be is Unavailable."""
    token = _idle.set(True)
    try:
        yield
    finally:
        _idle.reset(token)


def check_not_idle(what: str) -> None:
    """Raises Unavailable inside `idle`."""
    if _idle.get():
        raise Unavailable(f"{what} would have to be computed, and a list computes nothing; run the test")


@contextmanager
def counting(tally: Tally) -> Generator[None]:
    """Count the work inside the block on `tally`, and on no other."""
    token = _tally.set(tally)
    try:
        yield
    finally:
        _tally.reset(token)


def count_passes(made: int) -> None:
    """So many images went through a backbone."""
    if (tally := _tally.get()) is not None:
        tally.forward_passes += made


@contextmanager
def working() -> Generator[None]:
    """Count the seconds of the block, once where blocks are nested: an entry computes those it is made of."""
    tally = _tally.get()
    if tally is None or tally.busy:
        yield
        return
    tally.busy, started = True, time.perf_counter()
    try:
        yield
    finally:
        tally.busy = False
        tally.seconds += time.perf_counter() - started
