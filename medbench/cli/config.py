"""`medbench config`: the settings in force, and who says so."""

from __future__ import annotations

from medbench.cli import arguments


def config(*, json: arguments.Json = False) -> None:
    """Print the settings in force: data folders, cache, plugins, each with where it was set."""
    from medbench.diagnosis import settings
    from medbench.registry import load_registry

    found = settings(load_registry())
    if json:
        arguments.print_json(found)
        return
    from medbench.cli.layout import console, table

    console().print(table(["setting", "value", "set by"], [[one.name, one.value, one.source] for one in found], whole=(0,)))
    print('\na data folder: [data] NAME = "DIR" in medbench.toml, or MEDBENCH_DATA_<NAME>; --data stands over both')
