"""Do metrics and judges agree with people? Human ratings read and collected, and held against scored runs."""

from __future__ import annotations
