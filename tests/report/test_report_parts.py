"""The parts of a report by themselves: texts made fit, differences, choices, thumbnails, figures as numbers."""

from __future__ import annotations

import base64
import io
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as Pil

from medbench.cards import ScoreFacts
from medbench.figures import Bars, Curves, Line, Matrix, Pictures, Points, Strip, Tile
from medbench.report.choosing import Column, choose
from medbench.report.figured import distributions, shown
from medbench.report.texts import LONGEST, differences, fit, nearest_reference
from medbench.report.thumbnails import SIDE, thumbnail
from medbench.types import Box, HeatMap, Image, Sample


class TestTexts:
    def test_a_long_text_is_cut_and_says_so(self):
        assert fit("a" * (LONGEST + 5)) == "a" * LONGEST + " … (5 more characters)"

    def test_letters_of_all_scripts_and_line_breaks_stay(self):
        text = "Größe 中文 العربية हिन्दी\n\t👍🏽"
        assert fit(text) == text

    @pytest.mark.parametrize("sign", ["\x00", "\x1b", "\x7f", "\u202e", "\u2066", "\u200b", "\ufeff", "\ue000"])
    def test_signs_that_act_are_named(self, sign):
        assert fit(f"a{sign}b") == f"a⟨U+{ord(sign):04X}⟩b"

    def test_pieces_make_the_answer_and_the_reference_again(self):
        reference, answer = "No acute cardiopulmonary process. Heart is normal.", "no acute process; the heart is normal."
        pieces = differences(reference, answer)
        assert "".join(piece.text for piece in pieces if piece.kind != "less") == answer
        theirs = "".join(piece.text for piece in pieces if piece.kind != "more")
        assert "".join(theirs.casefold().split()) == "".join(reference.casefold().split())

    def test_very_long_texts_are_compared_quickly(self):
        begun = time.perf_counter()
        differences("lung " * 50_000, "heart " * 50_000)
        differences("a b " * 50_000, "b c " * 50_000)
        assert time.perf_counter() - begun < 20

    def test_the_nearest_reference_shares_most_words(self):
        assert nearest_reference(("left lung", "the right lung", "right lung"), "Right lung") == "right lung"
        assert nearest_reference((), "x") == ""


ONE = SimpleNamespace(
    samples=[Sample(id=f"s{at}", group="g", split="test") for at in range(30)], plan=SimpleNamespace(card=SimpleNamespace(name="metric"))
)


def column(values, *, higher=True):
    return Column(ONE, "score", ScoreFacts(higher_is_better=higher, primary=True), np.array(values, dtype=float))


class TestChoices:
    def test_worst_best_and_others_by_direction(self):
        values = [*range(29), np.nan]
        worst, best, chance = choose(column(values), 3)
        assert (worst.heading, worst.rows, best.rows) == ("worst by metric/score", [0, 1, 2], [28, 27, 26])
        assert len(chance.rows) == 3
        assert not set(chance.rows) & {0, 1, 2, 26, 27, 28, 29}
        assert choose(column(values, higher=False), 3)[0].rows == [28, 27, 26]

    def test_without_direction_or_difference_there_is_chance_alone(self):
        assert [chosen.heading for chosen in choose(column([1.0] * 30), 3)] == ["taken by chance"]
        assert [chosen.heading for chosen in choose(column(range(30), higher=None), 3)] == ["taken by chance"]
        assert choose(column([np.nan] * 30), 3) == []

    def test_ties_are_settled_by_the_id_not_by_the_order(self):
        values = [0.0, 1.0] * 15
        chosen = choose(column(values), 4)[0].rows
        assert chosen == choose(column(values), 4)[0].rows
        assert chosen != [0, 2, 4, 6]

    def test_few_samples_are_in_one_section_each(self):
        values = [0.0, 1.0, 0.5] + [np.nan] * 27
        rows = [row for chosen in choose(column(values), 6) for row in chosen.rows]
        assert sorted(rows) == [0, 1, 2]


