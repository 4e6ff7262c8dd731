"""MLflow: one experiment per task, one run per run, found again by its fingerprint."""

from __future__ import annotations

import re

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag

from medbench.record import RunRecord
from medbench_trackers.facts import identities, numbers, settings

LONGEST = 500
"""Characters of a parameter that every MLflow store takes."""
BATCH = 900
"""Numbers that go in one call; MLflow takes a thousand."""


def tell(record: RunRecord) -> None:
    """Write a run's numbers and settings to where `MLFLOW_TRACKING_URI` says."""
    client = MlflowClient()
    run = _run(client, record)
    known = set(run.data.params)
    params = [Param(_name(key), str(value)[:LONGEST]) for key, value in settings(record).items() if value is not None]
    found = numbers(record)
    stamp = run.info.start_time
    metrics = [Metric(_name(key), value, stamp, 0) for key, value in found.items()]
    # a parameter cannot change; the fingerprint pins the ones that matter, and versions stay those of the first telling
    client.log_batch(run.info.run_id, params=[param for param in params if param.key not in known][:100])
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run.info.run_id, metrics=metrics[start : start + BATCH])
    client.set_terminated(run.info.run_id, "FINISHED")


def _run(client: MlflowClient, record: RunRecord) -> Run:
    """Return the run of this fingerprint, made when there is none."""
    name = f"medbench/{record.task}"
    experiment = client.get_experiment_by_name(name)
    place = experiment.experiment_id if experiment else client.create_experiment(name)
    found = client.search_runs([place], f"tags.`medbench.fingerprint` = '{record.fingerprint}'", max_results=1)
    if found:
        client.log_batch(found[0].info.run_id, tags=[RunTag(key, value) for key, value in identities(record).items()])
        return found[0]
    return client.create_run(place, tags=identities(record), run_name=record.model.name)


def _name(text: str) -> str:
    """Return a name of the signs that every MLflow takes."""
    return re.sub(r"[^\w./ -]+", ".", text).strip(".")[:250]
