"""`python -m tfqz`: versions, backends, and a check of what they compute."""

import sys

from tfqz._api import selfcheck

if __name__ == "__main__":
    sys.exit(selfcheck.main())
