"""Every test has a cache, a folder and a key of its own, and reaches nothing but this machine."""

from __future__ import annotations

import socket

import pytest
from medbench_openai.model import OpenAI

from medbench.testing.endpoint import Endpoint
from medbench.types import Generate


@pytest.fixture(autouse=True)
def _apart(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "own-cache"))
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
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
def serve():
    """Return a function that starts an endpoint; it ends with the test."""
    running = []

    def start(answer="yes", **options):
        running.append(Endpoint(answer, **options).__enter__())
        return running[-1]

    yield start
    for endpoint in running:
        endpoint.__exit__()


@pytest.fixture
def model():
    """Return a function that builds a model for an endpoint."""

    def build(endpoint, **options):
        return OpenAI(**{"name": "tiny", "base_url": endpoint.url, "local": True, **options})

    return build


@pytest.fixture
def ask():
    """Return a function that puts prompts (or requests) to a model and gives the outputs in their order."""

    def put(model, *prompts):
        requests = [Generate(prompt=prompt) if isinstance(prompt, str) else prompt for prompt in prompts]
        outputs = dict(model.generate(requests))
        return [outputs[number] for number in range(len(requests))]

    return put
