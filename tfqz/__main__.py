"""`python -m tfqz`: versions, backends, and a check of what they compute."""

import sys

from tfqz import _selfcheck

if __name__ == "__main__":
    sys.exit(_selfcheck.main())
