"""The page: what was simulated, a table a section, and what lies outside its band."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.calibration import scenario
from benchmarks.calibration.plan import Section
from benchmarks.calibration.study import Figure, figures

INTRODUCTION = f"""# Is the judge calibrated?

Made by `python -m benchmarks.calibration --write`. All data on this page are synthetic: scores drawn by chance, whose
metric in the population is known, are judged by the code that judges measured scores. Two cells are drawn on the same
patients, again and again. The tables tell how often a claim that is only just not true was supported, how often a 95 %
interval held the truth, how often a true effect was found, and how often the regression gate raised an alarm.

- `roc_auc`: the scores of two classes are normal, with equal variance. Half of the patients are positive where nothing
  else is said.
- `quadratic_kappa`: the model sees a grade of 0 to 4 with normal noise, and names the nearest grade. Grades are as
  frequent as in APTOS 2019.
- `macro_recall`: each of eight classes has a normal score, and the true one's is raised. Classes are as frequent as in
  ISIC 2019.
- Classes: each has at least the patients that a verdict needs, 20 for `beats` and 50 at a margin; the largest class
  gives them up.
- Two cells: their scores of an image correlate by {scenario.CORRELATION:g} within a class.
- Several images a patient: a cell's scores of two of them correlate by {scenario.DEPENDENCE:g} within a class.
- Seeds: a run's metric in the population is the cell's plus noise, whose standard deviation is
  {scenario.SEED_SHARE:.0%} of what the metric lacks to 1 (.01 at .90). Of the score that a cell does not share with
  the other, {scenario.INTERACTION:.0%} is drawn again at every seed: the interaction of seed and patient.

Where nothing else is said, candidate and reference could be exchanged: they differ in many patients, now one way and
now the other. Four sections are about cells that could not, because a loss hides in few patients, and about what it
costs to hold there: limits reckon with a lost patient of each class who was not drawn, so that intervals cover somewhat
more than 95 % with few patients.

Each rate is followed by its binomial interval (Clopper and Pearson, 95 %), and the head of its column says the band:
1.2 times the level at .05, twice the level at .0025, which is that of a claim in a family of twenty; .93 to .99 for
what 95 % intervals cover, from .93 where there are several seeds. Random numbers are seeded by the study that they are
for, so that `--only` gives the same counts as the whole page.
"""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A section with its figures: a row a study, a column a question.

    `quick`: with few trials chance alone puts a figure outside its band. Only one whose whole interval lies there is
    outside then, and a wrong variant that does not is no proof that the page is blind.
    """

    heading: str
    text: str
    wrong: bool
    quick: bool
    rows: Mapping[str, Mapping[str, Figure]]

    @property
    def outside(self) -> list[str]:
        """Figures that lie outside their band; in a section of wrong variants the rows of which none does."""
        missed = {
            title: [name for name, figure in row.items() if self._is_outside(figure)]
            for title, row in self.rows.items()
        }
        if self.wrong:
            silent = [] if self.quick else [title for title, names in missed.items() if not names]
            return [f"{title}: wrong on purpose, and inside every band" for title in silent]
        return [f"{title}: {name}" for title, names in missed.items() for name in names]

    def _is_outside(self, figure: Figure) -> bool:
        return figure.clearly_outside if self.quick else not figure.inside

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


def tabulated(section: Section, counts: Mapping[str, Counter[str]], trials: int, *, quick: bool = False) -> Table:
    """`counts` are by the studies' repr, of so many trials each."""
    rows = {study.title: figures(study, counts[repr(study)], trials) for study in section.studies}
    return Table(heading=section.heading, text=section.text, wrong=section.wrong, quick=quick, rows=rows)


def cell(figure: Figure, tell_band: bool) -> str:
    rate, low, high = (f"{share:.4f}".removeprefix("0") for share in (figure.rate, *figure.interval))
    text = f"{rate} ({low} to {high})" + (f", band {figure.band}" if tell_band else "")
    return text if figure.inside else f"**{text}**"


def page(tables: Sequence[Table], trials: int) -> str:
    """Markdown."""
    quick = any(table.quick for table in tables)
    introduction = INTRODUCTION.replace("--write`", f"--write --trials {trials}`") if quick else INTRODUCTION
    return "\n".join([introduction, summary(tables, trials), *(table.markdown for table in tables)])


def summary(tables: Sequence[Table], trials: int) -> str:
    """How many figures lie outside their bands, and how many wrong variants are found out."""
    quick = any(table.quick for table in tables)
    right, wrong = ([table for table in tables if table.wrong is kind] for kind in (False, True))
    outside = [each for table in right for each in table.outside]
    variants = sum(len(table.rows) for table in wrong)
    found_out = variants - sum(len(table.outside) for table in wrong)
    count = sum(len(row) for table in right for row in table.rows.values())
    lines = [
        f"{count} figures of {trials:,} trials or more, {len(outside) or 'none'} {'clearly ' * quick}outside its band. "
        + (
            "With so few trials chance alone puts some outside, in bold; those count whose whole interval lies outside."
            if quick
            else f"{variants} variants that are wrong on purpose, {found_out} outside theirs."
        ),
        *(f"- outside: {each}" for each in outside),
    ]
    return "\n".join(lines) + "\n"
