"""The kit for authors of plugins: models that do as they are told, a tiny dataset, and checks of what a card promises.

from medbench.testing import FakeModel, check_metric, check_model, plugin, write_fake_data

write_fake_data(tmp_path / "data")
record = medbench.run("fake-vqa", FakeModel("yes"), data=str(tmp_path / "data"), registry=load_registry(plugin))

`medbench.testing.endpoint.Endpoint` is a chat endpoint on loopback that misbehaves as told, for models that ask one.
"""

from __future__ import annotations

from medbench.testing import plugin
from medbench.testing.data import write_fake_data
from medbench.testing.metric_checks import check_metric
from medbench.testing.model_checks import check_model
from medbench.testing.models import FakeModel

__all__ = ["FakeModel", "check_metric", "check_model", "plugin", "write_fake_data"]
