"""Who may stand on a board: every reason against an entry, and every mark beside one that may."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medbench.errors import Problem
from medbench.leaderboard.board import Board, BoardTask
from medbench.leaderboard.entries import Entry, Result, cell_key
from medbench.permissions import in_words
from medbench.record import ModelFacts, Score

REVISION = re.compile(r"(?:[0-9a-f]{40}|(?:sha256:)?[0-9a-f]{16,64})")
"""A commit of a hub, or a digest: what a name of weights must carry to be one and the same for ever."""
DIGESTS = ("weights_digest", "weights_sha256", "digest", "sha256", "revision", "commit")
"""What models call the fact that pins their weights."""


def pinned_by(model: ModelFacts, paths: Sequence[str], *, isolated: bool, stated: str = "") -> str:
    """Return what pins a model's weights; empty: nothing does.

    Args:
        model: What the record says; options that name files are digests already.
        paths: Options that name weights.
        isolated: Whether the card says that it loads weights at all.
        stated: What the submitter states, `name@revision`, for predictions made elsewhere.
    """
    if stated and REVISION.fullmatch(stated.rpartition("@")[2]):
        return stated
    if model.networked or model.kind == "predictions":
        return ""
    if "manifest" in model.fitted:
        return f"fitted on {str(model.fitted['manifest'])[:12]}"
    found = list(_digests(model.loaded))
    given = [str(value) for name, value in model.options.items() if name in paths and value]
    revision = str(model.options.get("revision", ""))
    if any(not value.startswith("sha256:") for value in given) and not (found or REVISION.fullmatch(revision)):
        return ""
    if given or found:
        return ", ".join(dict.fromkeys([*given, *([revision] if revision else []), *found]))
    return "" if isolated else "code alone"


def _digests(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the digests and revisions among what a model stated after loading, however deep they lie."""
    for name, value in sorted(facts.items()):
        if isinstance(value, dict):
            yield from _digests(value)
        elif isinstance(value, str) and name.rpartition(".")[2].endswith(DIGESTS) and REVISION.fullmatch(value):
            yield value


def problems(entry: Entry, board: Board, *, submitted: bool = False) -> list[Problem]:
    """Return every reason why an entry may not stand on a board.

    Args:
        entry: A system.
        board: Whose rules count.
        submitted: It is on its way to a maintainer, who scores it where references are held back.
    """
    found = list(_of_the_system(entry, board))
    if not entry.results:
        found.append(Problem("it has no result", "medbench leaderboard add RUN"))
    for result in entry.results:
        pinned = board.task(result.task)
        if pinned is None:
            found.append(
                Problem(f"{result.task} is no task of the board {board.name}", f"its tasks: {', '.join(t.name for t in board.tasks)}")
            )
        else:
            found += _of_the_result(result, pinned, board, unscored=submitted and _held(board) and not result.cells)
    tasks = [result.task for result in entry.results]
    found += [Problem(f"{task} stands in it twice", "one result per task") for task in dict.fromkeys(tasks) if tasks.count(task) > 1]
    return found


def _of_the_system(entry: Entry, board: Board) -> Iterator[Problem]:
    kind = entry.model.kind
    if entry.board != board.name:
        yield Problem(f"it is an entry of the board {entry.board}", "add the run to this board")
    if kind == "oracle":
        yield Problem("an oracle knows the answers", "oracles are for tests of metrics; they enter no board")
    elif kind not in board.enter:
        yield Problem(f"a {kind} may not enter", f"the board takes: {', '.join(board.enter)}")
    if entry.model.untrained and not board.untrained:
        yield Problem("its weights are random (untrained)", "enter a trained model, or say `untrained = true` in board.toml")
    if not entry.source.weights and board.unpinned == "refuse":
        yield Problem(*_unpinned(entry.model))


def _unpinned(model: ModelFacts) -> tuple[str, str]:
    if model.networked:
        return (
            "its weights are unpinned: they are on somebody else's machine and may change",
            'a board that lists such models says `unpinned = "mark"`',
        )
    if model.kind == "predictions":
        return "its weights are unpinned: a predictions file does not say what made it", "--weights NAME@REVISION (a commit or a digest)"
    return "its weights are unpinned: a hub id without a revision", "--model-option revision=COMMIT, or weights=FOLDER, and run again"


def _held(board: Board) -> bool:
    return board.references == "private"


