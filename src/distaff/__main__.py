"""``python -m distaff``."""

from __future__ import annotations

import sys

from distaff.cli import main

if __name__ == "__main__":
    sys.exit(main())
