"""`python -m pytest_fmtransfer`: the same as `fmtransfer`, where scripts are not on the path."""

import sys

from pytest_fmtransfer.cli import main

if __name__ == "__main__":
    sys.exit(main())
