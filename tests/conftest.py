"""Where every test lives: an empty folder, a cache of its own, no plugins but ours, no network; a real browser where there is one."""

from __future__ import annotations

import os
import shutil
import socket

import pytest

from medbench import api
from medbench.registry import load_registry
from medbench.testing import plugin, write_fake_data


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory):
    """Return the cache of the session: a twin is written once for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _apart(monkeypatch, tmp_path, session_cache):
    for name in [name for name in os.environ if name.startswith("MEDBENCH_DATA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MEDBENCH_CACHE", str(session_cache))
    monkeypatch.setenv("MEDBENCH_PLUGINS", "")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    connect = socket.socket.connect

    def refuse(self, address):
        if self.family in {socket.AF_INET, socket.AF_INET6} and address[0] not in {"127.0.0.1", "::1", "localhost"}:
            raise AssertionError(f"a test tried to reach {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def installed_plugins(monkeypatch):
    """Let the test see the plugins that are installed."""
    monkeypatch.delenv("MEDBENCH_PLUGINS")


@pytest.fixture(scope="session")
def registry():
    """Return the built-in cards and those of the kit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_PLUGINS", "")
        return load_registry(plugin)


@pytest.fixture
def data(tmp_path):
    """Return the folder of a fake dataset: 12 samples of 5 groups, fake-echo is right on 8 of them."""
    return write_fake_data(tmp_path / "data")


@pytest.fixture
def run(data, registry, tmp_path):
    """Return a function that runs a model on the fake task and returns the last event; `seen` gets all events."""

    def carry_out(model="fake-echo", *, task="fake-vqa", seen=None, **options):
        events = seen if seen is not None else []
        given = {"data": data, "runs_dir": tmp_path / "runs", "registry": registry, **options}
        api.run(task, model, on_event=events.append, **given)
        return events[-1]

    return carry_out


@pytest.fixture(scope="module")
def browser():
    """Return a headless Chromium of this machine; skips where there is none.

    One of a module: while it is open, nothing else in this process can run an event loop.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()
