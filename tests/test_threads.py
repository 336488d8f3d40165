"""Importing torch leaves the environment as it was, and a user's own choice alone."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
from pytest_fmtransfer.backbones import threads
seen = []
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            seen.append(os.environ.get(threads.POLICY))
sys.meta_path.insert(0, Watch())
threads.import_torch()
threads.import_torch()
print(seen, os.environ.get(threads.POLICY), "torch" in sys.modules)
"""


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({}, "['PASSIVE'] None True"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "[] ACTIVE False"),
        ({"GOMP_SPINCOUNT": "10"}, "[] None False"),
    ],
    ids=["none", "policy", "spincount"],
)
def test_threads_sleep_unless_the_user_chose(chosen: dict[str, str], told: str) -> None:
    free = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=free | chosen, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == told
