"""Every mistake of a user is a usage error, exit code 4, that says what to type instead."""

import pytest
import torch

CELLS = 'backbones=["shortcut.metadata"], datasets=["br35h"], regimes=["knn"]'


def run(pytester: pytest.Pytester, mark: str, body: str = "def test_it(candidate):\n    pass\n", *options: str) -> str:
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
    assert message in run(pytester, f"fm_cells({wrong})")


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
    assert message in run(pytester, f"fm_cells({CELLS})\n@pytest.mark.fm_claim({wrong})")


@pytest.mark.parametrize("typed", ["fm_claims(family_size=2)", "fm_cell(backbone='mobilenetv2')"])
def test_a_mistyped_mark_is_no_silent_claim(pytester: pytest.Pytester, typed: str) -> None:
    body = "def test_it(candidate):\n    pass\n"
    # pytest itself only warns of a mark that nobody has declared.
    message = run(pytester, f"fm_cells({CELLS})\n@pytest.mark.{typed}", body, "-Wdefault")
    assert f"no mark '{typed.partition('(')[0]}'; did you mean fm_c" in message


def test_a_name_that_is_wrong_is_told_before_an_exception_that_is_right(pytester: pytest.Pytester) -> None:
    cells = CELLS.replace("shortcut.metadata", "shortcut.metadat")
    expected = "fm_claim(expected={'shortcut.metadata-br35h-knn': ('refuted', 'why')})"
    message = run(pytester, f"fm_cells({cells})\n@pytest.mark.{expected}")
    assert "unknown backbone 'shortcut.metadat'; did you mean shortcut.metadata" in message


def test_a_reference_that_the_mark_does_not_name(pytester: pytest.Pytester) -> None:
    message = run(pytester, f"fm_cells({CELLS})", "def test_it(candidate, reference):\n    pass\n")
    assert "name it in fm_cells(reference=...)" in message


def test_a_mark_without_a_fixture(pytester: pytest.Pytester) -> None:
    assert "asks for no fixture" in run(pytester, f"fm_cells({CELLS})", "def test_it():\n    pass\n")


def test_all_mistakes_are_told_at_once(pytester: pytest.Pytester) -> None:
    message = run(
        pytester,
        'fm_cells(backbones=["nope"], datasets=["br35h"], regimes=["knn"])',
        "def test_it(candidate):\n    pass\n\n"
        '@pytest.mark.fm_cells(backbones=["mobilenetv2"], datasets=["nada"], regimes=["knn"])\n'
        "def test_other(candidate):\n    pass\n",
    )
    assert "'nope'" in message
    assert "'nada'" in message


def test_a_second_mark_is_refused(pytester: pytest.Pytester) -> None:
    assert "bears fm_cells twice" in run(pytester, f"fm_cells({CELLS})\n@pytest.mark.fm_cells({CELLS})")


def test_workers_tell_the_controller(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import pytest\n\n"
        "@pytest.mark.fm_cells(backbones=['mobilenet'], datasets=['br35h'], regimes=['knn'])\n"
        "def test_it(candidate):\n    pass\n"
    )
    result = pytester.runpytest_subprocess("-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*unknown backbone 'mobilenet'; did you mean mobilenetv2*"])


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
    assert said in run(pytester, f"fm_cells({CELLS})", body, f"--fm-backbone={line}", *more)


def test_a_row_of_a_conftest_whose_library_has_no_such_model(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "from dataclasses import replace\n\n"
        "def pytest_fmtransfer_register(registry):\n"
        "    row = registry.backbone('mobilenetv2')\n"
        "    registry.register(replace(row, name='mine', architecture='resnet81'))\n"
    )
    said = run(pytester, f"fm_cells({CELLS})")
    assert "pytest_fmtransfer_register: backbone mine: timm has no model 'resnet81'; did you mean resnet18" in said
