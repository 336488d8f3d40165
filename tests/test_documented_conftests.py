"""What docs say to write into a conftest works, also where the plugin is left out: `pytest -p no:fmtransfer`."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCKS = {
    f"{path.name}-{number}": block
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL))
    if "def pytest_fmtransfer_register" in block
}


def test_docs_have_conftests() -> None:
    assert len(BLOCKS) >= 4


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
@pytest.mark.parametrize("options", [("-p", "no:fmtransfer"), ()], ids=["without", "with"])
def test_a_documented_conftest_works(block: str, options: tuple[str, ...], pytester: pytest.Pytester) -> None:
    pytester.makeconftest(block)
    pytester.makepyfile("def test_one(): pass")
    pytester.runpytest(*options).assert_outcomes(passed=1)
