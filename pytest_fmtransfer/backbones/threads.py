"""Import torch so that its threads sleep while they wait for work, instead of spinning.

OpenMP reads its waiting policy once, when torch is first imported. Spinning threads are a little faster on an
idle machine; where another process wants the same cores they keep it from working and are kept from working
themselves. Seen once each way on two cores, on the progress line of `pytest suites/pocket -k mobilenetv2` beside
`python benchmarks/tolerance.py`: 3 images/s spinning, 58 sleeping.
"""

import os
import sys

POLICY = "OMP_WAIT_POLICY"


def import_torch() -> None:
    """Import torch with sleeping threads, unless it is imported already or the user chose a policy.

    The environment is as it was afterwards, so that no child process inherits the choice.
    """
    if "torch" in sys.modules or POLICY in os.environ or "GOMP_SPINCOUNT" in os.environ:
        return
    os.environ[POLICY] = "PASSIVE"
    try:
        import torch  # noqa: F401
    finally:
        del os.environ[POLICY]
