"""Views of records that people look at."""

from __future__ import annotations
