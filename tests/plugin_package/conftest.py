"""Lets the tests of the example find it where it lies: it is not installed here, so that nothing but its own tests sees it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
