"""Where a dataset lies, and what its folder says of itself."""

from __future__ import annotations

import pytest

from medbench.cards import ReaderCard
from medbench.errors import Problem, StorageError, UsageError
from medbench.roots import MARKER, access_of, ensure_twin, find_root, is_synthetic, twin_folder, variable
from medbench.testing.plugin import CARDS

CARD = ReaderCard(
    name="chest-set", load="a:B", access="credentialed", licence="DUA", obtain="physionet.org", expects=("labels.csv", "files/"), twin=False
)
FAKE = next(card for card in CARDS if card.name == "fake-qa")


@pytest.fixture
def folders(tmp_path):
    made = [tmp_path / name for name in ("given", "named", "settled", "home")]
    for folder in made:
        folder.mkdir()
    return made


def test_the_places_are_asked_in_turn(folders, tmp_path, monkeypatch):
    given, named, settled, home = folders
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "medbench").mkdir(parents=True)
    (tmp_path / "config" / "medbench" / "medbench.toml").write_text(f'[data]\nchest-set = "{home}"\n')
    assert find_root(CARD, None) == home
    (tmp_path / "medbench.toml").write_text(f'[data]\nchest-set = "{settled}"\n')
    assert find_root(CARD, None) == settled
    monkeypatch.setenv(variable("chest-set"), str(named))
    assert find_root(CARD, None) == named
    assert find_root(CARD, str(given)) == given


def test_nothing_found_says_what_was_looked_for_and_where_to_get_it():
    found = find_root(CARD, None)
    assert isinstance(found, Problem)
    assert found.message == "chest-set was not found: no --data, no MEDBENCH_DATA_CHEST_SET, nothing in medbench.toml"
    assert found.hint == "expected labels.csv; files/\nobtain it: physionet.org"
    assert "or try --data twin" in find_root(FAKE, None).hint


def test_a_folder_that_is_none_is_a_problem(tmp_path):
    assert find_root(CARD, str(tmp_path / "gone")).message == f"chest-set: {tmp_path / 'gone'} (--data) is not a folder"


def test_a_folder_that_is_none_is_told_with_who_named_it(tmp_path, monkeypatch):
    monkeypatch.setenv(variable("chest-set"), str(tmp_path / "gone"))
    assert find_root(CARD, None).message == f"chest-set: {tmp_path / 'gone'} ({variable('chest-set')}) is not a folder"


@pytest.mark.parametrize(
    ("text", "said"),
    [("data = 3", r"\[data\] chest-set"), ("[data]\nchest-set = 3", r"\[data\] chest-set"), ("[data", "medbench.toml: not valid TOML")],
)
def test_mistakes_in_the_settings_are_messages(tmp_path, text, said):
    (tmp_path / "medbench.toml").write_text(text)
    with pytest.raises(UsageError, match=said):
        find_root(CARD, None)


def test_a_twin_is_written_once(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    root = find_root(FAKE, "twin")
    assert root == twin_folder(FAKE) == tmp_path / "cache" / "twins" / "fake-qa-v1"
    ensure_twin(FAKE, root)
    (root / "mark").write_text("")
    ensure_twin(FAKE, root)
    assert (root / "mark").is_file()
    assert is_synthetic(root)
    assert find_root(CARD, "twin") == Problem("chest-set has no twin", "give its folder with --data DIR")


def test_a_cache_that_cannot_be_written_is_a_message(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="Not a directory") as caught:
        ensure_twin(FAKE, twin_folder(FAKE))
    assert caught.value.hint == "name another cache folder with MEDBENCH_CACHE"


@pytest.mark.parametrize(
    ("marker", "access"),
    [
        (None, "credentialed"),
        ("{}", "synthetic"),
        ('{"access": "restricted"}', "restricted"),
        ("{torn", "credentialed"),
        ("[]", "credentialed"),
    ],
)
def test_the_access_is_the_datasets_unless_a_whole_marker_says_otherwise(tmp_path, marker, access):
    if marker is not None:
        (tmp_path / MARKER).write_text(marker)
    assert access_of(CARD, tmp_path) == access
