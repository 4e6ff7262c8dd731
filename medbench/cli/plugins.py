"""`medbench plugins`: what is installed, what it offers, and what is broken."""

from __future__ import annotations

from medbench.cli import arguments


def plugins(*, json: arguments.Json = False) -> None:
    """List the plugins; one that cannot be loaded is a line that says why."""
    from medbench.cards import KINDS
    from medbench.plugins import load_plugins

    heads = ["plugin", "version", "module", "offers"]
    rows = []
    for plugin in load_plugins().found:
        counts = {noun: sum(isinstance(card, kind) for card in plugin.cards) for noun, kind in KINDS.items()}
        offers = ", ".join(f"{count} {noun}{'s' if count > 1 else ''}" for noun, count in counts.items() if count)
        rows.append([plugin.name, plugin.version, plugin.module, f"broken: {plugin.error}" if plugin.error else offers])
    if json:
        arguments.print_json([dict(zip(heads, row, strict=True)) for row in rows])
        return
    from medbench.cli.layout import console, table

    console().print(table(heads, rows))
