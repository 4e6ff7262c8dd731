"""`medbench leaderboard add, build, check, verify, pack`: from runs to a published board, and back to the evidence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medbench.cli import arguments
from medbench.errors import DataError, FoundError, UsageError

if TYPE_CHECKING:
    from medbench.leaderboard.board import Board
    from medbench.leaderboard.building import Held
    from medbench.leaderboard.entries import Entry, Result
    from medbench.leaderboard.making import Stated
    from medbench.leaderboard.verifying import Verification
    from medbench.runs import RunFolder

Boards = Annotated[str, typer.Option("--boards", help="Folder that holds the boards.")]
BoardName = Annotated[str, typer.Option("--board", help="Which board; default: the one whose task it is.", show_default=False)]
Names = Annotated[list[str] | None, typer.Argument(help="Boards; default: all.", show_default=False)]
Run = Annotated[str, typer.Argument(help="A run's folder, fingerprint or task/model.")]
System = Annotated[str, typer.Option("--system", help="How tables name the system; default: the model's name.", show_default=False)]
Id = Annotated[str, typer.Option("--id", help="File name of the entry; default: made from the system.", show_default=False)]
Weights = Annotated[
    str, typer.Option("--weights", help="NAME@REVISION of weights that ran elsewhere (a commit or a digest).", show_default=False)
]
TrainedOn = Annotated[
    list[str] | None, typer.Option("--trained-on", help="Datasets that the weights saw, beside those of the card.", show_default=False)
]
Hardware = Annotated[str, typer.Option("--hardware", help="What it ran on.", show_default=False)]
Usd = Annotated[float | None, typer.Option("--usd", help="What the predictions cost, in US dollars.", min=0.0, show_default=False)]
Seconds = Annotated[float | None, typer.Option("--seconds", help="Wall time of predicting, loading left out.", min=0.0, show_default=False)]


def add(
    run: Run,
    *,
    board: BoardName = "",
    boards: Boards = "leaderboards",
    runs_dir: arguments.RunsDir = "runs",
    system: System = "",
    entry_id: Id = "",
    weights: Weights = "",
    trained_on: TrainedOn = None,
    hardware: Hardware = "",
    usd: Usd = None,
    seconds: Seconds = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of an entry of the same name.")] = False,
) -> None:
    """Make a run an entry of a board: refused, with every reason, where the board's rules speak against it."""
    from medbench.leaderboard.entries import write_entry

    found, _, entry = _made(
        run, board, boards, runs_dir, _stated(system, entry_id, weights, trained_on, hardware, usd, seconds), replace=replace
    )
    place = write_entry(Path(found.path).parent, entry)
    place.chmod(0o644)
    print(f"{entry.system} is entry {entry.id} of {found.name}: {place}")
    print("next: medbench leaderboard build")


def pack(
    run: Run,
    *,
    out: Annotated[str, typer.Option("--out", help="Folder of the submission; default: submission-<entry>.", show_default=False)] = "",
    board: BoardName = "",
    boards: Boards = "leaderboards",
    runs_dir: arguments.RunsDir = "runs",
    system: System = "",
    entry_id: Id = "",
    weights: Weights = "",
    trained_on: TrainedOn = None,
    hardware: Hardware = "",
    usd: Usd = None,
    seconds: Seconds = None,
) -> None:
    """Pack a submission: entry, predictions and rows in one folder, without anything that the data's terms forbid."""
    from medbench.leaderboard.packing import pack as write
    from medbench.registry import load_registry

    stated = _stated(system, entry_id, weights, trained_on, hardware, usd, seconds)
    found, folder, entry = _made(run, board, boards, runs_dir, stated, replace=True, submitted=True)
    place = write(folder, entry, found, Path(out or f"submission-{entry.id}"), load_registry())
    print(f"{entry.system} is packed for {found.name}: {place}")
    print(f"{(place / 'README.md').read_text(encoding='utf-8').splitlines()[4].strip()}")


