"""The report of a run: what it shows, what it leaves out, and that nothing in it acts."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import msgspec
import pytest

from medbench.errors import UsageError
from medbench.figures import Bars, Curves, Line, Pictures, Strip, Tile
from medbench.report import html
from medbench.report.html import write_report
from medbench.runs import RunFolder
from medbench.testing import FakeModel, write_fake_data
from medbench.types import Ranking, Text

pytest.importorskip("jinja2")

ATTACKS = (
    "<script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    '"><svg onload=window.pwned=1>',
    "' onmouseover='window.pwned=1",
    "</style><script>window.pwned=1</script>",
    "</title><iframe src=javascript:parent.pwned=1>",
    "<a href=javascript:window.pwned=1>x</a>",
    "{{ 7 * 7 }} {% raw %}",
    "<!-- --><base href=http://evil.invalid/>",
    "<meta http-equiv=refresh content=0;url=http://evil.invalid/>",
    "&lt;script&gt;window.pwned=1&lt;/script&gt;",
    "]]><script>window.pwned=1</script>",
    "\u202egnp.exe\x00\x1b[31m",
    "<link rel=stylesheet href=http://evil.invalid/x.css>",
    "<form action=http://evil.invalid/><button autofocus onfocus=window.pwned=1>",
)


class Elements(HTMLParser):
    """What elements and attributes a page has, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def report(registry):
    """Returns the page of a finished run."""
    return lambda finished, **more: write_report(RunFolder(finished.folder), registry, **more).read_text(encoding="utf-8")


@pytest.fixture
def hostile(run, registry):
    """The folder of a run in which model, data and figures are full of attacks."""
    answers = iter(ATTACKS * 2)
    model = FakeModel(lambda _: Text(text=next(answers, "x")), identity="hostile", name="<img src=x onerror=window.pwned=1>")
    folder = RunFolder(run(model).folder)
    samples, predictions = folder.read_samples(), folder.read_predictions()
    named = {sample.id: f"{attack}{number}" for number, (sample, attack) in enumerate(zip(samples, ATTACKS, strict=False))}
    meta = {f"column {attack}": attack for attack in ATTACKS}
    folder.write_samples(
        [
            msgspec.structs.replace(s, id=named[s.id], prompt=" ".join(ATTACKS), references=(*ATTACKS, *s.references), meta=meta)
            for s in samples
        ]
    )
    written = folder.write_predictions([msgspec.structs.replace(p, sample=named[p.sample]) for p in predictions])
    record = folder.read_record()
    scores = tuple(
        msgspec.structs.replace(score, note=ATTACKS[0], subgroup={"<b>": ATTACKS[1]} if not n else {})
        for n, score in enumerate(record.scores)
    )
    stated = {"reason": ATTACKS[0], "to": [ATTACKS[1]], "date": ATTACKS[2]}
    told = {"remarks": ATTACKS, "overrides": {"permission_to_send": [stated]}, "params": {"prompt": ATTACKS[2]}, "predictions": written}
    folder.write_record(msgspec.structs.replace(record, scores=scores, **told))
    lines = (Line(label=ATTACKS[0], x=(0.0, 1.0), y=(0.0, 1.0)),)
    tile = Tile(path="../../etc/passwd", caption=ATTACKS[1])
    folder.write_figures(
        [
            Curves(name="curves", title=ATTACKS[1], lines=lines, note=ATTACKS[0], x_label=ATTACKS[3]),
            Bars(name="bars", title=ATTACKS[2], labels=ATTACKS, values=(0.5,) * len(ATTACKS)),
            Pictures(name="sheet", title=ATTACKS[4], strips=(Strip(heading=ATTACKS[5], tiles=(tile,)),)),
        ]
    )
    return folder


