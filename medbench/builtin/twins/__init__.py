"""Synthetic twins: procedural pictures and templated text in the real on-disk layouts, written for tests and first tries."""