def _of_the_result(result: Result, pinned: BoardTask, board: Board, *, unscored: bool) -> Iterator[Problem]:
    data = result.data
    if data.limit is not None:
        yield Problem(f"{result.task}: only {data.limit} samples were run (--limit)", "run the whole split")
    if data.synthetic != board.synthetic:
        one, other = ("synthetic", "real") if data.synthetic else ("real", "synthetic")
        yield Problem(f"{result.task}: the data is {one}, the board is about {other} data", "the numbers say nothing about each other")
    yield from _manifest(result, pinned, board, unscored=unscored)
    if result.protocol != pinned.protocol:
        yield Problem(f"{result.task}: protocol {result.protocol}, the board's is {pinned.protocol}", f"--protocol {pinned.protocol}")
    for name, value in pinned.params.items():
        if result.params.get(name) != value:
            yield Problem(f"{result.task}: {name} is {result.params.get(name)!r}, the board's is {value!r}", f"--param {name}={value}")
    if unscored:
        return
    if _held(board) and not result.cells:
        hint = "the maintainer scores it: medbench leaderboard verify SUBMISSION --data DIR --complete ENTRY"
        yield Problem(f"{result.task}: it is not scored yet, since the board holds its references back", hint)
        return
    yield from _failures(result, board)
    yield from _scores(result, pinned, board)


def _manifest(result: Result, pinned: BoardTask, board: Board, *, unscored: bool) -> Iterator[Problem]:
    if unscored:
        have, want, what = result.blind, pinned.blind, "blind"
    else:
        have, want, what = result.data.manifest, pinned.manifest, "manifest"
    if not want:
        yield Problem(f"{result.task}: the board pins no {what}, so nobody can enter", f'{what} = "{have}" below [[tasks]] in {board.path}')
    elif have != want:
        yield Problem(
            f"{result.task}: other samples than the board's (data manifest {have[:12]}, the board's {want[:12]})",
            "the same packaging, split and files? medbench show task says which",
        )


def _failures(result: Result, board: Board) -> Iterator[Problem]:
    total = result.n_predictions
    if total and result.n_failed > board.max_failed * total:
        yield Problem(
            f"{result.task}: {result.n_failed:,} of {total:,} samples failed, the board allows {board.max_failed:.1%}",
            "the same command with --retry-failed",
        )
    for cell in result.cells:
        score = cell.score
        outside = score.n_failed + score.n_unscored
        if outside > board.max_failed * max(1, score.n + outside):
            yield Problem(
                f"{result.task}: {outside:,} samples are not in {score.metric}/{score.name}, the board allows {board.max_failed:.1%}",
                "the same command with --retry-failed",
            )


def _scores(result: Result, pinned: BoardTask, board: Board) -> Iterator[Problem]:
    for cell in result.cells:
        found = wrong_convention(cell.score, pinned)
        if found:
            yield Problem(f"{result.task}: {cell.score.metric}/{cell.score.name} is under {found}", "add the run again")
    have = {cell_key(cell.score) for cell in result.cells}
    columns = [column for column in board.columns if column.task == result.task]
    if columns and not any(column.key.partition(":")[2] in have for column in columns):
        yield Problem(
            f"{result.task}: none of the board's scores is in it", f"medbench score RUN --metric {columns[0].score.partition('/')[0]}"
        )
    for cell in result.cells:
        primary = f"{result.task}:{cell_key(cell.score)}" == board.primary
        if primary and cell.replicates and len(cell.array()) < board.resamples:
            yield Problem(f"{result.task}: {len(cell.array()):,} replicates, the board needs {board.resamples:,}", "add the run again")


def wrong_convention(score: Score, pinned: BoardTask) -> str:
    """Return the convention of a score that is not the board's; empty: it agrees."""
    for family, name in sorted(score.convention.items()):
        wanted = pinned.conventions.get(family, name)
        if family == "by" and name.rpartition("-")[0] == wanted:
            continue  # the judge's name without the digest of its options
        if name not in {wanted, wanted.partition("@")[0]} and name.partition("@")[0] != wanted:
            return f"{family}={name}, the board's is {family}={wanted}"
    return ""


def marks(entry: Entry) -> list[str]:
    """Return what a reader of the table must know about a row."""
    found = [entry.model.kind] if entry.model.kind != "model" else []
    found += ["untrained"] if entry.model.untrained else []
    found += ["weights not pinned"] if not entry.source.weights else []
    found += [f"saw {dataset} in training" for dataset in contaminated(entry)]
    failed = sum(result.n_failed for result in entry.results)
    found += [f"{failed:,} failed"] if failed else []
    return [*found, *dict.fromkeys(line for result in entry.results for line in in_words(result.overrides))]


def contaminated(entry: Entry) -> list[str]:
    """Return the datasets that both the model's weights saw, by its card, and the board evaluates on."""
    trained = {_family(name) for name in entry.source.trained_on}
    return sorted({result.data.dataset for result in entry.results if _family(result.data.dataset) in trained})


def _family(dataset: str) -> str:
    """Return a dataset's name without case and punctuation: `VQA-RAD` and `vqa_rad` are one."""
    return re.sub(r"[^a-z0-9]", "", dataset.lower())
