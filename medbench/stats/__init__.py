"""Intervals, paired tests and vectorised figures, in numpy alone."""

from __future__ import annotations
