"""Export: what each format says, that it can be read again, and that guarded text stays in its folder."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

from medbench.builtin.datasets.custom import Custom
from medbench.builtin.datasets.iu_xray import IuXray
from medbench.cli.main import run_app
from medbench.errors import MedbenchError, PlanError, UsageError
from medbench.interchange import export
from medbench.options import RunOptions
from medbench.registry import load_registry
from medbench.roots import MARKER


@pytest.fixture(scope="module")
def registry():
    return load_registry()


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    base = tmp_path_factory.mktemp("export")
    IuXray().write_twin(base / "iu", 12, 6)
    Custom().write_twin(base / "custom", 0, 4)
    return base


@pytest.fixture
def guarded(twins, tmp_path):
    """The same files without the mark of a twin: restricted data of one's own."""
    root = shutil.copytree(twins / "custom", tmp_path / "mine")
    (root / MARKER).unlink()
    return root


def read(root, split, **params):
    reader = IuXray() if (root / "annotation.json").exists() else Custom()
    return {s.id: s for s in reader.read(root, split, params)}


def options(task, data, **more):
    return RunOptions(task=task, data=str(data), **more)


def test_llava_holds_the_prompt_of_the_task_and_the_reference(registry, twins, tmp_path):
    out = tmp_path / "train.json"
    given = options("iuxray-mrg", twins / "iu", split="train", params={"prompt": "Report, please."})
    made = export(given, registry, "llava", out)
    samples = read(twins / "iu", "train")
    entries = json.loads(out.read_text(encoding="utf-8"))
    assert made.n == len(entries) == len(samples)
    assert [entry["id"] for entry in entries] == sorted(samples)
    for entry in entries:
        sample = samples[entry["id"]]
        paths = entry["image"] if isinstance(entry["image"], list) else [entry["image"]]
        assert paths == [image.path for image in sample.images]
        assert all((twins / "iu" / path).is_file() for path in paths)
        asked, said = entry["conversations"]
        assert asked == {"from": "human", "value": "<image>\n" * len(paths) + "Report, please."}
        assert said == {"from": "gpt", "value": sample.references[0]}


def test_one_image_is_what_a_single_image_model_takes(registry, twins, tmp_path):
    made = export(options("iuxray-mrg", twins / "iu", split="train"), registry, "llava", tmp_path / "x.json", one_image=True)
    entries = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert all(isinstance(entry["image"], str) and entry["conversations"][0]["value"].count("<image>") == 1 for entry in entries)
    assert made.n_cut == sum(len(sample.images) > 1 for sample in read(twins / "iu", "train").values())


@pytest.mark.parametrize("form", ["jsonl", "llava", "coco"])
def test_what_is_exported_is_read_again_as_ones_own_data(registry, twins, tmp_path, form):
    root = shutil.copytree(twins / "iu", tmp_path / "iu")
    out = root / f"again.{'jsonl' if form == 'jsonl' else 'json'}"
    export(options("iuxray-mrg", root), registry, form, out)
    wanted = read(root, "test")
    (root / MARKER).unlink()
    again = {
        s.id: s
        for s in Custom().read(
            root, "test", {"file": out.name, "format": form, **({"id": "sample", "image": "files"} if form == "coco" else {})}
        )
    }
    assert {name: (s.references, [i.path for i in s.images]) for name, s in again.items()} == {
        name: (s.references, [i.path for i in s.images]) for name, s in wanted.items()
    }
    if form == "jsonl":
        assert {name: (s.group, s.split, s.meta) for name, s in again.items()} == {
            name: (s.group, s.split, s.meta) for name, s in wanted.items()
        }


def test_labels_are_columns_of_the_lines(registry, twins, tmp_path):
    export(options("custom-cls", twins / "custom"), registry, "jsonl", tmp_path / "x.jsonl")
    rows = {row["id"]: row for row in map(json.loads, (tmp_path / "x.jsonl").read_text(encoding="utf-8").splitlines())}
    for name, sample in read(twins / "custom", "test", labels="cardiomegaly,effusion,opacity,nodule,pneumothorax", question="none").items():
        assert {label: rows[name][label] for label in sample.labels} == sample.labels


