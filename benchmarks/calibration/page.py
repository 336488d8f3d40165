"""The page: what was simulated, a table a section, and what lies outside its band."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.calibration import scenario
from benchmarks.calibration.study import Figure

INTRODUCTION = f"""# Is the judge calibrated?

Made by `python -m benchmarks.calibration --write`.

All data on this page are synthetic: scores drawn by chance, whose metric in the population is known exactly, are judged
by the same code as measured scores. Two cells are drawn on the same patients. A table tells how often a claim that is
just not true was supported, which must be about as rare as its one-sided level says, how often a 95 % interval held the
truth, and how often a true effect was found.

- **roc_auc**: scores of two classes are normal with equal variance. Half of the patients are positive, where nothing
  else is said. **quadratic_kappa**: the model sees a grade of 0 to 4 with normal noise and names the nearest; grades are
  as frequent as in APTOS 2019. **macro_recall**: a normal score for each of eight classes, raised at the true one;
  classes are as frequent as in ISIC 2019. Every class has at least as many patients as a verdict needs, 20 or 50; the
  largest class gives them up.
- **Two cells**: their scores of one image correlate by {scenario.CORRELATION:g}.
- **Several images a patient**: their scores correlate by {scenario.DEPENDENCE:g}, in what the cells share and in what they do not.
- **Seeds**: the metric of a run is its population value plus noise, with a standard deviation of {scenario.SEED_SHARE:.0%} of what
  the value lacks to 1 (.01 at .90). Of what a cell does not share with the other, every seed draws {scenario.INTERACTION:.0%} again
  for each image: the interaction of seed and patient.

Each rate is followed by its two-sided 95 % binomial interval (Clopper and Pearson); the head of a column has the band.
A rate at a level α may be 1.2 α at .05, and 2 α at .0025, the level of a claim in a family of twenty. Random numbers
are seeded by the study, so that one study can be run again alone and gives the same counts.
"""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A section with its figures: a row a study, a column a question."""

    heading: str
    text: str
    wrong: bool
    rows: Mapping[str, Mapping[str, Figure]]

    @property
    def outside(self) -> list[str]:
        """Figures that lie outside their band; in a section of wrong variants the rows of which none does."""
        missed = {
            title: [name for name, figure in row.items() if not figure.inside] for title, row in self.rows.items()
        }
        if self.wrong:
            return [f"{title}: wrong on purpose, and inside every band" for title, names in missed.items() if not names]
        return [f"{title}: {name}" for title, names in missed.items() for name in names]

    @property
    def markdown(self) -> str:
        """A column's band is in its head, or in its cells where they differ."""
        columns: dict[str, set[str]] = {}
        for row in self.rows.values():
            for name, figure in row.items():
                columns.setdefault(name, set()).add(str(figure.band))
        heads = [name if len(bands) > 1 else f"{name}: {min(bands)}" for name, bands in columns.items()]
        lines = [" | ".join(["| ", *heads]) + " |", "|---" * (len(heads) + 1) + "|"]
        for title, row in self.rows.items():
            cells = [cell(row[name], len(bands) > 1) if name in row else "" for name, bands in columns.items()]
            lines.append(" | ".join([f"| {title}", *cells]) + " |")
        return f"## {self.heading}\n\n{self.text}\n\n" + "\n".join(lines) + "\n"


def cell(figure: Figure, tell_band: bool) -> str:
    rate, low, high = (f"{share:.4f}".removeprefix("0") for share in (figure.rate, *figure.interval))
    text = f"{rate} ({low} to {high})" + (f", band {figure.band}" if tell_band else "")
    return text if figure.inside else f"**{text}**"


def page(tables: Sequence[Table], trials: int) -> str:
    """Markdown."""
    return "\n".join([INTRODUCTION, summary(tables, trials), *(table.markdown for table in tables)])


def summary(tables: Sequence[Table], trials: int) -> str:
    """How many figures lie outside their bands, and how many wrong variants are found out."""
    right, wrong = ([table for table in tables if table.wrong is kind] for kind in (False, True))
    outside = [each for table in right for each in table.outside]
    variants = sum(len(table.rows) for table in wrong)
    found_out = variants - sum(len(table.outside) for table in wrong)
    count = sum(len(row) for table in right for row in table.rows.values())
    lines = [
        f"{count} figures of {trials:,} trials each, {len(outside) or 'none'} outside the band. Of {variants} variants that "
        f"are wrong on purpose, {found_out} lie outside. Figures outside their bands are in bold.",
        *(f"- outside: {each}" for each in outside),
    ]
    return "\n".join(lines) + "\n"
