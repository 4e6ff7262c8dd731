"""An entry as `model-index`: the form in which model cards of the Hugging Face hub carry results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from medbench.leaderboard.board import Board
from medbench.leaderboard.entries import Entry, Result
from medbench.report.cells import conventions

HUB_TASKS = {
    "vqa": "visual-question-answering",
    "report": "image-to-text",
    "multilabel": "image-classification",
    "probe": "image-classification",
    "zero-shot": "zero-shot-image-classification",
    "text-to-image": "text-to-image",
}
"""Protocol -> what the hub calls such a task; others are called by the protocol's own name."""


def model_index(entry: Entry, board: Board) -> str:
    """Return the front matter of a model card: YAML with one block per task, every value with its interval in the name's metadata."""
    results = [_result(result, board, entry) for result in entry.results]
    index = [{"name": entry.system, "results": results}]
    return "---\n" + "\n".join(_yaml({"model-index": index})) + "\n---\n"


def _result(result: Result, board: Board, entry: Entry) -> dict[str, Any]:
    data = result.data
    return {
        "task": {"type": HUB_TASKS.get(result.protocol, result.protocol), "name": result.task},
        "dataset": {"name": data.dataset, "type": data.dataset, "split": data.split, "revision": data.manifest},
        "metrics": [
            {
                "type": cell.score.name,
                "name": " ".join(part for part in (f"{cell.score.metric}/{cell.score.name}", conventions(cell.score.convention)) if part),
                "value": cell.score.value,
                "verified": False,
                "args": {"low": cell.score.low, "high": cell.score.high, "level": cell.score.level, "n": cell.score.n},
            }
            for cell in result.cells
            if cell.score.value is not None
        ],
        "source": {"name": f"medbench leaderboard {board.name}, entry {entry.hash}", **({"url": board.url} if board.url else {})},
    }


def _yaml(value: Any, indent: str = "") -> Iterator[str]:
    """Yield the lines of plain data as YAML; scalars are JSON, which YAML contains."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, dict | list) and inner:
                yield f"{indent}{name}:"
                yield from _yaml(inner, indent + ("" if isinstance(inner, list) else "  "))
            else:
                yield f"{indent}{name}: {json.dumps(inner, ensure_ascii=False)}"
        return
    for item in value:
        lines = list(_yaml(item, f"{indent}  "))
        yield f"{indent}- {lines[0].strip()}"
        yield from lines[1:]
