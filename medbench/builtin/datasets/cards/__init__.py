"""The cards of the datasets, by theme."""

from __future__ import annotations
