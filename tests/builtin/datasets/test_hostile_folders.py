"""Folders made to do harm, given to every reader: an error that names the file, or a failed sample; no reader hangs or follows them out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from PIL import Image as Pil

from medbench.builtin.datasets import CARDS
from medbench.errors import DataError, MedbenchError
from medbench.files import FileDigests
from medbench.index import read_index
from medbench.registry import load
from medbench.roots import MARKER


@pytest.fixture(scope="module", params=CARDS, ids=[card.name for card in CARDS])
def card(request):
    return request.param


@pytest.fixture(scope="module")
def reader(card):
    return load(card)()


@pytest.fixture(scope="module")
def twin(card, reader, tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile") / card.name
    reader.write_twin(root, seed=1, size=1)
    return root


@pytest.fixture
def copy(twin, tmp_path):
    """A copy that claims to be real, so that nothing but the reader itself refuses it."""
    made = shutil.copytree(twin, tmp_path / "data")
    (made / MARKER).unlink()
    return made


def tables(root):
    """Return the files that are no pictures."""
    pictures = {".jpg", ".jpeg", ".png", ".dcm", ".dicom"}
    return sorted(path for path in root.rglob("*") if path.is_file() and path.suffix not in pictures)


def everything(card, reader, root):
    for split in card.splits:
        yield from reader.read(root, split, {})


def test_folders_that_contain_themselves_are_not_followed(card, reader, copy):
    before = list(everything(card, reader, copy))
    for folder in [copy, *(path for path in copy.rglob("*") if path.is_dir())]:
        (folder / "loop").symlink_to(folder, target_is_directory=True)
    assert reader.check(copy) == []
    assert list(everything(card, reader, copy)) == before


def test_tables_that_lead_to_themselves_are_missing(card, reader, copy):
    for path in tables(copy):
        path.unlink()
        path.symlink_to(path.name)
    assert reader.check(copy) or card.name == "pneumonia", "its pictures are its rows"
    if card.name != "pneumonia":
        with pytest.raises(MedbenchError):
            list(everything(card, reader, copy))


@pytest.mark.parametrize("content", [b"", b"\0\xff\xfe" * 200, b"{" * 4000], ids=["empty", "bytes", "braces"])
def test_tables_of_nonsense_are_refused_by_name(card, reader, copy, content):
    if card.name == "pneumonia":
        pytest.skip("its pictures are its rows")
    for path in tables(copy):
        path.write_bytes(content)
    with pytest.raises(MedbenchError) as caught:
        list(everything(card, reader, copy))
    assert str(copy) in caught.value.message
    assert caught.value.hint


def test_pictures_that_are_pipes_or_one_byte_are_faults_and_the_rest_is_read(card, reader, copy):
    split = "test"
    paths = sorted({image.path for sample in reader.read(copy, split, {}) for image in sample.images})
    if len(paths) < 2 or "#" in paths[0]:
        pytest.skip("pictures stand in one container")
    (copy / paths[0]).unlink(missing_ok=True)
    os.mkfifo(copy / paths[0])
    (copy / paths[1]).write_bytes(b"\xff")
    indexed = read_index(reader, copy, split, {}, FileDigests())
    faults = {image.path.removeprefix(f"{copy.resolve()}/"): image.fault for sample in indexed.samples for image in sample.images}
    assert faults[paths[0]] == "not a regular file"
    assert faults[paths[1]] or paths[1].endswith((".dcm", ".dicom"))


_WORST = """
import sys
from pathlib import Path
from medbench.builtin.datasets.strict import MAX_BYTES, read_json
from medbench.errors import DataError
path = Path(sys.argv[1])
path.write_bytes(b"[" + b"{}," * (MAX_BYTES // 3 - 2) + b"{}]")
assert len(read_json(path)) > 10_000_000
path.write_bytes(path.read_bytes() * 2)
try:
    read_json(path)
except DataError as error:
    print(int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024, "more than" in str(error))
"""


@pytest.mark.slow
def test_the_worst_json_of_the_largest_size_stays_below_a_gigabyte(tmp_path):
    done = subprocess.run([sys.executable, "-c", _WORST, str(tmp_path / "x.json")], check=True, capture_output=True, text=True)
    megabytes, refused = done.stdout.split()
    assert refused == "True"
    assert float(megabytes) < 1000


def test_paths_out_of_the_folder_stop_the_reading(tmp_path):
    custom = load(next(card for card in CARDS if card.name == "custom"))()
    (tmp_path / "data").mkdir()
    Pil.new("L", (4, 4)).save(tmp_path / "secret.png")
    for way in ("../secret.png", f"{tmp_path}/secret.png", "a/../../secret.png"):
        (tmp_path / "data" / "m.csv").write_text(f"id,image,report\na,{way},x\n", encoding="utf-8")
        with pytest.raises(DataError, match=r"m\.csv: line 2: .* leads out of the data folder"):
            read_index(custom, tmp_path / "data", "test", {}, FileDigests())
