"""An entry as `model-index`: the form in which model cards of the Hugging Face hub carry results."""

from __future__ import annotations

from typing import Any

import msgspec

from medbench.leaderboard.board import Board
from medbench.leaderboard.entries import Entry, Result
from medbench.record import Score
from medbench.report.cells import conventions
from medbench.types import as_text

_encoder = msgspec.json.Encoder()

HUB_TASKS = {
    "vqa": "visual-question-answering",
    "report": "image-to-text",
    "multilabel": "image-classification",
    "probe": "image-classification",
    "zero-shot": "zero-shot-image-classification",
    "text-to-image": "text-to-image",
}
"""Protocol -> what the hub calls such a task; others are called by the protocol's own name."""


def model_index(entry: Entry, board: Board, url: str = "") -> str:
    """Return the front matter of a model card: one block per task, every metric with its interval and n among its arguments.

    `url` is the page of the entry, or of the board: the hub takes a source only with an address.

    It is YAML whose values are written as JSON, which YAML contains: nothing in a name can change its structure.
    """
    lines = ["---", "model-index:", f"- name: {_json(entry.system)}", "  results:"]
    for result in entry.results:
        lines += _block(result, entry, board, url or board.url)
    return "\n".join([*lines, "---"]) + "\n"


def _block(result: Result, entry: Entry, board: Board, url: str) -> list[str]:
    data = result.data
    source = {"name": f"medbench leaderboard {board.name}, entry {entry.hash}", "url": url}
    parts = {
        "task": {"type": HUB_TASKS.get(result.protocol, result.protocol), "name": result.task},
        "dataset": {"name": data.dataset, "type": data.dataset, "split": data.split, "revision": data.manifest},
        **({"source": source} if url else {}),
    }
    lines = []
    for name, facts in parts.items():
        lines += [f"    {name}:", *(f"      {key}: {_json(value)}" for key, value in facts.items())]
    lines[0] = f"  - {lines[0].strip()}"
    return [*lines, "    metrics:", *(line for cell in result.cells if cell.score.value is not None for line in _metric(cell.score))]


def _metric(score: Score) -> list[str]:
    named = f"{score.metric}/{score.name} {conventions(score.convention)} {as_text(score.condition)}".strip()
    arguments = {"low": score.low, "high": score.high, "level": score.level, "n": score.n}
    return [
        f"    - type: {_json(score.name)}",
        f"      name: {_json(' '.join(named.split()))}",
        f"      value: {_json(score.value)}",
        f"      args: {_json(arguments)}",
    ]


def _json(value: Any) -> str:
    return _encoder.encode(value).decode()
