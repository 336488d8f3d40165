"""The verdicts that a test reached decide whether it passes, not what Python makes of them.

What is judged is synthetic.
"""

import json

import pytest

from pytest_fmtransfer.baselines import Baselines
from tests.helpers import as_declared

CELL, OTHER = "mobilenetv2-br35h-knn", "efficientnet_lite0-br35h-knn"
SUITE = """
import pytest
import pytest_fmtransfer as fm

@pytest.mark.fm_cells(backbones=["mobilenetv2"], datasets=["br35h"], regimes=["knn"], reference="efficientnet_lite0")
{mark}
def test_it({fixtures}):
    {body}
"""
WORSE, BETTER = (0.3, 2.0), (2.0, 0.3)


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini("[pytest]\nfm_store = store\n")
    return pytester


def run(
    suite: pytest.Pytester,
    body: str,
    *options: str,
    mark: str = "@pytest.mark.fm_claim(family_size=1)",
    fixtures: str = "candidate, reference",
    signals: tuple[float, float] = WORSE,
    above: str = "",
    **outcomes: int,
) -> pytest.RunResult:
    """Run a test whose candidate and reference separate their classes by `signals`."""
    suite.makepyfile(test_suite=above + SUITE.format(mark=mark, fixtures=fixtures, body=body))
    for seed, (cell, signal) in enumerate(zip((CELL, OTHER), signals, strict=True)):
        Baselines(folder=suite.path / "out").write(as_declared(cell, signal, seed=seed))
    result = suite.runpytest("--fm-collect=out", "--fm-report=json:r.json", *options)
    result.assert_outcomes(**outcomes)
    return result


UNASSERTED = [
    "candidate.beats(reference)",
    "assert not candidate.beats(reference)",
    'pair = (candidate.beats(reference), "a text makes a pair true"); assert pair',
    "assert any([candidate.beats(reference), True])",
    "assert [candidate.beats(reference)]",
    "assert candidate.beats(reference) or True",
    "assert candidate.beats(reference) is not None",
    "assert candidate.beats(reference).effect < 0",
    "assert fm.ranks_above(candidate, reference).outcome == 'refuted'",
    "assert not candidate.not_worse_than(reference)",
    "assert reference.beats(candidate); candidate.beats(reference)",
    "candidate.beats(reference); assert reference.beats(candidate)",
    "candidate.beats(reference); pytest.skip('it does not')",
]


@pytest.mark.parametrize("body", UNASSERTED)
def test_a_verdict_that_nobody_asserts_fails_its_test_where_it_is_not_supported(
    suite: pytest.Pytester, body: str
) -> None:
    result = run(suite, body, failed=1)
    result.stdout.fnmatch_lines(
        [
            f"test_it?{CELL}? reached what it does not support, and asserted nothing of it:",
            f"  {CELL} * {OTHER}: refuted: *",
            f"*not_consistently_better*fm_claim(expected={{'{CELL}': ('refuted', 'why')}})",
        ]
    )
    claims = json.loads((suite.path / "r.json").read_text())["claims"]
    assert "refuted" in [claim["outcome"] for claim in claims]


@pytest.mark.parametrize("body", UNASSERTED)
def test_the_same_is_a_known_exception_where_it_is_declared(suite: pytest.Pytester, body: str) -> None:
    known = f"@pytest.mark.fm_claim(family_size=2, expected={{'{CELL}': ('refuted', 'found so')}})"
    run(suite, body, mark=known, **{"skipped" if "skip" in body else "passed": 1})
    inconclusive = known.replace("'refuted'", "'inconclusive'")
    result = run(suite, body, mark=inconclusive, failed=1)
    result.stdout.fnmatch_lines([f"{CELL} was expected to be inconclusive (found so), but is refuted; *"])


def test_a_verdict_that_nobody_asserts_passes_where_it_is_supported(suite: pytest.Pytester) -> None:
    run(suite, "candidate.beats(reference)", signals=BETTER, passed=1)


def test_a_negated_verdict_that_is_supported_fails_by_its_own_words(suite: pytest.Pytester) -> None:
    result = run(suite, "assert not candidate.beats(reference)", signals=BETTER, failed=1)
    result.stdout.fnmatch_lines(["E * assert not supported: Δ*"])


@pytest.mark.parametrize("mark", ["@pytest.mark.fm_claim(family_size=1)", ""])
def test_a_failing_assertion_keeps_its_message(suite: pytest.Pytester, mark: str) -> None:
    result = run(suite, "assert candidate.beats(reference)", mark=mark, failed=1)
    result.stdout.fnmatch_lines(["E * assert refuted: Δ*"])
    assert "asserted nothing" not in result.stdout.str()


