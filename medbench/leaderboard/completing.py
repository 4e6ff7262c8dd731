"""Scoring a submission whose references are held back: the maintainer has them, the submitter had none."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec

from medbench.errors import FoundError, UsageError
from medbench.files import storage, write_whole
from medbench.finishing import data_facts
from medbench.identity import digest
from medbench.leaderboard.board import Board
from medbench.leaderboard.deriving import blind_digest, board_metrics, derive, packed_digest, replicates_wanted, seed_of, sources_of
from medbench.leaderboard.entries import Cell, Entry, Result, cell_key, pack_replicates, sealed
from medbench.leaderboard.verifying import Material
from medbench.leaderboard.ways import Way, portable_signatures
from medbench.record import to_json
from medbench.registry import Registry
from medbench.scoring import Scored, score


def complete_entry(entry: Entry, result: Result, material: Material, board: Board, registry: Registry, out: Path) -> Entry:
    """Return the entry with the scores that its predictions earn, and write it.

    Args:
        entry: The submission, without scores.
        result: Its result to be scored.
        material: The maintainer's samples, with references, and the submitted predictions.
        board: A board whose references are held back.
        registry: The cards at hand.
        out: Where the scored entry goes.

    Raises:
        UsageError: the board's references are public: the submitter scores.
        FoundError: the predictions are for other samples, or not those that the entry speaks of.
    """
    pinned = board.task(result.task)
    if board.references != "private" or pinned is None:
        raise UsageError(f"{board.name} has public references: its entries are scored by those who submit", hint="leave out --complete")
    if material.manifest != pinned.manifest:
        raise FoundError(f"other data than the board's: manifest {material.manifest[:12]}, the board's {pinned.manifest[:12]}")
    if blind_digest(material.samples) != result.blind:
        raise FoundError(f"{entry.id}: predicted for other samples than the board's", hint="the submitter's data is another packaging")
    if packed_digest(material.predictions) != result.predictions:
        raise FoundError(f"{entry.id}: not the predictions that the entry speaks of", hint="ask for the file again")
    made = msgspec.structs.replace(result, **_scored(result, material, board, registry))
    results = tuple(made if one.task == result.task else one for one in entry.results)
    whole = sealed(msgspec.structs.replace(entry, results=results))
    with storage(out, "--complete another file"):
        out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, to_json(whole))
    return whole


def _scored(result: Result, material: Material, board: Board, registry: Registry) -> dict[str, object]:
    """Return the fields of a result that follow from references."""
    pinned = board.task(result.task)
    assert pinned is not None
    metrics = board_metrics(board, pinned, material.plan.task, result.options, registry)
    salt = digest(material.manifest, result.scored)
    with tempfile.TemporaryDirectory() as rows:
        scored: Scored | None = None
        events = score(
            material.samples,
            material.predictions,
            metrics,
            Path(rows),
            seed=result.seed,
            salt=salt,
            group=material.plan.reader.group,
            by=material.plan.by,
            over=material.plan.protocol.over,
        )
        for event in events:
            scored = event if isinstance(event, Scored) else scored
        assert scored is not None
        sources = sources_of(material.plan, material.samples, Path(rows), salt)
        ways = [[Way(plan=plan)] for plan in metrics]
        wanted = replicates_wanted(board, result.task)
        derivation = derive(material.samples, material.predictions, ways, sources, draws=seed_of(material.manifest), wanted=wanted)
    whole = {cell_key(one): one for one in scored.scores if not one.subgroup}
    cells = tuple(Cell(score=whole[key], replicates=pack_replicates(found.replicates)) for key, found in derivation.found.items())
    chosen = {cell.score.identity for cell in cells}
    return {
        "cells": cells,
        "others": tuple(one for one in scored.scores if one.identity not in chosen),
        "contrasts": scored.contrasts,
        "data": data_facts(material.plan, material.samples, material.manifest),
        "draws": seed_of(material.manifest),
        "not_computed": {**scored.not_computed, **derivation.not_computed},
        "signatures": portable_signatures(scored.signatures, registry),
    }
