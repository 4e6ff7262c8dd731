"""`python -m medbench`."""

from __future__ import annotations

from medbench.cli.main import main

main()
