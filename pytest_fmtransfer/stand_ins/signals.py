"""Generated pictures whose class is carried by a signal, and by nothing else.

A signal is stripes down and stripes across in one picture, which add up: `coarse` ones are four to a picture's side,
`fine` ones sixteen, and `colour` ones are as coarse but move red against blue and leave green alone. How strong the
stripes down are beside those across is an angle, and the angle is the level, from 0 (down alone) to 1 (across alone).
An angle survives what a file format and an augmentation do to a picture: it does not move when the picture is mirrored,
cropped, stretched, brightened or blended. How bright a picture is on the whole is its mark, one of four, for stand-ins
each miss the pictures of one mark. What else is in a picture is its own: where stripes begin, and a pattern of squares
whose rows and columns all have the mean of the whole, so that it moves no angle.

Legend: H, W pixels, S the side in pixels.
"""

from collections.abc import Mapping

import numpy as np

from pytest_fmtransfer.catalog.specs import Signal
from pytest_fmtransfer.stand_ins.planted import MARKS

SIDE = 64  # pixels: what most tiny networks are given, so that little is stretched
CYCLES: dict[Signal, int] = {"coarse": 4, "fine": 16, "colour": 4}  # stripes along a side
STRENGTH = 0.11  # amplitude, of a range of 1
MARK_STEP = 0.05  # how far marks lie apart
SQUARES, SQUARES_STRENGTH = (16, 14), 0.06  # along a side, as many as divide it, and how far they move a pixel


def painted(levels: Mapping[Signal, float], *, mark: int, seed: int, channels: int, side: int = SIDE) -> np.ndarray:
    """A picture of these signals at these levels in [0, 1], uint8, S × S of one channel, S × S × 3 of three.

    `seed` draws what is the picture's own. One channel has no colour: its level is not seen there. `side` is in pixels,
    a multiple of 14 or 16; fine stripes take 64 or more.
    """
    chance = np.random.default_rng(seed)
    grey_SS = 0.5 + MARK_STEP * (mark - MARKS // 2) + SQUARES_STRENGTH * _squares(side, chance)
    shift_SS = np.zeros((side, side))
    for signal, level in levels.items():
        stripes_SS = STRENGTH * _stripes(side, CYCLES[signal], level, chance)
        if signal == "colour":
            shift_SS += stripes_SS
        else:
            grey_SS += stripes_SS
    image = grey_SS if channels == 1 else np.stack([grey_SS + shift_SS, grey_SS, grey_SS - shift_SS], axis=-1)
    return np.clip(np.rint(255 * image), 0, 255).astype(np.uint8)


def _stripes(side: int, cycles: int, level: float, chance: np.random.Generator) -> np.ndarray:
    """S × S, between −√2 and √2."""
    angle = level * np.pi / 2
    places_S = 2 * np.pi * cycles * np.arange(side) / side
    down, across = chance.uniform(0, 2 * np.pi, 2)
    return np.cos(angle) * np.cos(places_S + down) + np.sin(angle) * np.cos(places_S + across)[:, None]


def _squares(side: int, chance: np.random.Generator) -> np.ndarray:
    """S × S of standard deviation 1; every row and column has mean 0."""
    count = next(each for each in SQUARES if side % each == 0)
    squares = chance.choice([-1.0, 1.0], (count, count))
    squares -= squares.mean(axis=0)
    squares -= squares.mean(axis=1, keepdims=True)
    return np.kron(squares / squares.std(), np.ones((side // count, side // count)))