def test_every_verdict_that_is_not_supported_is_named_once(suite: pytest.Pytester) -> None:
    body = "candidate.beats(reference); candidate.not_worse_than(reference); reference.beats(candidate)"
    result = run(suite, body, failed=1)
    result.stdout.fnmatch_lines([f"  {CELL} beats {OTHER}: refuted*", f"  {CELL} not worse than {OTHER}: refuted*"])
    assert f"  {OTHER} beats" not in result.stdout.str().partition("Captured verdict")[0]


def test_of_several_verdicts_any_may_be_the_known_exception(suite: pytest.Pytester) -> None:
    """The others are supported."""
    known = f"@pytest.mark.fm_claim(family_size=2, expected={{'{CELL}': ('refuted', 'found so')}})"
    for body in (
        "assert all([candidate.beats(reference), reference.beats(candidate)])",
        "assert all([reference.beats(candidate), candidate.beats(reference)])",
    ):
        run(suite, body, mark=known, passed=1)


TWICE = [
    "assert candidate.beats(reference); assert candidate.not_worse_than(reference)",
    "assert all([candidate.not_worse_than(reference, margin=by) for by in (0.04, 0.05)])",
    "assert all([candidate.beats(reference), fm.ranks_above(candidate, reference)])",
]


@pytest.mark.parametrize("body", TWICE)
def test_verdicts_of_one_test_share_its_level(suite: pytest.Pytester, body: str) -> None:
    """Each at half of it, or the test is refused, and no p is told of what it did not count."""
    result = run(suite, body, signals=BETTER, failed=1)
    told = (
        f"test_it[[]{CELL}[]] reached 2 verdicts, and its family counts 1: *fm_claim(family_size=2), whose level they*"
    )
    result.stdout.fnmatch_lines([told])
    claims = json.loads((suite.path / "r.json").read_text())["claims"]
    assert [claim["p_holm"] for claim in claims] == [None, None]
    assert all("its family counts 1" in claim["mark"] for claim in claims)
    run(suite, body, signals=BETTER, mark="@pytest.mark.fm_claim(family_size=2)", passed=1)
    claims = json.loads((suite.path / "r.json").read_text())["claims"]
    assert [claim["level"] for claim in claims] == [0.025, 0.025]
    assert all(claim["p_holm"] < 0.05 for claim in claims)


def test_margins_tried_in_turn_are_counted(suite: pytest.Pytester) -> None:
    """As known exceptions too, of which one is supported."""
    known = f"@pytest.mark.fm_claim({{size}}expected={{{{'{CELL}': ('refuted', 'found so')}}}})"
    body = "assert any(each for each in [candidate.beats(reference), candidate.not_worse_than(reference, margin=.9)])"
    result = run(suite, body, mark=known.format(size=""), failed=1)
    result.stdout.fnmatch_lines(["*reached 2 verdicts, and its family counts 1: *"])
    run(suite, body, mark=known.format(size="family_size=2, "), passed=1)


def test_one_verdict_told_twice_is_one(suite: pytest.Pytester) -> None:
    body = "assert candidate.beats(reference); assert candidate.beats(reference)"
    run(suite, body, signals=BETTER, passed=1)
    above = FIXTURE.format(verb="beats")
    run(
        suite,
        "assert candidate.beats(reference)",
        above=above,
        fixtures="candidate, reference, verdict",
        signals=BETTER,
        passed=1,
    )


def test_verdicts_of_each_case_count(suite: pytest.Pytester) -> None:
    """Two candidates about one data set and regime, each with two verdicts, are four."""
    both = SUITE.replace('["mobilenetv2"]', '["mobilenetv2", "efficientnet_lite1"]')
    for seed, (cell, signal) in enumerate(zip((CELL, OTHER), BETTER, strict=True)):
        Baselines(folder=suite.path / "out").write(as_declared(cell, signal, seed=seed))
    for size, outcome in ((2, "failed"), (3, "failed"), (4, "passed")):
        mark = f"@pytest.mark.fm_claim(family_size={size})"
        suite.makepyfile(test_suite=both.format(mark=mark, fixtures="candidate, reference", body=TWICE[0]))
        result = suite.runpytest("--fm-collect=out", "-k", "mobilenetv2")
        result.assert_outcomes(**{outcome: 1})
        if outcome == "failed":
            result.stdout.fnmatch_lines([f"*reached 2 verdicts, in each of 2 cases, and its family counts {size}: *"])