def test_a_report_says_what_the_record_says(run, report):
    finished = run("fake-echo")
    page = report(finished)
    text = " ".join("".join(Elements(page).text).split())
    assert "fake-vqa · fake-echo" in text
    assert "SYNTHETIC data" in text
    score = next(score for score in finished.record.scores if score.name == "overall")
    assert f"{100 * score.value:.1f}" in text
    assert f"[{100 * score.low:.1f}, {100 * score.high:.1f}]" in text
    for heading in ("Summary", "Scores", "Figures", "Samples", "Failures", "Provenance", "worst by vqa/overall", "best by vqa/overall"):
        assert heading in text
    assert finished.record.model.identity in text
    assert finished.record.data.manifest in text
    assert "None: every prediction was answered." in text


def test_a_report_is_the_same_twice_and_stands_alone(run, report):
    finished = run("fake-echo")
    page = report(finished)
    assert page == report(finished)
    elements = Elements(page)
    assert "script" not in elements.tags
    sources = [value for name, value in elements.attributes if name in {"src", "href"}]
    assert sources
    assert all(value.startswith(("data:image/", "#")) for value in sources)
    assert "url(" not in page


def test_samples_show_pictures_reference_answer_and_difference(run, report):
    def answer(request):
        word = request.prompt.rpartition(" ")[2]
        return Text(text=word if "1" in request.prompt else f"probably {word}")

    page = report(run(FakeModel(answer, identity="m")), samples=2)
    elements = Elements(page)
    assert [value for name, value in elements.attributes if name == "alt"].count("picture of the sample") >= 4
    assert "<ins" in page
    assert page.count('<article class="sample">') == 6
    assert page.count("Question ") == 6


def test_no_samples_on_request(run, report):
    assert '<article class="sample">' not in report(run("fake-echo"), samples=0)


def test_failures_are_counted_and_named(run, report):
    page = report(run("fake-faulty", model_options={"raise_on": "Question 3:"}))
    assert "model: 1" in page
    assert "test-003" in page
    assert "told to raise" in page
    assert "1 of 12 predictions failed" in page


def test_attacks_are_shown_and_never_markup(hostile, registry):
    page = write_report(hostile, registry).read_text(encoding="utf-8")
    elements = Elements(page)
    assert not set(elements.tags) & {"script", "iframe", "base", "form", "button", "a1", "link", "object"}
    assert not [name for name, _ in elements.attributes if name.startswith("on")]
    assert elements.tags.count("meta") == 5
    assert not [value for _, value in elements.attributes if value and value.startswith(("javascript:", "http"))]
    text = "".join(elements.text)
    for attack in ATTACKS[:5]:
        assert attack in text
    assert "⟨U+202E⟩gnp.exe⟨U+0000⟩" in text
    assert "\u202e" not in page
    assert "{{ 7 * 7 }}" in text
    assert "root:" not in page


@pytest.mark.parametrize("policy", [True, False], ids=["with its policy", "without its policy"])
def test_a_browser_shows_attacks_and_carries_out_none(hostile, registry, browser, tmp_path, policy):
    path = write_report(hostile, registry, out=tmp_path / "report.html")
    if not policy:
        page, count = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", path.read_text(encoding="utf-8"))
        assert count == 1
        path.write_text(page, encoding="utf-8")
    tab = browser.new_page(viewport={"width": 390, "height": 800})
    said, asked, dialogs = [], [], []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    tab.goto(path.as_uri())
    tab.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    tab.mouse.move(100, 300)
    assert tab.evaluate("window.pwned") is None
    assert (said, dialogs) == ([], [])
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    assert tab.evaluate("document.scripts.length") == 0
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.close()


