"""`medbench doctor` and `medbench config` on the screen."""

from __future__ import annotations

import pytest

from medbench import diagnosis


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr(diagnosis, "EXTRAS", {"pydicom": "x"})


def test_the_doctor_finds_nothing_wrong(medbench):
    said = medbench("doctor")
    assert (said.code, said.err) == (0, "")
    assert "medbench-trial" in said.out
    assert "not named:" in said.out


def test_the_doctor_says_what_is_wrong_with_code_four(medbench, workplace, install):
    install("broken-one", source="raise RuntimeError('torn')")
    (workplace / "medbench.toml").write_text('[data]\nvqarad = "x"\n')
    said = medbench("doctor")
    assert said.code == 4
    assert "data.vqarad is unknown and has no effect" in said.out
    assert "broken-one" in said.out
    assert "2 things are wrong: medbench.toml, broken-one" in said.err
    asked = medbench("doctor", "--json")
    assert asked.code == 4
    assert {one["name"] for one in asked.json if one["state"] == "wrong"} == {"medbench.toml", "broken-one"}


def test_the_settings_are_printed_with_their_source(medbench, workplace):
    (workplace / "medbench.toml").write_text('[data]\nvqa-rad = "/there"\n')
    said = medbench("config")
    assert said.code == 0
    assert "data.vqa-rad" in said.out
    assert {one["name"]: one["source"] for one in medbench("config", "--json").json}["data.vqa-rad"] == "medbench.toml"
