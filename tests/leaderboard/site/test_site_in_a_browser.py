"""The pages in a real browser: sort, filter, group, compare; no error, nothing fetched, usable by keyboard."""

from __future__ import annotations

import numpy as np
import pytest

from medbench.leaderboard.ranking import pair_p_values
from medbench.stats.paired import contrast

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


class Page:
    """A page and what happened on it."""

    def __init__(self, browser, viewport, scheme="light"):
        self._context = browser.new_context(viewport=viewport, color_scheme=scheme)
        self.page = self._context.new_page()
        self.complaints = []
        self.fetched = []
        self.page.on("console", lambda message: self.complaints.append(message.text) if message.type in {"error", "warning"} else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.fetched.append(request.url))

    def open(self, path, fragment=""):
        self.page.goto(path.as_uri() + fragment)
        return self.page

    def board(self, pages, fragment=""):
        page = self.open(pages.site / "pages" / "index.html", fragment)
        page.wait_for_selector("#board tbody tr")
        return page

    def close(self):
        self._context.close()
        assert self.complaints == []
        assert [url for url in self.fetched if not url.startswith(("file:", "data:"))] == []


@pytest.fixture
def desktop(browser):
    made = Page(browser, DESKTOP)
    yield made
    made.close()


def _systems(page):
    return [text.split()[0] for text in page.locator("#board tbody tr .system").all_inner_texts()]


def test_rows_stand_in_the_boards_order_and_sort_by_a_click_or_a_key(desktop, pages):
    page = desktop.board(pages)
    assert _systems(page)[:4] == ["alpha", "Reported", "beta", "gamma"]
    head = page.locator("#board thead th", has_text="closed")
    head.click()
    assert _systems(page)[:3] == ["beta", "gamma", "alpha"]
    assert head.get_attribute("aria-sort") == "descending"
    head.locator("[role=button]").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#board thead th[aria-sort=ascending]")
    assert _systems(page)[0].startswith("</script>")
    assert "sort=3" in page.locator("#here").input_value()


def test_names_are_shown_as_they_are_and_run_nothing(desktop, pages):
    page = desktop.board(pages)
    assert page.evaluate("window.hacked") is None
    assert pages.hostile in page.locator("#board tbody").inner_text()
    assert page.locator("#board tbody b", has_text="bold").count() == 0
    page.select_option("#one", "hostile")
    page.select_option("#other", "alpha")
    page.wait_for_selector("#compared table")
    page.eval_on_selector("#long", "e => e.open = true")
    page.wait_for_selector("#lines tbody tr")
    assert page.evaluate("window.hacked") is None


def test_filters_and_groups(desktop, pages):
    page = desktop.board(pages)
    page.locator("#board_wrapper input[type=search]").fill("gam")
    assert _systems(page) == ["gamma"]
    page.locator("#board_wrapper input[type=search]").fill("")
    page.select_option("#kind", "baseline")
    assert "alpha" not in _systems(page)
    page.select_option("#kind", "")
    page.select_option("#group", "model")
    heads = page.locator("#board tr.dtrg-group").all_inner_texts()
    assert "family (2)" in heads
    assert "gamma (1)" in heads


def test_a_link_brings_the_view_back(desktop, pages, browser):
    page = desktop.board(pages)
    page.locator("#board_wrapper input[type=search]").fill("a")
    page.select_option("#kind", "baseline")
    page.select_option("#one", "alpha")
    page.select_option("#other", "gamma")
    page.wait_for_selector("#compared table")
    seen = _systems(page)
    fragment = "#" + page.locator("#here").input_value().partition("#")[2]
    other = Page(browser, DESKTOP)
    again = other.board(pages, fragment)
    again.wait_for_selector("#compared table")
    assert _systems(again) == seen
    assert again.locator("#one").input_value() == "alpha"
    other.close()


