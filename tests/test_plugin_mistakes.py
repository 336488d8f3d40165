"""A mistake in a mark fails the tests that bear it; one on the command line is a usage error."""

import pytest
import torch

CELLS = 'backbones=["shortcut.metadata"], datasets=["br35h"], regimes=["knn"]'


IT = "def test_it(candidate):\n    pass\n"


def failing(pytester: pytest.Pytester, mark: str, body: str = IT, *options: str) -> str:
    """What a run prints in which the test of the mark fails, all its items do, and one beside it passes."""
    beside = "\n\ndef test_beside():\n    pass\n"
    pytester.makepyfile(f"import pytest\n\n@pytest.mark.{mark}\n{body}{beside}")
    result = pytester.runpytest(*options)
    outcomes = result.parseoutcomes()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert outcomes["passed"] == 1
    assert outcomes["failed"] >= 1
    assert "errors" not in outcomes
    assert result.stderr.str() == ""
    return result.stdout.str()


def refused(pytester: pytest.Pytester, mark: str, body: str = IT, *options: str) -> str:
    pytester.makepyfile(f"import pytest\n\n@pytest.mark.{mark}\n{body}")
    result = pytester.runpytest(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    return result.stderr.str()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ('backbones=["efficientnet_lite9"], datasets=["br35h"], regimes=["knn"]', "did you mean efficientnet_lite"),
        ('backbones=["mobilenetv2"], datasets=["br35"], regimes=["knn"]', "unknown dataset 'br35'; did you mean br35h"),
        ('backbones=["mobilenetv2"], datasets=["br35h"], regimes=["linear"]', "did you mean linear_probe"),
        (f'{CELLS}, reference="mobilenet"', "did you mean mobilenetv2"),
        (f'{CELLS}, reference="{{model}}.random"', "only {backbone}, {dataset} and {regime} are filled in"),
        (f"{CELLS}, reference=3", "name one backbone or cell id"),
        (f"{CELLS}, refrence='mobilenetv2'", "no keyword 'refrence'"),
        ('backbones="mobilenetv2", datasets=["br35h"], regimes=["knn"]', "give a list of names"),
        ('backbones=["mobilenetv2"], datasets=["br35h"]', "regimes missing"),
        ('["mobilenetv2"]', "fm_cells takes keywords only"),
        ('backbones=["MobileNet V2"], datasets=["br35h"], regimes=["knn"]', "as in 'mobilenet_v2'"),
    ],
)
def test_wrong_cells(pytester: pytest.Pytester, wrong: str, message: str) -> None:
    assert message in failing(pytester, f"fm_cells({wrong})")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("family_size=0", "give a whole number of claims"),
        ("familysize=3", "'familysize' does not fit"),
        ("expected={'shortcut.metadata-br35h-knn': ('inconclusve', 'why')}", "did you mean inconclusive"),
        ("expected={'shortcut.metadata-br35h-knn': ('supported', 'why')}", "expected to be supported"),
        ("expected={'shortcut.metadata-br35h-knn': ('refuted', ' ')}", "('refuted' or 'inconclusive', reason)"),
        ("expected={'shortcut.metadata': ('refuted', 'why')}", "did you mean shortcut.metadata-br35h-knn"),
        ("expected={'shortcut.metadata-br35h-kn': ('refuted', 'why')}", "did you mean shortcut.metadata-br35h-knn"),
        ("expected={'shortcut.metadata-br35h-knn': 'refuted'}", "write {'backbone-dataset-regime': ('inconclusive'"),
        ("expected={'shortcut.metadata-br35h-knn': (None, 'why')}", "write {'backbone-dataset-regime'"),
        ("expected=['shortcut.metadata-br35h-knn']", "write {'backbone-dataset-regime'"),
    ],
)
def test_wrong_claims(pytester: pytest.Pytester, wrong: str, message: str) -> None:
    assert message in failing(pytester, f"fm_cells({CELLS})\n@pytest.mark.fm_claim({wrong})")


@pytest.mark.parametrize("typed", ["fm_claims(family_size=2)", "fm_cell(backbone='mobilenetv2')"])
def test_a_mistyped_mark_is_no_silent_claim(pytester: pytest.Pytester, typed: str) -> None:
    body = "def test_it(candidate):\n    pass\n"
    # pytest itself only warns of a mark that nobody has declared.
    message = failing(pytester, f"fm_cells({CELLS})\n@pytest.mark.{typed}", body, "-Wdefault")
    assert f"no mark '{typed.partition('(')[0]}'; did you mean fm_c" in message


