"""Under pytest-xdist's `--dist loadgroup`, a dead worker ends the run instead of hanging it."""

import pytest


def configure(config: pytest.Config) -> None:
    """Restart no worker of `--dist loadgroup`, unless `--max-worker-restart` says how many.

    A new worker in place of a dead one waits there for ever (pytest-xdist 3.8, issues 1323, 1327 and 1378), and it
    would run again what killed the first. Without one, the test that was running is an error, the other workers finish
    what they hold, and reports are written.
    """
    if config.getoption("dist", "no") == "loadgroup" and config.getoption("maxworkerrestart", None) is None:
        config.option.maxworkerrestart = "0"  # pytest-xdist reads it once all other plugins are configured
