"""What is converted is there whole or not at all."""

from __future__ import annotations

import pytest
from medbench_torch.folders import new_folder
from medbench_torch.weights import WeightsError

from medbench.errors import StorageError, UsageError


def write(out, error=None):
    with new_folder(out) as folder:
        (folder / "one.txt").write_text("1")
        if error is not None:
            raise error


def test_a_folder_is_there_whole_or_not_at_all(tmp_path):
    out = tmp_path / "deep" / "out"
    (tmp_path / "deep" / "out.converting").mkdir(parents=True)
    (tmp_path / "deep" / "out.converting" / "left.txt").write_text("of another time")
    with pytest.raises(WeightsError):
        write(out, WeightsError("half of it is missing"))
    assert not list(out.parent.iterdir())
    write(out)
    assert [path.name for path in out.parent.rglob("*")] == ["out", "one.txt"]


def test_what_an_interrupted_fit_keeps_beside_it_stays(tmp_path):
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "progress.json").write_text("{}")
    write(tmp_path / "out")
    assert (tmp_path / "out.partial" / "progress.json").exists()


def test_a_folder_that_exists_or_cannot_be_made_is_refused(tmp_path):
    with pytest.raises(UsageError, match="exists"):
        write(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as refused:
        write(tmp_path / "file" / "out")
    assert refused.value.hint == "choose another folder with --out"