class TestThumbnails:
    @pytest.fixture
    def grey(self, tmp_path):
        Pil.new("RGB", (800, 400), (60, 60, 60)).save(tmp_path / "grey.png")
        return Image(path=str(tmp_path / "grey.png"))

    def pixels(self, made):
        return np.asarray(Pil.open(io.BytesIO(base64.b64decode(made.uri.partition(",")[2]))).convert("RGB")).astype(int)

    def test_a_thumbnail_is_small_and_says_how_large(self, grey):
        made = thumbnail(grey, caption="c")
        assert (made.width, made.height) == (SIDE, SIDE // 2)
        assert self.pixels(made).shape == (SIDE // 2, SIDE, 3)
        assert abs(self.pixels(made) - 60).max() < 6

    def test_boxes_are_outlined_where_they_are(self, grey):
        pixels = self.pixels(thumbnail(grey, boxes=(Box(label="x", x=200, y=100, width=400, height=200),)))
        hot = np.argwhere((pixels[..., 0] > 180) & (pixels[..., 2] < 110))
        assert np.abs(hot.min(axis=0) - (40, 80)).max() <= 2
        assert np.abs(hot.max(axis=0) - (120, 240)).max() <= 2

    def test_a_heat_map_is_hot_where_it_is(self, grey):
        heat = HeatMap(rows=1, columns=2, grid=(0.0, 1.0), box=(400.0, 0.0, 400.0, 400.0), interpolation="nearest")
        pixels = self.pixels(thumbnail(grey, heat=heat))
        assert pixels[80, 300, 0] > 150
        assert abs(pixels[80, 100] - 60).max() < 8
        assert abs(pixels[80, 200] - 60).max() < 8

    def test_a_torn_heat_map_is_a_word(self, grey):
        heat = HeatMap(rows=2, columns=2, grid=(0.0,), box=(0.0, 0.0, 8.0, 8.0))
        assert thumbnail(grey, heat=heat).fault == "a heat map of 2 x 2 has 1 values"

    def test_what_cannot_be_read_has_a_reason_without_its_folder(self, tmp_path):
        made = thumbnail(Image(path=str(tmp_path / "gone.png")))
        assert (made.uri, made.fault) == ("", "gone.png: no such file")


class TestFigures:
    def test_drawn_pictures_are_found_where_the_run_keeps_them(self, tmp_path):
        (tmp_path / "pictures").mkdir()
        Pil.new("RGB", (4, 4)).save(tmp_path / "pictures" / "abc.png")
        tiles = (Tile(path="runs/outputs/gone/pictures/abc.png", caption="<i>c</i>", good=True), Tile(path="nowhere.png"))
        (strip,) = shown(Pictures(name="p", title="t", strips=(Strip(heading="h", tiles=tiles),)), tmp_path).strips
        (found, good), (missing, unmarked) = strip.tiles
        assert found.uri.startswith("data:image/jpeg")
        assert (found.caption, good, unmarked) == ("<i>c</i>", True, None)
        assert missing.fault == "nowhere.png: no such file"

    def test_numbers_of_few_points_are_told(self):
        line = Line(label="a", x=(1.0, 2.0), y=(0.5, None), low=(0.4, None), high=(0.6, None))
        cells = shown(Curves(name="c", title="t", lines=(line,), x_label="shots", y_label="AUROC"), None).cells
        assert cells.heads == ("curve", "shots", "AUROC", "95 % interval")
        assert cells.rows == (("a", "1", "0.5", "[0.4, 0.6]"), ("a", "2", "–", ""))
        assert shown(Bars(name="b", title="t", labels=("x",), values=(0.25,)), None).cells.rows == (("x", "0.25"),)
        assert shown(Matrix(name="m", title="t", values=((1, 2),)), None).cells.rows == (("1", "1", "2"),)
        assert shown(Points(name="p", title="t", x=(1.0,), y=(2.0,)), None).cells.rows == (("", "1", "2"),)

    def test_numbers_of_many_points_are_not(self):
        many = Points(name="p", title="t", x=tuple(range(500)), y=tuple(range(500)))
        assert shown(many, None).cells is None

    def test_a_distribution_counts_every_sample_once(self):
        (bars,) = distributions([column([*np.linspace(0, 1, 29), np.nan])])
        assert sum(bars.values) == 29
        assert len(bars.values) == 20
        (bars,) = distributions([column([0.0, 1.0] * 15)])
        assert (bars.labels, bars.values) == (("0", "1"), (15.0, 15.0))
