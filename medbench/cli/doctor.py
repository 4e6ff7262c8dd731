"""`medbench doctor`: is everything at hand, and does it work?"""

from __future__ import annotations

from pathlib import Path

from medbench.cli import arguments


def doctor(*, runs_dir: arguments.RunsDir = "runs", json: arguments.Json = False) -> None:
    """Look at settings, folders, plugins, packages, accelerator and data; exit code 4 where something is wrong.

    What is only absent is no fault: it is said with what would install it.
    """
    from medbench.diagnosis import diagnose
    from medbench.errors import FoundError
    from medbench.registry import load_registry

    marks = {"ok": "ok", "absent": "–", "wrong": "WRONG"}
    found = []
    area = ""
    for one in diagnose(load_registry(), Path(runs_dir)):
        found.append(one)
        if json:
            continue
        if one.area != area:
            print(f"{chr(10) if area else ''}{one.area}")
            area = one.area
        print(f"  {marks[one.state]:<6} {one.name:<24} {one.said}".rstrip(), flush=True)
        if one.state != "ok":
            for line in one.hint.splitlines():
                print(f"  {'':<6} {'':<24} {line}")
    if json:
        arguments.print_json(found)
    wrong = [one for one in found if one.state == "wrong"]
    if wrong:
        several = f"{len(wrong)} things are wrong" if len(wrong) > 1 else "something is wrong"
        raise FoundError(f"{several}: {', '.join(one.name for one in wrong)}", hint="each is said above with what would help")
