"""What it costs to index MIMIC-CXR at its full size: tables as large as the real ones, no pixels."""

from __future__ import annotations

import gzip
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

IMAGES = 377_110
STUDIES = 227_835
PATIENTS = 65_379
LABEL_KINDS = 20_000
SECONDS = 15.0
MEGABYTES = 1000.0

Figure = tuple[str, float, str, str, str, bool]

_SCRIPT = """
import resource, sys, time
from pathlib import Path
from medbench.builtin.datasets.mimic_cxr import MimicCxr
from medbench.files import FileDigests
from medbench.index import read_index
start = time.perf_counter()
count = 0
for split in ("test", "val", "train"):
    params = {"variant": "chexpert"}
    indexed = read_index(MimicCxr(), Path(sys.argv[1]), split, params, FileDigests())
    count += len(indexed.samples)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, count)
"""


def figures() -> Iterator[Figure]:
    """Yield the figures of the datasets."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_tables(root)
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT, str(root)],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "MEDBENCH_CACHE": str(root / "cache")},
        )
        seconds, megabytes, count = map(float, done.stdout.split())
    assert count == STUDIES
    name = f"index of MIMIC-CXR, {IMAGES:,} rows"
    yield f"{name}: time", seconds, "s", "all splits, as mimic-cls14 reads them", f"<= {SECONDS:g}", seconds <= SECONDS
    yield f"{name}: memory", megabytes, "MB", "largest of the process", f"<= {MEGABYTES:g}", megabytes <= MEGABYTES


def write_tables(root: Path) -> None:
    """Write the three tables that labels need, with as many rows as the real ones and invented numbers in them."""
    from medbench.builtin.datasets.chexpert_labels import LABELS
    from medbench.builtin.datasets.mimic_layout import CHEXPERT, METADATA, SPLIT
    from medbench.builtin.twins.mimic_cxr import METADATA_COLUMNS

    rng = random.Random(0)
    # labels repeat: a few kinds of reports make up most of the set
    kinds = [",".join(rng.choices(("", "1.0", "0.0", "-1.0"), (70, 15, 12, 3), k=14)) for _ in range(LABEL_KINDS)]
    split, metadata, labels = ["dicom_id,study_id,subject_id,split"], [",".join(METADATA_COLUMNS)], []
    labels.append(",".join(("subject_id", "study_id", *sorted(LABELS))))
    for image in range(IMAGES):
        number = image % STUDIES
        subject, study = 10_000_000 + number % PATIENTS, 50_000_000 + number
        part = "test" if number % PATIENTS < 293 else "validate" if number % PATIENTS < 793 else "train"
        dicom = "-".join(f"{rng.getrandbits(32):08x}" for _ in range(5))
        view = "LATERAL" if image >= STUDIES else ("PA", "AP")[number & 1]
        split.append(f"{dicom},{study},{subject},{part}")
        metadata.append(f"{dicom},{subject},{study},CHEST (PA AND LAT),{view},3056,2544,21800506,80556.875,CHEST,postero-anterior,Erect")
        if image == number:
            labels.append(f"{subject},{study},{rng.choice(kinds)}")
    for name, lines in ((SPLIT, split), (METADATA, metadata), (CHEXPERT, labels)):
        (root / f"{name}.gz").write_bytes(gzip.compress("\n".join([*lines, ""]).encode(), 1, mtime=0))