def test_a_name_that_is_wrong_is_told_before_an_exception_that_is_right(pytester: pytest.Pytester) -> None:
    cells = CELLS.replace("shortcut.metadata", "shortcut.metadat")
    expected = "fm_claim(expected={'shortcut.metadata-br35h-knn': ('refuted', 'why')})"
    message = failing(pytester, f"fm_cells({cells})\n@pytest.mark.{expected}")
    assert "unknown backbone 'shortcut.metadat'; did you mean shortcut.metadata" in message


def test_a_reference_that_the_mark_does_not_name(pytester: pytest.Pytester) -> None:
    message = failing(pytester, f"fm_cells({CELLS})", "def test_it(candidate, reference):\n    pass\n")
    assert "name it in fm_cells(reference=...)" in message


def test_a_mark_without_a_fixture(pytester: pytest.Pytester) -> None:
    assert "asks for no fixture" in failing(pytester, f"fm_cells({CELLS})", "def test_it():\n    pass\n")


def test_all_mistakes_are_told_at_once(pytester: pytest.Pytester) -> None:
    message = failing(
        pytester,
        'fm_cells(backbones=["nope"], datasets=["br35h"], regimes=["knn"])',
        "def test_it(candidate):\n    pass\n\n"
        '@pytest.mark.fm_cells(backbones=["mobilenetv2"], datasets=["nada"], regimes=["knn"])\n'
        "def test_other(candidate):\n    pass\n",
    )
    assert "'nope'" in message
    assert "'nada'" in message


def test_a_second_mark_is_refused(pytester: pytest.Pytester) -> None:
    assert "bears fm_cells twice" in failing(pytester, f"fm_cells({CELLS})\n@pytest.mark.fm_cells({CELLS})")


