"""Rating sheets: blind, shuffled, inert, private where the data is; and what comes back from them."""

from __future__ import annotations

import csv
import io
import json
import re
import stat

import pytest

from medbench.agreement.ratings import write_ratings
from medbench.agreement.scales import parse_scale
from medbench.agreement.sheets import collect, read_key, read_sheet, require_permitted, write_sheets
from medbench.errors import DataError, UsageError
from medbench.runs import RunFolder
from medbench.testing import FakeModel, write_fake_data
from medbench.types import Text

SCALE = parse_scale("0-4")
NASTY = '</script><img src=x onerror="document.title=1">\u2028=cmd()'


@pytest.fixture
def folders(run):
    return [RunFolder(run(model=FakeModel(answer, identity=answer, name=f"secret-{answer[:3]}")).folder) for answer in ("yes", "no, heart")]


def rows(path):
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"))))


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)[1])


def test_nothing_tells_who_answered(folders, tmp_path):
    items = collect(folders)
    written = write_sheets(items, tmp_path / "out", SCALE)
    for path in written[:-1]:
        content = path.read_text("utf-8")
        for told in ("secret-", *(folder.path.name for folder in folders), *(item.sample for item in items)):
            assert told not in content
    assert len(items) == 24
    assert {(item.run, item.sample) for item in items} == set(read_key(written[-1]).items.values())


def test_every_rater_has_an_order_of_their_own_and_the_same_items(folders, tmp_path):
    write_sheets(collect(folders), tmp_path, SCALE, raters=("ann", "ben"))
    ann, ben = ([row["item"] for row in rows(tmp_path / f"sheet-{name}.csv")] for name in ("ann", "ben"))
    assert sorted(ann) == sorted(ben)
    assert ann != ben != sorted(ben)
    assert [item["name"] for item in data_of(tmp_path / "sheet-ann.html")["items"]] == ann


def test_the_same_command_writes_the_same_bytes(folders, tmp_path):
    for name in ("one", "two"):
        write_sheets(collect(folders, seed=4), tmp_path / name, SCALE, seed=4)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    assert collect(folders, seed=5) != collect(folders, seed=4)


def test_a_limit_takes_the_same_samples_of_every_run(folders):
    items = collect(folders, limit=3)
    assert len(items) == 6
    assert len({item.sample for item in items}) == 3


def test_failed_answers_are_left_out_and_no_text_at_all_is_told(run):
    model = FakeModel(lambda request: Text(text="x") if "0:" in request.prompt else KeyError("k"), identity="half")
    folder = RunFolder(run(model=model).folder)
    assert 0 < len(collect([folder])) < 12
    with pytest.raises(UsageError, match="no text to rate"):
        collect([folder], limit=0)


def test_no_text_becomes_markup_or_a_formula(run, tmp_path):
    folder = RunFolder(run(model=FakeModel(NASTY, identity="nasty")).folder)
    write_sheets(collect([folder]), tmp_path, SCALE)
    page = (tmp_path / "sheet.html").read_text("utf-8")
    assert "<img src=x" not in page
    assert page.count("</script>") == 2
    assert data_of(tmp_path / "sheet.html")["items"][0]["candidate"] == NASTY
    formula = RunFolder(run(model=FakeModel("=1+1", identity="formula")).folder)
    write_sheets(collect([formula]), tmp_path, SCALE)
    assert rows(tmp_path / "sheet.csv")[0]["candidate"] == " =1+1"


def test_pictures_are_in_the_page_unless_they_are_not_wanted(folders, tmp_path):
    write_sheets(collect(folders, limit=1), tmp_path / "with", SCALE)
    write_sheets(collect(folders, limit=1), tmp_path / "without", SCALE, pictures=False)
    (image,) = data_of(tmp_path / "with" / "sheet.html")["items"][0]["images"]
    assert image["uri"].startswith("data:image/jpeg;base64,")
    assert data_of(tmp_path / "without" / "sheet.html")["items"][0]["images"] == []


class TestGuarded:
    @pytest.fixture
    def guarded(self, run, tmp_path):
        return RunFolder(run(data=write_fake_data(tmp_path / "guarded", access="credentialed")).folder)

    def test_guarded_texts_are_shown_on_request_and_in_the_private_folder_alone(self, guarded, tmp_path):
        inside = guarded.path / "rating"
        with pytest.raises(UsageError, match="credentialed data, and a rating sheet shows") as caught:
            require_permitted([guarded], inside, include_data=False)
        assert "--include-data" in caught.value.hint
        with pytest.raises(UsageError, match="lies outside the run"):
            require_permitted([guarded], tmp_path / "elsewhere", include_data=True)
        assert require_permitted([guarded], inside, include_data=True) == "credentialed"

    def test_the_sheets_folder_says_how_it_may_be_used(self, guarded):
        inside = guarded.path / "rating"
        write_sheets(collect([guarded]), inside, SCALE, access="credentialed")
        assert "credentialed" in (inside / "DATA-USE.txt").read_text()
        assert stat.S_IMODE(inside.stat().st_mode) == 0o700

    def test_open_data_needs_no_word(self, folders, tmp_path):
        assert require_permitted(folders, tmp_path, include_data=False) == ""


