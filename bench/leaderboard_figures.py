"""A board of a thousand entries: how long it takes to build, and how long its page takes to sort in a real browser."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ENTRIES, SCORES = 1_000, 50
BUILD_S, SORT_MS = 10.0, 100.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

Figure = tuple[str, float, str, str, str, bool]


def figures() -> Iterator[Figure]:
    """Yield the times of `leaderboard build`, tables alone and with the site, and of a sort in Chromium where there is one."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_board(home / "leaderboards" / "large", ENTRIES, SCORES)
        against = f"shell to files, {ENTRIES:,} entries x {SCORES} scores"
        for name, more in (("tables", ()), ("tables and site", ("--site", str(home / "site")))):
            seconds = min(_build(home, more) for _ in range(2))
            yield f"board, {name}", seconds, "s", against, f"<= {BUILD_S:g}", seconds <= BUILD_S
        browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
        if browser:
            milliseconds = _sort(home / "site" / "large" / "index.html", browser)
            yield (
                "board, sort by a score",
                milliseconds,
                "ms",
                "headless Chromium, click to rows",
                f"<= {SORT_MS:g}",
                milliseconds <= SORT_MS,
            )


def write_board(folder: Path, entries: int, scores: int) -> None:
    """Write a board of made-up systems: normal replicates that share their noise, as paired systems do."""
    from medbench.leaderboard.entries import Cell, Entry, Result, Source, pack_replicates, sealed, write_entry
    from medbench.record import DataFacts, ModelFacts, Score

    folder.mkdir(parents=True)
    columns = "".join(f'[[columns]]\nscore = "m/s{number}"\nlabel = "score {number}"\n' for number in range(scores))
    task = '[[tasks]]\nname = "made-up"\nprotocol = "vqa"\nmanifest = "0123456789abcdef"\n'
    (folder / "board.toml").write_text(f'title = "A large board"\nsynthetic = true\n{task}{columns}')
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 0.02, 10_000)
    data = DataFacts(dataset="made-up", split="test", manifest="0123456789abcdef", n=1000, n_groups=500, synthetic=True)
    for number in range(entries):
        skill = rng.uniform(0.3, 0.9)
        cells = []
        for place in range(scores):
            count = 10_000 if place == 0 else 1_000
            values = skill + shared[:count] + rng.normal(0, 0.01, count)
            low, high = np.quantile(values, [0.025, 0.975])
            score = Score(metric="m", name=f"s{place}", value=float(skill), low=float(low), high=float(high), n=1000, n_groups=500)
            cells.append(Cell(score=score, replicates=pack_replicates(values)))
        result = Result(task="made-up", protocol="vqa", fingerprint=f"{number:012x}", data=data, cells=tuple(cells), n_predictions=1000)
        model = ModelFacts(name=f"model-{number % 20}", identity=f"model-{number}")
        entry = Entry(
            id=f"system-{number:04d}",
            board="large",
            system=f"system {number:04d}",
            model=model,
            source=Source(weights="code alone"),
            results=(result,),
        )
        write_entry(folder, sealed(entry))


def _build(home: Path, more: tuple[str, ...]) -> float:
    command = [str(Path(sys.executable).parent / "medbench"), "leaderboard", "build", "--boards", str(home / "leaderboards"), *more]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _sort(page: Path, browser: str) -> float:
    """Return how long the slowest of several sorts takes, from the click until its rows are laid out."""
    from playwright.sync_api import sync_playwright

    measure = """(index) => new Promise((done) => {
        const table = window.medbenchTables.jQuery("#board").DataTable();
        const head = document.querySelectorAll("#board thead th")[index];
        let start = 0;
        table.one("draw", () => {
            document.querySelector("#board tbody").getBoundingClientRect();
            done([performance.now() - start, document.querySelectorAll("#board tbody tr").length]);
        });
        start = performance.now();
        head.click();
    })"""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        opened = launched.new_page()
        opened.goto(page.as_uri())
        opened.wait_for_selector("#board tbody tr")
        found = [opened.evaluate(measure, index) for index in (2, 3, 30, 2, 51)]
        launched.close()
    assert all(rows == 10 for _, rows in found), found
    return max(milliseconds for milliseconds, _ in found)