def test_coco_counts_its_images_and_keeps_the_ids(registry, twins, tmp_path):
    export(options("iuxray-mrg", twins / "iu"), registry, "coco", tmp_path / "x.json")
    content = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    samples = read(twins / "iu", "test")
    assert {"info", "images", "annotations", "licenses", "type"} == set(content)
    assert [image["id"] for image in content["images"]] == list(range(1, len(samples) + 1))
    names = {image["id"]: image["sample"] for image in content["images"]}
    assert {names[a["image_id"]]: a["caption"] for a in content["annotations"]} == {n: s.references[0] for n, s in samples.items()}
    assert content["info"]["synthetic"] is True


def test_the_file_beside_says_what_it_is(registry, twins, tmp_path):
    out = tmp_path / "x.jsonl"
    made = export(options("custom-vqa", twins / "custom", limit=2), registry, "jsonl", out)
    stated = json.loads((tmp_path / "x.jsonl.medbench.json").read_text())
    assert stated["sha256"] == made.sha256 == hashlib.sha256(out.read_bytes()).hexdigest()
    assert (stated["n"], stated["synthetic"], stated["access"], stated["split"]) == (2, True, "synthetic", "test")
    first = out.read_bytes()
    assert export(options("custom-vqa", twins / "custom", limit=2), registry, "jsonl", out) == made
    assert out.read_bytes() == first


def test_guarded_text_leaves_its_folder_only_with_a_stated_reason(registry, guarded, tmp_path):
    given = options("custom-report", guarded)
    with pytest.raises(UsageError, match=r"custom is restricted data, and .* lies outside its folder") as caught:
        export(given, registry, "llava", tmp_path / "x.json")
    assert "--i-have-permission-to-copy" in caught.value.hint
    assert not (tmp_path / "x.json").exists()
    (guarded / "inside").mkdir()
    (tmp_path / "link").symlink_to(guarded / "inside")
    for inside in (guarded / "x.json", tmp_path / "link" / "y.json"):
        assert export(given, registry, "llava", inside).access == "restricted"
    with pytest.raises(UsageError, match="lies outside"):
        export(given, registry, "llava", guarded / "inside" / ".." / ".." / "x.json")
    (guarded / "way-out").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="lies outside"):
        export(given, registry, "llava", guarded / "way-out" / "x.json")
    made = export(given, registry, "llava", tmp_path / "x.json", permission="ethics vote 12/24")
    assert made.permission == "ethics vote 12/24"
    assert (tmp_path / "x.json").stat().st_mode & 0o077 == 0


def test_files_that_we_did_not_write_stay(registry, guarded):
    before = (guarded / "manifest.csv").read_bytes()
    with pytest.raises(UsageError, match=r"manifest\.csv is there already"):
        export(options("custom-report", guarded), registry, "llava", guarded / "manifest.csv")
    assert (guarded / "manifest.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("task", "form", "more", "kind", "said"),
    [
        ("custom-vqa", "xml", {}, UsageError, "--format xml: unknown"),
        ("custom-cls", "llava", {"params": {"reader.reference": "report"}}, UsageError, "asks for no text"),
        ("custom-vqa", "jsonl", {"split": "dev"}, PlanError, "cannot run"),
        (
            "custom-vqa",
            "llava",
            {"params": {"reader.reference": "none", "reader.labels": "nodule"}},
            UsageError,
            "nothing that llava could say",
        ),
        ("custom-vqa", "llava", {"params": {"promt": "x"}}, PlanError, "cannot run"),
        ("custm-vqa", "jsonl", {}, UsageError, "no task named custm-vqa"),
    ],
)
def test_what_cannot_be_exported_is_said_and_nothing_is_written(registry, twins, tmp_path, task, form, more, kind, said):
    with pytest.raises(kind, match=said) as caught:
        export(options(task, twins / "custom", **more), registry, form, tmp_path / "x")
    assert isinstance(caught.value, MedbenchError)
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_wrote(twins, tmp_path, capsys):
    arguments = ["export", "iuxray-mrg", "--data", str(twins / "iu"), "--format", "llava", "--out", str(tmp_path / "x.json")]
    assert run_app([*arguments, "--one-image", "--limit", "3"]) == 0
    said = capsys.readouterr().out
    assert "x.json: 3 samples of the test split of iu-xray (synthetic, SYNTHETIC)" in said
    assert f"image paths are relative to {(twins / 'iu').resolve()}" in said
    assert run_app([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 6
    assert run_app([*arguments[:-1], str(twins / "iu" / "annotation.json")]) == 2
    assert "is there already" in capsys.readouterr().err