class TestReadBack:
    @pytest.fixture
    def sheet(self, folders, tmp_path):
        write_sheets(collect(folders), tmp_path, SCALE)
        return tmp_path / "sheet.csv", read_key(tmp_path / "key.json")

    def fill(self, path, grades, rater="ann"):
        lines = ["item,rater,rating,comment"] + [f"{item},{rater},{grade},why" for item, grade in grades.items()]
        path.write_text("\n".join(lines) + "\n")
        return path

    def test_ratings_come_back_under_their_samples_and_runs(self, sheet, folders, tmp_path):
        _, key = sheet
        made = read_sheet(self.fill(tmp_path / "f.csv", dict.fromkeys(key.items, 3)), key)
        assert {(one.run, one.sample) for one in made} == set(key.items.values())
        assert {(one.rater, one.rating) for one in made} == {("ann", 3.0)}
        assert write_ratings(made).decode().startswith("sample,rater,rating,run\n")

    def test_an_unfilled_sheet_holds_nothing(self, sheet):
        with pytest.raises(DataError, match="no rating in it"):
            read_sheet(*sheet)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("item,rater,rating\nitem-999,ann,3\n", ":2: item item-999 is not in the key"),
            ("item,rater,rating\nitem-001,ann,3\nitem-001,ann,3\n", ":3: item item-001 is there twice"),
            ("item,rater,rating\nitem-001,ann,7\n", ":2: '7' is no grade of the scale 0-4"),
            ("item,rater,rating\nitem-001,,3\n", ":2: nobody is named"),
            ("name,grade\nx,3\n", "no columns item and rating"),
        ],
    )
    def test_a_mistake_is_told_by_its_line(self, sheet, tmp_path, content, said):
        path = tmp_path / "wrong.csv"
        path.write_text(content)
        with pytest.raises(DataError) as caught:
            read_sheet(path, sheet[1])
        assert said in caught.value.message

    def test_a_name_given_for_the_sheet_stands(self, sheet, tmp_path):
        (one,) = read_sheet(self.fill(tmp_path / "f.csv", {"item-001": 0}, rater=""), sheet[1], "ben")
        assert one.rater == "ben"

    def test_a_key_that_is_none(self, tmp_path):
        (tmp_path / "key.json").write_text("[]")
        with pytest.raises(DataError, match=r"key\.json"):
            read_key(tmp_path / "key.json")


def test_a_person_rates_with_the_keyboard_alone(run, tmp_path, browser):
    folder = RunFolder(run(model=FakeModel(NASTY, identity="nasty")).folder)
    write_sheets(collect([folder]), tmp_path / "out", SCALE, raters=("ann",))
    page = browser.new_page(accept_downloads=True)
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: faults.append(request.url) if not request.url.startswith(("file:", "data:", "blob:")) else None)
    page.goto((tmp_path / "out" / "sheet-ann.html").as_uri())
    assert page.inner_text("#candidate") == NASTY
    for key in ("4", "0", "ArrowRight", "2", "c"):
        page.keyboard.press(key)
    page.keyboard.type("a 3, perhaps")
    page.keyboard.press("Escape")
    page.keyboard.press("u")
    assert "6 of 12 · 3 rated" in page.inner_text("#where")
    with page.expect_download() as download:
        page.keyboard.press("s")
    download.value.save_as(tmp_path / "saved.csv")
    assert page.title() == "Rating sheet"
    assert faults == []
    key = read_key(tmp_path / "out" / "key.json")
    order = [row["item"] for row in rows(tmp_path / "out" / "sheet-ann.csv")]
    made = {(one.run, one.sample): one.rating for one in read_sheet(tmp_path / "saved.csv", key)}
    assert made == {key.items[order[at]]: grade for at, grade in ((0, 4), (1, 0), (3, 2))}
    assert [row["comment"] for row in rows(tmp_path / "saved.csv")] == ["", "", "", "a 3, perhaps"]
    page.reload()
    assert "3 rated" in page.inner_text("#where")
