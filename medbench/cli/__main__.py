"""`python -m medbench.cli`."""

from __future__ import annotations

from medbench.cli.main import main

main()