MIXED = """
import pytest

@pytest.mark.fm_cells(
    backbones=["shortcut.metadata", "shortcut.metadat"], datasets=["nowhere", "br35"], regimes=["knn", "knm"]
)
@pytest.mark.fm_claim(family_size=2)
def test_it(cell):
    pytest.fail(f"ran {cell}")

def test_beside():
    pass
"""
NOWHERE = """
from dataclasses import replace

def pytest_fmtransfer_register(registry):
    registry.register(replace(registry.dataset("br35h"), name="nowhere"))
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_the_cases_without_a_mistake_run(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    pytester.makeconftest(NOWHERE)
    pytester.makepyfile(test_mixed=MIXED)
    result = pytester.runpytest_subprocess("-rfE", "--fm-report=json:report.json", *workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, failed=8)
    result.stdout.fnmatch_lines_random(
        [
            "E * Failed: ran shortcut.metadata-nowhere-knn",
            "unknown regime 'knm'; did you mean knn*",
            "unknown dataset 'br35'; did you mean br35h*",
            "unknown backbone 'shortcut.metadat'; did you mean shortcut.metadata*",
            "FAILED test_mixed.py::test_it?shortcut.metadata-nowhere-knn? *",
            "FAILED test_mixed.py::test_it?shortcut.metadata-nowhere-knm? *",
            "FAILED test_mixed.py::test_it?shortcut.metadata-br35-knn? *",
            "FAILED test_mixed.py::test_it?shortcut.metadat-nowhere-knn? *",
        ]
    )


@pytest.mark.parametrize("option", ["--collect-only", "--fm-plan", "--fm-claims"])
def test_what_will_fail_is_listed(pytester: pytest.Pytester, option: str) -> None:
    pytester.makeconftest(NOWHERE)
    pytester.makepyfile(test_mixed=MIXED.replace("test_it(cell)", "test_it(cell, candidate)"))
    result = pytester.runpytest(option)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["*fmtransfer: will fail*", "test_mixed.py::test_it?shortcut.metadata-br35-knn?: unknown dataset 'br35'; did*"]
    )
    if option == "--fm-claims":
        result.stdout.fnmatch_lines(["*- shortcut.metadata-nowhere-knn*"])
    if option == "--fm-plan":
        result.stdout.fnmatch_lines(["*shortcut.metadata-nowhere-knn*"])


@pytest.mark.parametrize(
    ("select", "failed"),
    [
        (("-k", "metadat-br35-knn"), 1),
        (("-m", "fm_cell(dataset='br35')"), 4),
        (("-m", "fm_cell(regime='knn')"), 4),
        (("-k", "naiv and knm"), 2),
    ],
)
def test_a_selection_finds_what_will_fail(pytester: pytest.Pytester, select: tuple[str, str], failed: int) -> None:
    pytester.makepyfile(test_mixed=MIXED.replace("nowhere", "br35h.naiv"))
    result = pytester.runpytest(*select)
    assert result.parseoutcomes()["failed"] == failed


def test_a_mark_that_cannot_be_read_is_found_by_the_names_in_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import pytest\n\n@pytest.mark.fm_cells(backbones=['mobilenetv2'], datasets='br35h', regimes=['knn'])\n" + IT
    )
    result = pytester.runpytest("-k", "mobilenet and br35h and knn")
    result.assert_outcomes(failed=1)


def test_nothing_is_set_up_for_what_fails(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import pytest\n\n"
        "@pytest.fixture(autouse=True)\ndef dear(candidate):\n    pytest.fail('set up')\n\n"
        f"@pytest.mark.usefixtures('candidate')\n@pytest.mark.fm_cells({CELLS.replace('br35h', 'br35')})\n{IT}"
    )
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    assert "set up" not in result.stdout.str()


def test_a_conftest_that_registers_wrongly_is_a_usage_error_wherever_it_is(pytester: pytest.Pytester) -> None:
    sub = pytester.mkdir("sub")
    (sub / "conftest.py").write_text(
        "def pytest_fmtransfer_register(registry):\n    registry.register(registry.backbone('mobilenetv2'))\n"
    )
    (sub / "test_it.py").write_text("def test_it():\n    pass\n")
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "backbone 'mobilenetv2' is registered already; choose another name" in result.stderr.str()


def test_a_fixture_without_a_mark(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(candidate):\n    pass\n")
    pytester.runpytest().stdout.fnmatch_lines(["*needs the mark fm_cells*"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fm-report", "suites"], "write --fm-report=terminal suites"),
        (["--fm-report=markdwn"], "did you mean markdown? (write --fm-report=markdown)"),
        (["--fm-report=markdwn:out/report.md"], "did you mean markdown? (write --fm-report=markdown:out/report.md)"),
        (["--fm-report=xxyy:report.md"], "valid names: csv, github, json, markdown, terminal (write --fm-report=mark"),
        (["--fm-report=terminal:x.txt"], "--fm-report=markdown:x.txt"),
        (["--fm-report=csv:/no/such/folder/x.csv"], "name a file in a folder that exists"),
        (["--fm-update=every"], "valid names: all, changed, new"),
        (["--fm-profile=smok"], "did you mean smoke"),
        (["--fm-require=many"], "invalid int value"),
        (["--fm-reprot"], "unrecognized arguments"),
    ],
)
def test_wrong_options(pytester: pytest.Pytester, options: list[str], message: str) -> None:
    result = pytester.runpytest(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()


@pytest.mark.parametrize("there", [False, True])
def test_a_plan_for_a_device_that_torch_cannot_use_is_refused(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    monkeypatch.setattr("pytest_fmtransfer.plugin.settings.best_device", lambda: "cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    result = pytester.runpytest("--fm-plan", "--fm-device=cuda")
    assert (result.ret == pytest.ExitCode.USAGE_ERROR) == (not there)
    told = "--fm-plan is of the time that cuda would take here: torch cannot use cuda here; compute on the processor"
    assert (told in result.stderr.str()) == (not there)


def test_baselines_are_never_written_on_ci(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    result = pytester.runpytest("--fm-update=all")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "where CI is set; run it on your machine, without CI set" in result.stderr.str()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "mine=timm:resnet81",
            "--fm-backbone=mine=timm:resnet81: backbone mine: timm has no model 'resnet81'; did you mean resnet18",
        ),
        ("mine=timm:resnet18.a1_in1", "timm has no weights 'resnet18.a1_in1'; did you mean resnet18.a1_in1k"),
        ("mine=open_clip:ViT-B-23/openai", "open_clip has no model 'ViT-B-23'; did you mean ViT-B-32"),
    ],
)
@pytest.mark.parametrize("more", [(), ("--fm-plan",)], ids=["run", "plan"])
def test_a_backbone_whose_library_has_no_such_model(
    pytester: pytest.Pytester, line: str, said: str, more: tuple[str, ...]
) -> None:
    body = "def test_it(candidate):\n    pass\n"
    assert said in refused(pytester, f"fm_cells({CELLS})", body, f"--fm-backbone={line}", *more)


def test_a_row_of_a_conftest_whose_library_has_no_such_model(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "from dataclasses import replace\n\n"
        "def pytest_fmtransfer_register(registry):\n"
        "    row = registry.backbone('mobilenetv2')\n"
        "    registry.register(replace(row, name='mine', architecture='resnet81'))\n"
    )
    said = refused(pytester, f"fm_cells({CELLS})")
    assert "pytest_fmtransfer_register: backbone mine: timm has no model 'resnet81'; did you mean resnet18" in said