def test_a_page_can_be_read_in_both_schemes_and_walked_by_keyboard(run, report, browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(report(run("fake-echo")), encoding="utf-8")
    for scheme in ("light", "dark"):
        tab = browser.new_page(viewport={"width": 1200, "height": 800}, color_scheme=scheme)
        tab.goto(path.as_uri())
        for selector in ("body", ".note", ".banner", "a", "thead th", ".family"):
            assert tab.evaluate(CONTRAST, selector) >= 4.5, (scheme, selector)
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.textContent") == "summary"
        assert tab.evaluate("[...document.images].every(one => one.alt && one.naturalWidth > 0)")
        headings = tab.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(one => +one.tagName[1])")
        assert headings[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(headings))
        tab.close()


CONTRAST = """selector => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = one => { const c = parse(getComputedStyle(one).backgroundColor);
    return c.length > 3 && c[3] === 0 ? (one.parentElement ? ground(one.parentElement) : [255, 255, 255]) : c; };
  const one = document.querySelector(selector);
  const [a, b] = [light(parse(getComputedStyle(one).color)), light(ground(one))].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""


@pytest.fixture
def guarded(run, tmp_path):
    """A finished run on data under an agreement, with a figure of its pictures."""
    data = write_fake_data(tmp_path / "guarded", access="credentialed")
    finished = run("fake-faulty", data=data, model_options={"raise_on": "Question 3:"})
    folder = RunFolder(finished.folder)
    path = folder.read_samples()[0].images[0].path
    folder.write_figures([Pictures(name="sheet", title="Sheet", strips=(Strip(heading="a patient's", tiles=(Tile(path=path),)),))])
    return finished


def test_texts_and_pictures_of_guarded_data_are_left_out_unless_asked_for(guarded, report):
    page = report(guarded)
    assert "left out" in page
    for secret in ("Question 0", "heart", "image/jpeg", "told to raise", "a patient&#39;s", "PRES"):
        assert secret not in page
    assert "test-00" in page
    shown = report(guarded, include_data=True)
    for secret in ("Question ", "image/jpeg", "told to raise", "a patient&#39;s"):
        assert secret in shown


def test_without_matplotlib_the_numbers_stand_in_tables(run, report, monkeypatch):
    from medbench import drawing

    monkeypatch.setattr(drawing, "can_draw", lambda: False)
    page = report(run("fake-echo"))
    assert "svg+xml" not in page
    assert "medbench[plots]" in page
    assert "<details open><summary>numbers</summary>" in page


def test_without_jinja2_it_says_what_to_install(run, report, monkeypatch):
    monkeypatch.setattr(html, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match="needs jinja2") as refused:
        report(run("fake-echo"))
    assert "medbench[site]" in refused.value.hint


def test_a_figure_that_cannot_be_drawn_is_a_word(run, report):
    finished = run("fake-echo")
    torn = Curves(name="torn", title="Torn", lines=(Line(label="a", x=(0.0, 1.0), y=(0.5,)),))
    RunFolder(finished.folder).write_figures([torn])
    page = report(finished)
    assert "it cannot be drawn: ValueError" in page
    assert "Provenance" in page


def test_a_ranking_is_told_in_words(run, report):
    finished = run("fake-echo")
    folder = RunFolder(finished.folder)
    values = [Ranking(rank=1, top=("a",), probability=0.25), *(Ranking(rank=7, top=("<b>", "c")) for _ in range(11))]
    ranked = [msgspec.structs.replace(p, value=value) for p, value in zip(folder.read_predictions(), values, strict=True)]
    written = folder.write_predictions(ranked)
    folder.write_record(msgspec.structs.replace(folder.read_record(), scores=(), predictions=written))
    page = report(finished)
    assert "true partner at rank 7; first: &lt;b&gt;, c" in page
    assert "taken by chance" in page


def test_pictures_that_moved_away_leave_a_word(run, report):
    finished = run("fake-echo")
    folder = RunFolder(finished.folder)
    gone = [
        msgspec.structs.replace(s, images=tuple(msgspec.structs.replace(i, path="/nowhere/x.png") for i in s.images))
        for s in folder.read_samples()
    ]
    folder.write_samples(gone)
    assert "no picture: x.png: no such file" in report(finished)


def test_subgroups_and_conditions_have_their_tables(run, report):
    page = report(run("fake-echo", images=("true", "blank"), by=("site",)))
    assert "overall accuracy by site" in page
    assert "site=east" in page
    assert "images=blank − images=true" in page
