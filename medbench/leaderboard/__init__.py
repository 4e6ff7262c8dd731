"""Leaderboards: tables over the records of many runs."""

from __future__ import annotations
