"""What is at hand: wrong settings are named, what is absent is no fault, and nothing is changed by looking."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import msgspec
import pytest

from medbench import diagnosis
from medbench.diagnosis import diagnose, settings
from medbench.hookspecs import hookimpl
from medbench.registry import load_registry
from medbench.roots import MARKER
from medbench.testing import write_fake_data
from medbench.testing.plugin import CARDS


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr(diagnosis, "EXTRAS", {"pydicom": "x", "nonesuch-package": "pip install it"})


@pytest.fixture
def found(registry, tmp_path):
    """Looks, and returns the findings by area."""

    def look():
        made = {}
        for one in diagnose(registry, tmp_path / "runs"):
            made.setdefault(one.area, []).append(one)
        return made

    return look


def test_a_bare_machine_has_nothing_wrong(found, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    areas = found()
    assert list(areas) == ["program", "settings", "folders", "plugins", "packages", "data"]
    assert [one for ones in areas.values() for one in ones if one.state == "wrong"] == []
    assert {one.name: one.state for one in areas["packages"]} == {"pydicom": "ok", "nonesuch-package": "absent"}
    assert areas["packages"][1].hint == "pip install it"
    assert sorted(tmp_path.rglob("*")) == before, "looking writes nothing"


def test_settings_that_mean_nothing_are_named(found, tmp_path):
    (tmp_path / "medbench.toml").write_text('[data]\nvqarad = "/x"\n[dta]\n')
    said = {one.said: one.hint for one in found()["settings"] if one.state == "wrong"}
    assert said["data.vqarad is unknown and has no effect"] == "did you mean vqa-rad?"
    assert said["dta is unknown and has no effect"] == "did you mean data?"


def test_settings_that_cannot_be_read_are_wrong_and_the_rest_is_looked_at(found, tmp_path):
    (tmp_path / "medbench.toml").write_text("[data\n")
    areas = found()
    assert areas["settings"][0].state == "wrong"
    assert "not valid TOML" in areas["settings"][0].said
    assert areas["folders"]


def test_data_folders_are_checked_by_their_readers(found, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDBENCH_DATA_FAKE_QA", str(write_fake_data(tmp_path / "fake")))
    monkeypatch.setenv("MEDBENCH_DATA_VQA_RAD", str(tmp_path / "nowhere"))
    (tmp_path / "slake").mkdir()
    monkeypatch.setenv("MEDBENCH_DATA_SLAKE", str(tmp_path / "slake"))
    states = {one.name: (one.state, one.said) for one in found()["data"]}
    assert states["fake-qa"] == ("ok", str(tmp_path / "fake"))
    assert states["vqa-rad"][0] == "wrong"
    assert "is not a folder" in states["vqa-rad"][1]
    assert states["slake"][0] == "wrong"
    assert not (tmp_path / "slake" / MARKER).exists()


def test_a_full_disk_is_a_finding(found, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    assert {one.state for one in found()["folders"]} == {"wrong"}


def test_a_folder_in_the_way_is_a_finding(registry, tmp_path):
    (tmp_path / "file").write_text("x")
    (runs, _) = [one for one in diagnose(registry, tmp_path / "file" / "runs") if one.area == "folders"]
    assert (runs.state, runs.hint) == ("wrong", "--runs-dir DIR")


@pytest.mark.parametrize(
    ("code", "state", "said"),
    [
        ("print('2.13.0', 'no GPU')", "ok", "2.13.0 · no GPU"),
        ("raise ImportError('operator torchvision::nms does not exist')", "wrong", "ImportError: operator torchvision::nms does not exist"),
        ("import os; os.abort()", "wrong", "its process ended with code -6"),
    ],
)
def test_torch_is_tried_in_a_process_of_its_own(monkeypatch, code, state, said):
    monkeypatch.setattr(diagnosis, "_TORCH", code)
    one = diagnosis._torch()
    assert (one.state, one.said) == (state, said)


def test_settings_in_force_say_who_set_them(registry, tmp_path, monkeypatch):
    (tmp_path / "medbench.toml").write_text('[data]\nvqa-rad = "/file"\nslake = "/file/slake"\n')
    monkeypatch.setenv("MEDBENCH_DATA_VQA_RAD", "/environment")
    made = {one.name: (one.value, one.source) for one in settings(registry)}
    assert made["data.vqa-rad"] == ("/environment", "MEDBENCH_DATA_VQA_RAD")
    assert made["data.slake"] == ("/file/slake", "medbench.toml")
    assert made["cache"][1] == "MEDBENCH_CACHE"
    assert made["plugins"] == ("none but the built-in one", "MEDBENCH_PLUGINS")


@pytest.mark.parametrize(("value", "state"), [("", "absent"), ("nowhere.pt", "wrong"), ("here.pt", "ok")])
def test_files_that_cards_ask_for_are_looked_for(monkeypatch, tmp_path, value, state):
    card = msgspec.structs.replace(CARDS[1], name="wants-weights", files={"MEDBENCH_TEST_WEIGHTS": "a network"})

    class Wanting:
        @hookimpl
        def medbench_cards(self):
            return [card]

    (tmp_path / "here.pt").write_bytes(b"weights")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDBENCH_TEST_WEIGHTS", value)
    found = [one for one in diagnose(load_registry(Wanting()), tmp_path / "runs") if one.area == "weights"]
    assert [(one.name, one.state) for one in found] == [("MEDBENCH_TEST_WEIGHTS", state)]
