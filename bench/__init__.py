"""Figures of speed and memory, each held against a bar."""

from __future__ import annotations