def build(
    names: Names = None,
    *,
    boards: Boards = "leaderboards",
    site: Annotated[str, typer.Option("--site", help="Write the static site into this folder, too.", show_default=False)] = "",
    url: Annotated[str, typer.Option("--url", help="Where the site will be: for permalinks and citations.", show_default=False)] = "",
) -> None:
    """Write each board's tables (Markdown, CSV, LaTeX, JSON) beside its file and, with --site, the pages."""
    from medbench.leaderboard.building import build as write

    held = write(Path(boards), tuple(names or ()))
    for one in held:
        print(f"{one.board.name:<24} {_counted(one)}")
    if site:
        from medbench.leaderboard.site import write_site

        index = write_site(held, Path(site), url=url)
        print(f"site                     {index}")


def check(names: Names = None, *, boards: Boards = "leaderboards") -> None:
    """Say whether the tables still follow from the entries; exit 4 where one does not."""
    from medbench.leaderboard.building import check as compare

    for one in compare(Path(boards), tuple(names or ())):
        print(f"{one.board.name:<24} {_counted(one)}, tables up to date")


def verify(
    entry: Annotated[str, typer.Argument(help="An entry's file, or a submission's folder.")],
    *,
    predictions: Annotated[
        str, typer.Option("--predictions", help="What was submitted; default: beside the entry.", show_default=False)
    ] = "",
    data: arguments.Data = None,
    board: BoardName = "",
    boards: Boards = "leaderboards",
    task: Annotated[str, typer.Option("--task", help="Which of the entry's tasks; default: its only one.", show_default=False)] = "",
    alias: Annotated[str, typer.Option("--id", help="The samples' other name that the file uses.", show_default=False)] = "",
    record: Annotated[bool, typer.Option("--record", help="Keep the result beside the entries: the board then says verified.")] = False,
    complete: Annotated[
        str, typer.Option("--complete", help="References held back: write the scored entry into this file.", show_default=False)
    ] = "",
    json: arguments.Json = False,
) -> None:
    """Derive an entry's numbers again from its predictions; exit 4 where one of them differs."""
    from medbench.leaderboard.completing import complete_entry
    from medbench.leaderboard.entries import read_entry
    from medbench.leaderboard.verifying import gather, write_verified
    from medbench.leaderboard.verifying import verify as derive_again
    from medbench.registry import load_registry

    path = Path(entry) / "entry.json" if Path(entry).is_dir() else Path(entry)
    submitted, registry = read_entry(path), load_registry()
    found = _board(board or submitted.board, boards)
    result = _result(submitted, task)
    file = Path(predictions) if predictions else path.parent / "predictions.jsonl"
    material = gather(result, file, data, registry, alias=alias)
    if complete:
        submitted = complete_entry(submitted, result, material, found, registry, Path(complete))
        result = _result(submitted, result.task)
        print(f"scored: {complete}")
    rows = path.parent / "rows"
    made = derive_again(submitted, result, material, found, registry, rows=rows if rows.is_dir() else None)
    if json:
        arguments.print_json(made)
    else:
        _print_verification(made)
    if not made.ok:
        raise FoundError(
            f"{submitted.id}: not every number follows from the predictions", hint="ask the submitter for the run's own folder"
        )
    if record:
        print(f"recorded: {write_verified(Path(found.path).parent, made)}")


def _stated(
    system: str, entry_id: str, weights: str, trained_on: list[str] | None, hardware: str, usd: float | None, seconds: float | None
) -> Stated:
    from medbench.leaderboard.admission import REVISION
    from medbench.leaderboard.board import NAME
    from medbench.leaderboard.making import Stated

    if weights and not REVISION.fullmatch(weights.rpartition("@")[2]):
        raise UsageError(f"--weights {weights}: no commit or digest after the @", hint="--weights org/name@<40 hex digits>")
    if entry_id and not NAME.fullmatch(entry_id):
        raise UsageError(f"--id {entry_id}: no name for an entry", hint="lower-case letters, digits and . _ - alone")
    return Stated(
        id=entry_id,
        system=system,
        weights=weights,
        trained_on=arguments.names(trained_on),
        hardware=hardware,
        usd=usd,
        seconds=seconds,
    )


