"""The pages as files: the same bytes again, no address of a network, everything escaped, metadata that others can read."""

from __future__ import annotations

import json
import re

import pytest

from medbench.errors import PluginError, UsageError
from medbench.leaderboard import site
from medbench.leaderboard.board import read_board
from medbench.leaderboard.building import hold


def _files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_entries_give_the_same_bytes(pages, tmp_path):
    again, _ = pages.again(tmp_path)
    assert _files(again) == _files(pages.site)


def test_every_page_and_view_is_there(pages):
    names = set(_files(pages.site))
    assert {"index.html", "pages/index.html", "pages/table.md", "pages/table.tex", "assets/tables.js", "assets/site.js"} <= names
    for name in pages.entries:
        assert {f"pages/entries/{name}.html", f"pages/entries/{name}.model-index.yaml", f"pages/data/{name}.js"} <= names


def test_no_page_names_an_address_of_a_network(pages):
    for name, content in _files(pages.site).items():
        if name.endswith((".html", "site.css", "site.js")):
            assert re.findall(rb"(?:src|href|url|@import)\s*[=(:]\s*[\"']?(?:https?:)?//", content) == [], name


def test_what_a_name_says_is_never_markup(pages):
    for name, content in _files(pages.site).items():
        if name.endswith(".html"):
            text = content.decode()
            assert "<img src=x" not in text, name
            assert text.count("<script") == text.count("</script>"), name
    page = (pages.site / "pages" / "entries" / "hostile.html").read_text()
    assert "&lt;/script&gt;&lt;img src=x" in page


def test_an_entrys_page_has_card_subgroups_curve_provenance_and_citation(pages):
    page = (pages.site / "pages" / "entries" / "beta.html").read_text()
    for text in (
        "code alone",
        "sex=F",
        "Subgroups",
        "learning-curve.svg",
        "cost.svg",
        "ab" * 8,
        "2.00 US dollars",
        "@misc{medbench-pages-beta",
    ):
        assert text in page, text
    assert "contains d, which this board evaluates on" in page
    assert "saw d in training" in page
    assert pages.entries["beta"].hash in page


def test_model_index_is_yaml_that_the_hubs_own_library_reads(pages):
    hub = pytest.importorskip("huggingface_hub", reason="the hub's own library reads model cards")
    yaml = pytest.importorskip("yaml", reason="a second reader of YAML")
    text = (pages.site / "pages" / "entries" / "hostile.model-index.yaml").read_text()
    (document,) = [one for one in yaml.safe_load_all(text) if one]
    assert document["model-index"][0]["name"] == pages.hostile
    card = hub.ModelCard(text.replace(json.dumps(pages.hostile), '"a model"'))
    results = card.data.eval_results
    assert [(one.task_type, one.dataset_revision, one.metric_type, one.metric_value) for one in results] == [
        ("visual-question-answering", "ab" * 8, "overall", 0.2),
        ("visual-question-answering", "ab" * 8, "closed", 0.1),
    ]


def test_pages_of_entries_that_are_gone_go_too(pages, tmp_path):
    site_folder, _ = pages.again(tmp_path)
    folder = tmp_path / "leaderboards" / "pages"
    (folder / "entries" / "gamma.json").unlink()
    site.write_site([hold(read_board(folder))], site_folder)
    left = {path.name for path in (site_folder / "pages").rglob("*gamma*")}
    assert left == set()


def test_a_large_board_ships_replicates_of_its_primary_score_alone(pages, tmp_path, monkeypatch):
    monkeypatch.setattr(site, "CELLS_WITH_REPLICATES", 4)
    folder = pages.home / "leaderboards" / "pages"
    site.write_site([hold(read_board(folder))], tmp_path / "site")
    text = (tmp_path / "site" / "pages" / "data" / "alpha.js").read_text()
    assert "t:vqa/overall" in text
    assert "t:vqa/closed" not in text


@pytest.mark.parametrize("absent", ["jinja2", "itables"])
def test_without_its_libraries_the_site_says_what_to_install(pages, tmp_path, monkeypatch, absent):
    monkeypatch.setattr(site, "find_spec", lambda name: None if name == absent else object())
    with pytest.raises(UsageError, match=f"needs {absent}") as caught:
        site.environment() if absent == "jinja2" else site._assets()
    assert caught.value.hint == "pip install 'medbench[site]'"


def test_a_bundle_of_another_form_is_refused(monkeypatch, tmp_path):
    (tmp_path / "html").mkdir()
    (tmp_path / "html" / "dt_bundle.js").write_text("window.table = 1;")

    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(site, "find_spec", lambda _: Spec)
    with pytest.raises(PluginError, match="another form"):
        site._assets()


def test_where_the_site_has_an_address_citations_and_metadata_carry_it(pages, tmp_path):
    site.write_site([hold(read_board(pages.home / "leaderboards" / "pages"))], tmp_path / "site", url="https://example.org/boards/")
    folder = tmp_path / "site" / "pages"
    assert "url = {https://example.org/boards/pages/entries/beta.html}" in (folder / "entries" / "beta.html").read_text()
    assert 'url: "https://example.org/boards/pages/entries/beta.html"' in (folder / "entries" / "beta.model-index.yaml").read_text()
    assert "https://example.org/boards/pages/index.html" in (folder / "index.html").read_text()