@pytest.mark.parametrize(
    ("mark", "fixtures", "body", "told"),
    [
        (
            "@pytest.mark.fm_claim(family_size=1)",
            "candidate, reference",
            "assert candidate.mean < reference.mean",
            "bears fm_claim and ended without a verdict; write `assert candidate.beats(reference)`*",
        ),
        ("", "candidate, baseline", "assert candidate.mean == baseline.mean", "asks for `baseline` and ended without*"),
        (
            "@pytest.mark.fm_claim()",
            "candidate, baseline",
            "pass",
            "*write `assert candidate.unchanged_from(baseline)`",
        ),
    ],
)
def test_a_claim_without_a_verdict_fails(
    suite: pytest.Pytester, mark: str, fixtures: str, body: str, told: str
) -> None:
    Baselines(folder=suite.path / "baselines").write(as_declared(CELL, WORSE[0]))
    result = run(suite, body, mark=mark, fixtures=fixtures, failed=1)
    result.stdout.fnmatch_lines([f"test_it?{CELL}? {told}"])


def test_what_moved_fails_though_nobody_asserts_it(suite: pytest.Pytester) -> None:
    Baselines(folder=suite.path / "baselines").write(as_declared(CELL, WORSE[0] + 1))
    result = run(suite, "candidate.unchanged_from(baseline)", mark="", fixtures="candidate, baseline", failed=1)
    result.stdout.fnmatch_lines(
        [
            f"  {CELL} unchanged from baseline: drifted: *",
            "write `assert candidate.unchanged_from(baseline)`; *fmtransfer baseline accept*",
        ]
    )


def test_a_gate_needs_no_mark(suite: pytest.Pytester) -> None:
    Baselines(folder=suite.path / "baselines").write(as_declared(CELL, WORSE[0]))
    run(suite, "assert candidate.unchanged_from(baseline)", mark="", fixtures="candidate, baseline", passed=1)


def test_a_test_that_claims_and_compares_nothing_is_left_alone(suite: pytest.Pytester) -> None:
    run(suite, "assert candidate.mean < reference.mean", mark="", passed=1)


@pytest.mark.parametrize(
    ("body", "outcomes"),
    [
        ("pytest.skip('not today')", {"skipped": 1}),
        ("pytest.xfail('not yet')", {"xfailed": 1}),
        ("raise RuntimeError('bang')", {"failed": 1}),
        ("candidate.beats(reference); raise RuntimeError('bang')", {"failed": 1}),
        ("candidate.beats(reference); assert candidate.mean > 2, 'bang'", {"failed": 1}),
        ("candidate.beats(reference); pytest.fail('bang')", {"failed": 1}),
        ("reference.beats(candidate); pytest.skip('said enough')", {"skipped": 1}),
    ],
)
def test_how_a_test_ends_by_itself_stays_as_it_is(suite: pytest.Pytester, body: str, outcomes: dict[str, int]) -> None:
    result = run(suite, body, **outcomes)
    if "bang" in body:
        result.stdout.fnmatch_lines(["*bang"])
    assert "asserted nothing" not in result.stdout.str()
    assert "without a verdict" not in result.stdout.str()


FIXTURE = """
import pytest

@pytest.fixture
def verdict(candidate, reference):
    return candidate.{verb}(reference)
"""


def test_a_verdict_of_a_fixture_counts(suite: pytest.Pytester) -> None:
    beats = FIXTURE.format(verb="beats")
    result = run(suite, "pass", above=beats, fixtures="verdict", failed=1)
    result.stdout.fnmatch_lines([f"  {CELL} beats {OTHER}: refuted*"])
    run(suite, "pass", above=beats, fixtures="verdict", signals=BETTER, passed=1)
    [claim] = json.loads((suite.path / "r.json").read_text())["claims"]
    assert (claim["outcome"], claim["family"]) == ("supported", "test_suite.py::test_it [br35h-knn]")


def test_a_fixture_judges_at_the_familys_level_and_knows_what_controls_say(suite: pytest.Pytester) -> None:
    for seed, cell in enumerate(("efficientnet_lite0.random-br35h-knn", "shortcut.metadata-br35h-knn")):
        Baselines(folder=suite.path / "out").write(as_declared(cell, 3.0, seed=seed + 5))
    Baselines(folder=suite.path / "out").write(as_declared("efficientnet_lite0-br35h.shuffled-knn", 0.0, seed=9))
    mark = "@pytest.mark.fm_claim(family_size=4, controls=True)"
    above = FIXTURE.format(verb="not_worse_than")
    result = run(suite, "assert verdict", above=above, mark=mark, fixtures="verdict", signals=BETTER, failed=1)
    result.stdout.fnmatch_lines(["*at one-sided level 0.0125 (0.05 over 4 declared claims)*", "*controls: refuted: *"])