def _made(
    run: str, board: str, boards: str, runs_dir: str, stated: Stated, *, replace: bool, submitted: bool = False
) -> tuple[Board, RunFolder, Entry]:
    """Return the board, the run and the entry that it makes there, judged by the board's rules."""
    from medbench.leaderboard.admission import problems
    from medbench.leaderboard.building import refuse
    from medbench.leaderboard.entries import FOLDER
    from medbench.leaderboard.making import make_entry
    from medbench.registry import load_registry
    from medbench.runs import find_run

    folder = find_run(run, Path(runs_dir))
    found = _board(board, boards, task=folder.read_record().task)
    registry = load_registry()
    entry = make_entry(folder, found, registry, stated)
    old = _standing(Path(found.path).parent / FOLDER / f"{entry.id}.json", replace=replace)
    if old and _same_system(old, entry):
        entry = make_entry(folder, found, registry, stated, old)
    elif old and not replace:
        raise UsageError(f"{found.name}: another system is called {entry.id} there", hint="--id NAME, --system NAME, or --replace")
    refuse({entry.id: problems(entry, found, submitted=submitted)}, found)
    return found, folder, entry


def _standing(place: Path, *, replace: bool) -> Entry | None:
    """Return the entry of that name, if there is one; one that cannot be read only stands in the way of what does not replace it."""
    from medbench.leaderboard.entries import read_entry

    if not place.is_file():
        return None
    try:
        return read_entry(place)
    except DataError:
        if replace:
            return None
        raise


def _same_system(old: Entry, new: Entry) -> bool:
    """Say whether two entries are one system, perhaps on several tasks: one card, one version, the same options and weights."""
    facts = [(e.model.name, e.model.options, e.source.plugin, e.source.version, e.model.kind) for e in (old, new)]
    fitted = bool(old.model.fitted and new.model.fitted)
    return facts[0] == facts[1] and (fitted or old.source.weights == new.source.weights)


def _board(name: str, boards: str, task: str = "") -> Board:
    """Return the board of that name, or the only one that has the task."""
    from medbench.leaderboard.board import find_boards

    if name:
        return find_boards(Path(boards), (name,))[0]
    found = [board for board in find_boards(Path(boards)) if board.task(task)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(
            f"no board in {boards} has the task {task}", hint="write one (board.toml), or name another place with --boards DIR"
        )
    raise UsageError(f"{len(found)} boards have the task {task}", hint=f"--board {' or --board '.join(board.name for board in found)}")


def _result(entry: Entry, task: str) -> Result:
    if task or len(entry.results) == 1:
        found = entry.result(task) if task else entry.results[0]
        if found is not None:
            return found
    known = ", ".join(result.task for result in entry.results)
    raise UsageError(f"{entry.id}: {'no result for ' + task if task else 'several tasks'}", hint=f"--task, one of {known}")


def _counted(held: Held) -> str:
    entries, references = len(held.entries), len(held.board.reported)
    said = f"{entries} {'entry' if entries == 1 else 'entries'}"
    return f"{said}, {references} reported" if references else said


def _print_verification(made: Verification) -> None:
    from medbench.cli.layout import console, table

    rows = []
    for score in made.scores:
        off = "" if score.derived is None and score.off == 0 else ("not comparable" if score.off is None else f"{score.off:.1e}")
        stated, derived = ("–" if value is None else f"{value:.6f}" for value in (score.stated, score.derived))
        rows.append([score.key, stated, derived, off, score.status])
    out = console()
    out.print(table(["score", "stated", "derived", "off", ""], rows, right=(1, 2, 3)))
    for reason in dict.fromkeys(score.why for score in made.scores if score.why):
        out.print(f"not checked: {reason}", soft_wrap=True)
    for remark in made.remarks:
        out.print(f"note: {remark}", soft_wrap=True)
    print(f"tolerance {made.tolerance:g}, on the values and on every replicate")
