"""`agree` and `rate` as typed: from a run to sheets, from filled-in sheets to a study."""

from __future__ import annotations

import csv
import json

import pytest

from medbench.cli.main import run_app
from medbench.testing import write_fake_data


@pytest.fixture
def finished(workplace, capsys):
    """Return the folder of a run of 12 samples."""
    write_fake_data(workplace / "data")
    assert run_app(["run", "--task", "fake-vqa", "--model", "fake-echo", "--data", "data", "--quiet"]) == 0
    capsys.readouterr()
    return next((workplace / "runs").glob("fake-vqa/*/*"))


def fill(sheet, grade):
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    with sheet.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "rating": grade(row)} for row in rows)


def test_from_a_run_to_a_study(finished, workplace, capsys):
    assert run_app(["rate", "fake-vqa/fake-echo", "--scale", "0-1", "--rater", "ann,ben", "--out", "sheets"]) == 0
    said = capsys.readouterr().out
    assert "12 answers to rate" in said
    assert "sheets/key.json" in said
    for number, rater in enumerate(("ann", "ben")):
        fill(
            workplace / "sheets" / f"sheet-{rater}.csv",
            lambda row, n=number: int((row["candidate"] == row["reference"]) ^ (n and row["item"] == "item-003")),
        )
    read = ["rate", "--read", "sheets/sheet-ann.csv", "--read", "sheets/sheet-ben.csv", "--key", "sheets/key.json", "--out", "r.csv"]
    assert run_app(read) == 0
    said = capsys.readouterr().out
    assert "24 ratings by 2 raters" in said
    assert f"medbench agree {finished.name} --ratings r.csv --scale 0-1" in said
    assert run_app(["agree", finished.name, "--ratings", "r.csv", "--scale", "0-1"]) == 0
    said = capsys.readouterr().out
    for part in ("vqa/overall", "people among themselves", "12 rated answers of 5 groups", "Bland-Altman"):
        assert part in said
    assert run_app(["agree", finished.name, "--ratings", "r.csv", "--scale", "0-1", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    ann = next(one for one in made["agreements"] if one["voice"] == "vqa/overall")
    assert ann["statistics"]["spearman"]["value"] > 0.8


def test_the_picture_is_the_same_bytes_for_the_same_study(finished, workplace, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib draws here")
    with (workplace / "r.csv").open("w") as file:
        file.write(
            "sample,rater,rating\n"
            + "".join(f"test-{n:03d},{who},{(n + (who == 'ben') * (n % 4 == 0)) % 5}\n" for n in range(12) for who in ("ann", "ben"))
        )
    for out in ("one", "two"):
        assert run_app(["agree", finished.name, "--ratings", "r.csv", "--out", out]) == 0
    capsys.readouterr()
    assert run_app(["agree", finished.name, "--ratings", "r.csv", "--json"]) == 0
    assert json.loads((workplace / "one" / "agreement.json").read_text()) == json.loads(capsys.readouterr().out)
    assert (workplace / "one" / "agreement.md").read_text().startswith("# Agreement with people")
    for kind in ("svg", "png"):
        one, two = ((workplace / out / f"agreement.{kind}").read_bytes() for out in ("one", "two"))
        assert one == two
    assert b"vqa/overall" in (workplace / "one" / "agreement.svg").read_bytes()


def test_guarded_data_is_shown_on_request_alone(workplace, capsys):
    write_fake_data(workplace / "data", access="credentialed")
    assert run_app(["run", "--task", "fake-vqa", "--model", "fake-echo", "--data", "data", "--quiet"]) == 0
    assert run_app(["rate", "fake-vqa/fake-echo"]) == 2
    assert "a rating sheet shows its texts" in capsys.readouterr().err
    assert run_app(["rate", "fake-vqa/fake-echo", "--include-data", "--out", "sheets"]) == 2
    assert "lies outside the run" in capsys.readouterr().err
    assert run_app(["rate", "fake-vqa/fake-echo", "--include-data"]) == 0
    assert list(workplace.glob("runs/fake-vqa/fake-echo/*/rating/sheet.html"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rate"], "nothing to rate was named"),
        (["rate", "nobody"], "no run named nobody"),
        (["rate", "--read", "nowhere.csv"], "key.json"),
        (["rate", "--read", "a.csv", "--rater", "ann,ben"], "2 raters for 1 sheets"),
        (["agree", "nobody", "--ratings", "r.csv"], "no run named nobody"),
        (["agree", "nobody", "--ratings", "r.csv", "--scale", "five"], "--scale five: not of the form low-high"),
    ],
)
def test_mistakes_are_told(workplace, capsys, arguments, said):
    assert run_app(arguments) == 2
    assert said in capsys.readouterr().err