UNMARKED = """
import pytest

@pytest.mark.fm_cells(backbones=["mobilenetv2", "efficientnet_lite1"], datasets=["br35h", "ddsm"],
                      regimes=["knn", "linear_probe"], reference="efficientnet_lite0")
def test_it(candidate, reference):
    assert candidate.beats(reference)
"""


def test_a_comparison_without_the_mark_fails_with_the_line_to_add(suite: pytest.Pytester) -> None:
    for seed, (cell, signal) in enumerate(zip((CELL, OTHER), BETTER, strict=True)):
        Baselines(folder=suite.path / "out").write(as_declared(cell, signal, seed=seed))
    suite.makepyfile(test_suite=UNMARKED)
    options = ("--fm-collect=out", "-k", "mobilenetv2 and knn and br35h")
    result = suite.runpytest(*options)
    result.assert_outcomes(failed=1)
    line = "@pytest.mark.fm_claim(family_size=2)  # 2 candidates make one sentence, or 1: each makes its own"
    result.stdout.fnmatch_lines([f"*{CELL} beats {OTHER} was judged as the only claim*", line])
    suite.makepyfile(test_suite=UNMARKED.replace("def test_it", f"{line}\ndef test_it"))
    suite.runpytest(*options).assert_outcomes(passed=1)


def test_one_claim_is_said_to_be_one(suite: pytest.Pytester) -> None:
    result = run(suite, "assert candidate.beats(reference)", mark="", signals=BETTER, failed=1)
    result.stdout.fnmatch_lines(["@pytest.mark.fm_claim(family_size=1)  # one claim is meant"])
    run(suite, "assert candidate.beats(reference)", signals=BETTER, passed=1)


@pytest.mark.parametrize(
    "verb",
    [
        "candidate.not_worse_than(reference, margin=.05)",
        "candidate.consistent_with(fm.Published(value=candidate.mean, source='us'), margin=0.09)",
        "candidate.above(fm.Published(value=0.3, source='us'))",
        "fm.ranks_above(candidate, reference)",
    ],
)
def test_every_comparison_needs_the_mark(suite: pytest.Pytester, verb: str) -> None:
    run(suite, f"assert {verb}", signals=BETTER, passed=1)
    result = run(suite, f"assert {verb}", mark="", signals=BETTER, failed=1)
    result.stdout.fnmatch_lines(["@pytest.mark.fm_claim(family_size=1)  # one claim is meant"])


BY_HAND = """
import pytest
from tests.helpers import as_declared
from pytest_fmtransfer.judge.verdicts import beats

GOOD, BAD = (as_declared(f"{{name}}-br35h-knn", signal, seed=1) for name, signal in (("good", 2.0), ("bad", 0.3)))

{mark}
def test_it():
    {body}
"""


@pytest.mark.parametrize(
    ("mark", "body", "outcomes"),
    [
        ("@pytest.mark.fm_claim(family_size=3)", "assert beats(GOOD, BAD).family_size == 3", {"passed": 1}),
        ("@pytest.mark.fm_claim(family_size=1)", "beats(BAD, GOOD)", {"failed": 1}),
        ("@pytest.mark.fm_claim(family_size=1)", "pass", {"failed": 1}),
        ("", "beats(BAD, GOOD)", {"passed": 1}),  # no test of a suite
    ],
)
def test_a_claim_about_results_of_its_own_is_held_to_the_rule_too(
    suite: pytest.Pytester, mark: str, body: str, outcomes: dict[str, int]
) -> None:
    suite.makepyfile(test_suite=BY_HAND.format(mark=mark, body=body))
    suite.runpytest("--fm-report=json:r.json").assert_outcomes(**outcomes)
    if "beats" in body and mark:
        [claim] = json.loads((suite.path / "r.json").read_text())["claims"]
        assert (claim["test"], claim["family"]) == ("test_it", "test_suite.py::test_it")


@pytest.mark.parametrize("key", ["controls=True", "expected={'a-b-c': ('refuted', 'so')}", "family_size=0"])
def test_a_claim_without_cells_says_nothing_of_cells(suite: pytest.Pytester, key: str) -> None:
    suite.makepyfile(test_suite=f"import pytest\n\n@pytest.mark.fm_claim({key})\ndef test_it():\n    pass\n")
    result = suite.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["fm_claim(*"])
