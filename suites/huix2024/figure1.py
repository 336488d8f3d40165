"""Figure 1, read from `suites/published/huix2024_figure1.csv`: its bars, and the order they stand in.

The numbers were measured off the figure with an error of about ±0.02 percent each. Two bars whose numbers differ by
less than two such errors are in no order that could be read, and make one level.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from .paper import DEITB, LINEAR

FILE = Path(__file__).parents[1] / "published" / "huix2024_figure1.csv"
READING_ERROR = 0.02  # percent; suites/published/README.md

_BACKBONES = {
    "dinov2": "dinov2_vitb14",
    "seem": "seem_focalt",
    "imagenet_supervised": "imagenet_deitb16",
    "openclip": "openclip_vitb16",
    "resnet152": "imagenet_resnet152",
    "blip": "blip_vitb16",
    "sam": "sam_vitb16",
    "dino": "dino_vitb16",
}
_REGIMES = {"linear": LINEAR, "deit_b": DEITB}


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A backbone under a classifier; `gain` over the reference in percent, averaged over the four datasets."""

    backbone: str
    regime: str
    gain: float

    @property
    def cell(self) -> str:
        """Its cells, to be filled in with a dataset."""
        return f"{self.backbone}-{{dataset}}-{self.regime}"

    @property
    def source(self) -> str:
        return f"Palés Huix et al. 2024, Figure 1: {self.backbone}, {self.regime}"


def read(file: Path = FILE) -> tuple[Bar, ...]:
    """Every bar, best first."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    bars = [
        Bar(
            backbone=_BACKBONES[row["foundation"]],
            regime=_REGIMES[row["classifier"]],
            gain=float(row["relative_gain_percent"]),
        )
        for row in rows
    ]
    return tuple(sorted(bars, key=lambda bar: -bar.gain))  # stable: ties stay in the figure's order


BARS = read()
BAR_OF = {(bar.backbone, bar.regime): bar for bar in BARS}


def levels(bars: tuple[Bar, ...]) -> list[list[Bar]]:
    """Bars in their order, those of which no order can be read together. `bars` come best first."""
    found: list[list[Bar]] = []
    for bar in bars:
        if found and round(found[-1][0].gain - bar.gain, 9) < 2 * READING_ERROR:
            found[-1].append(bar)
        else:
            found.append([bar])
    return found
