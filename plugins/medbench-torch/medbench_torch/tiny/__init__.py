"""Tiny models of the true classes, with tokenizers made in code: for tests, demonstrations and presets. Nothing is downloaded."""

from __future__ import annotations
