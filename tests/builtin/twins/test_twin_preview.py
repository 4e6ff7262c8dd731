"""The sheet of a twin's pictures, and layouts chosen on the command line."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as Pil

from medbench.builtin.datasets.custom import Custom
from medbench.builtin.twins.preview import PICTURES, write_preview
from medbench.cli.main import run_app
from medbench.errors import UsageError


def test_a_sheet_shows_each_picture_once_in_its_colours(tmp_path):
    rows = ["id,image,question,answer"]
    for number in range(PICTURES + 3):
        Pil.new("RGB", (10, 10), (200, 30, 30)).save(tmp_path / f"{number}.png")
        rows += [f"{number}a,{number}.png,Is it?,yes", f"{number}b,{number}.png,Was it?,no"]
    (tmp_path / "m.csv").write_text("\n".join(rows))
    assert write_preview(Custom(), tmp_path, "test", tmp_path / "sheet.png") == PICTURES
    with Pil.open(tmp_path / "sheet.png") as page:
        pixels = np.asarray(page.convert("RGB"))
    assert (pixels == [200, 30, 30]).all(axis=2).sum() == PICTURES * 160 * 160
    first = (tmp_path / "sheet.png").read_bytes()
    write_preview(Custom(), tmp_path, "test", tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").read_bytes() == first


def test_pictures_that_cannot_be_decoded_are_left_out(tmp_path):
    (tmp_path / "m.csv").write_text("id,image,report\na,a.png,x\nb,b.png,y\n")
    Pil.new("L", (4, 4)).save(tmp_path / "b.png")
    assert write_preview(Custom(), tmp_path, "test", tmp_path / "s.png") == 1
    (tmp_path / "b.png").unlink()
    with pytest.raises(UsageError, match="no picture of the test split can be shown"):
        write_preview(Custom(), tmp_path, "test", tmp_path / "s.png")


def test_the_command_draws_a_sheet_and_knows_layouts(tmp_path, capsys):
    arguments = ["twin", "iu-xray", str(tmp_path / "iu"), "--size", "4", "--layout", "kaggle", "--preview", str(tmp_path / "s.png")]
    assert run_app(arguments) == 0
    assert (tmp_path / "iu" / "indiana_reports.csv").is_file()
    with Pil.open(tmp_path / "s.png") as page:
        assert page.format == "PNG"
    assert "of its pictures" in capsys.readouterr().out
    assert run_app(["twin", "iu-xray", str(tmp_path / "x"), "--layout", "zip"]) == 2
    assert "its layouts: r2gen, original, kaggle" in capsys.readouterr().err
    assert run_app(["twin", "custom", str(tmp_path / "x"), "--layout", "zip"]) == 2
    assert "it has one layout" in capsys.readouterr().err