def test_two_systems_side_by_side_show_the_paired_difference_of_the_library(desktop, pages):
    page = desktop.board(pages)
    page.select_option("#one", "alpha")
    page.select_option("#other", "beta")
    page.wait_for_selector("#compared table")
    cells = [pages.entries[name].cell("t:vqa/overall") for name in ("alpha", "beta")]
    replicates = [cell.array()[:1_000].astype(float) for cell in cells]
    points = [cell.score.value for cell in cells]
    expected = contrast(points, replicates)
    row = page.locator("#compared tbody tr").first
    shown = {name: float(row.locator(f"[data-{name}]").get_attribute(f"data-{name}")) for name in ("difference", "low", "high", "p")}
    assert shown["difference"] == pytest.approx(expected.difference)
    assert (shown["low"], shown["high"]) == (pytest.approx(expected.low, abs=1e-6), pytest.approx(expected.high, abs=1e-6))
    assert shown["p"] == pytest.approx(pair_p_values(np.array(points), np.stack(replicates))[0, 1], rel=1e-4, abs=1e-12)
    assert "+10.0" in row.inner_text()


def test_every_score_one_a_line_can_be_grouped_by_task_model_and_score(desktop, pages):
    page = desktop.board(pages)
    page.locator("#long summary").click()
    page.wait_for_selector("#lines tbody tr")
    assert page.locator("#lines tr.dtrg-group").all_inner_texts() == ["t (9)"]
    page.select_option("#long-group", "3")
    assert page.locator("#lines tr.dtrg-group").all_inner_texts() == ["closed (4)", "overall (5)"]
    page.select_option("#long-group", "0")
    assert "family (4)" in page.locator("#lines tr.dtrg-group").all_inner_texts()


def test_a_cell_says_on_hover_under_what_convention_and_on_how_many(desktop, pages):
    page = desktop.board(pages)
    title = page.locator("#board tbody .cell").first.get_attribute("title")
    assert title.splitlines()[:3] == ["overall: 70.0 [65.0, 75.0]", "scored 100/100", "vqa=exact@1"]


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_the_screen_and_their_text_can_be_read(browser, pages, viewport, scheme):
    made = Page(browser, viewport, scheme)
    for path in ("index.html", "pages/index.html", "pages/entries/beta.html"):
        page = made.open(pages.site / path)
        page.wait_for_load_state()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        assert page.evaluate(CONTRAST) == [], path
    made.close()


CONTRAST = """() => {
    const light = (colour) => {
        const [r, g, b] = colour.map((c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const parse = (text) => text.match(/[\\d.]+/g).map(Number);
    const ground = (element) => {
        for (let e = element; e; e = e.parentElement) {
            const colour = parse(getComputedStyle(e).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour.slice(0, 3);
        }
        return [255, 255, 255];
    };
    const found = [];
    for (const element of document.querySelectorAll("main *, header *, footer *")) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        if (!own || !element.checkVisibility() || element.closest("noscript, option, .unseen, .disabled, [aria-disabled=true]")) continue;
        const [one, other] = [light(parse(getComputedStyle(element).color).slice(0, 3)), light(ground(element))].sort((a, b) => b - a);
        const ratio = (one + 0.05) / (other + 0.05);
        if (ratio < 4.5) found.push(`${element.tagName} ${element.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
    }
    return found;
}"""


def test_the_page_is_laid_out_for_keyboards_and_screen_readers(desktop, pages):
    page = desktop.board(pages)
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("#board caption").inner_text()
    assert page.locator("h1").count() == 1
    for control in page.locator("select, input").all():
        assert control.evaluate("e => e.labels.length > 0 || !!e.getAttribute('aria-label')")
    for image in page.locator("img").all():
        assert image.get_attribute("alt")
    assert page.locator("#board_wrapper .dt-layout-table").get_attribute("tabindex") == "0"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"


def test_without_scripts_the_page_names_the_table_as_text(browser, pages):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((pages.site / "pages" / "index.html").as_uri())
    assert page.locator("noscript a").get_attribute("href") == "table.md"
    assert "Reported <i>elsewhere</i>" in page.locator("main").inner_text()
    context.close()
