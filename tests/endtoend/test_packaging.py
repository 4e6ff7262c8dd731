"""The wheel: what is in it, and that it works in an environment where nothing else is."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import msgspec

from medbench.record import RunRecord

REPOSITORY = Path(__file__).parents[2]
WRITTEN_BY_THE_INSTALLER = {"RECORD"}


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if Path(name).name not in WRITTEN_BY_THE_INSTALLER}


def test_the_wheel_holds_the_package_its_tasks_and_nothing_else(core_wheel):
    held = contents(core_wheel)
    package = {
        str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "medbench").rglob("*") if path.suffix != ".pyc" and path.is_file()
    }
    tasks = {f"medbench/_tasks/{path.relative_to(REPOSITORY / 'tasks')}" for path in (REPOSITORY / "tasks").rglob("*.toml")}
    assert tasks
    assert {name for name in held if ".dist-info/" not in name} == package | tasks
    assert any(name.endswith("licenses/LICENSE") for name in held)


def test_the_source_distribution_makes_the_same_wheel(core_wheel, wheel_of_sdist):
    assert contents(wheel_of_sdist) == contents(core_wheel)


def test_the_bare_wheel_brings_six_dependencies_and_no_framework(bare):
    code = "import importlib.metadata as m; print('\\n'.join(sorted(d.name.lower() for d in m.distributions())))"
    installed = subprocess.run([bare.python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"medbench", "msgspec", "numpy", "pillow", "pluggy", "rich", "typer"} <= set(installed)
    assert len(installed) < 20, installed
    assert not {"torch", "transformers", "scipy", "pandas"} & set(installed)


def test_the_bare_wheel_lists_shows_and_runs(bare, tmp_path):
    listed = json.loads(bare.run("list", "tasks", "--json", cwd=tmp_path).stdout)
    assert {"vqa-rad", "iuxray-mrg"} <= {task["task"] for task in listed}
    (plugin,) = json.loads(bare.run("plugins", "--json", cwd=tmp_path).stdout)
    assert (plugin["plugin"], plugin["module"]) == ("medbench", "medbench.builtin")
    bare.run("show", "task", "vqa-rad", cwd=tmp_path)

    run = bare.run("run", "--task", "vqa-rad", "--model", "majority", "--data", "twin", "--json", cwd=tmp_path)
    record = msgspec.json.decode(run.stdout, type=RunRecord)
    assert record.data.synthetic
    assert record.n_failed == 0
    overall = record.scores[0]
    assert (overall.name, overall.n) == ("overall", record.n_predictions)
    assert 0.2 < overall.low < overall.value < overall.high < 0.6
    shown = bare.run("leaderboard", "show", "vqa-rad", cwd=tmp_path).stdout
    assert "majority" in shown


def test_a_task_whose_metrics_are_elsewhere_says_what_to_install(bare, tmp_path):
    refused = bare.run("run", "--task", "iuxray-mrg", "--model", "most-common-report", "--data", "twin", cwd=tmp_path, expect=2)
    assert "none of the metrics of iuxray-mrg is installed" in refused.stderr
    assert "bleu comes with medbench-lexical: pip install medbench-lexical" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "runs").exists()
