"""The twin of the pneumonia X-rays in both layouts: drawn films, the same pictures small in MedMNIST's arrays."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil

from medbench.builtin.datasets.pneumonia import CLASSES, SIZES, SPLITS
from medbench.builtin.twins.chest import DEVICES, SPOTS, Chest, chest_film
from medbench.builtin.twins.writing import generator, new_twin, stamp, write_jpeg, write_marker

DATASET = "pneumonia"
SIDES = (128, 144, 160)
"""Pixels along a side: the originals differ in size, too."""

ARRAYS = "pneumoniamnist.npz"
OWN = rf"chest_xray/(train|val|test)/(NORMAL|PNEUMONIA)/[^/]+\.jpeg|{ARRAYS.replace('.', chr(92) + '.')}"
VAL_EACH = 8
"""Images of each class in val, as in the Kaggle edition; they are further ones of patients of train."""

Small = dict[str, list[tuple[NDArray[np.uint8], int]]]


def write(root: Path, seed: int, size: int) -> None:
    """Write films of `size` test patients (0: 100) and of three times as many for train; five eighths have pneumonia.

    Raises:
        StorageError: `root` holds something that is no twin, or cannot be written.
        UsageError: `size` is negative.
    """
    made = stamp(DATASET, seed, size)
    small: Small = {split: [] for split in SPLITS}
    with new_twin(root, OWN) as folder:
        for split in SPLITS:
            for name in CLASSES:
                (folder / "chest_xray" / split / name).mkdir(parents=True)
        for pool, patients in (("train", 3 * made.size), ("test", made.size)):
            for number in range(patients):
                _patient(folder, seed, pool, number, small)
        counts: dict[str, int] = {split: len(found) for split, found in small.items()}
        _write_arrays(folder / ARRAYS, small)
        write_marker(folder, made, counts | {f"{ARRAYS}/{split}": count for split, count in counts.items()})


def _patient(folder: Path, seed: int, pool: str, number: int, small: Small) -> None:
    """Draw the one, two or three films of a patient; the first patients of train have one more, in val."""
    rng = generator(seed, DATASET, pool, number)
    ill = number % 8 not in (0, 3, 6)
    agent = str(rng.choice(["bacteria", "virus"], p=[0.65, 0.35])) if ill else ""
    chest = _chest(agent, rng)
    nth = number // 8 * (5 if ill else 3) + sum(((k not in (0, 3, 6)) == ill) for k in range(number % 8))
    films = int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1]))
    extra = pool == "train" and nth < VAL_EACH
    for film in range(films + extra):
        split = "val" if film == films else pool
        pixels = chest_film(chest, int(rng.choice(SIDES)), rng)
        path = folder / "chest_xray" / split / ("PNEUMONIA" if ill else "NORMAL") / f"{_name(agent, nth + 1, film)}.jpeg"
        write_jpeg(path, pixels, "RGB" if rng.random() < 0.05 else "L")
        tiny = Pil.fromarray(pixels).resize((SIZES[0], SIZES[0]), Pil.Resampling.BICUBIC)
        small[split].append((np.asarray(tiny, dtype=np.uint8), int(ill)))


def _chest(agent: str, rng: np.random.Generator) -> Chest:
    """Draw what a film shows: bacteria make one dense patch, viruses haze on both sides; heart and devices say nothing."""
    return Chest(
        ratio=round(float(rng.uniform(0.40, 0.47)), 3),
        device=DEVICES[rng.integers(4) if rng.random() < 0.3 else 0],
        flat=bool(rng.random() < 0.25),
        opacity=SPOTS[rng.integers(len(SPOTS))] if agent == "bacteria" else None,
        haze=agent == "virus",
    )


def _name(agent: str, patient: int, film: int) -> str:
    if agent:
        return f"person{patient}_{agent}_{film + 1}"
    return f"{'NORMAL2-' if patient % 3 == 0 else ''}IM-{patient:04d}-{film + 1:04d}"


def _write_arrays(path: Path, small: Small) -> None:
    """Write MedMNIST's six arrays, in its order, with no time in the archive."""
    with zipfile.ZipFile(path, "w") as archive:
        for split in SPLITS:
            pictures, labels = zip(*small[split], strict=True)
            arrays: dict[str, Any] = {"images": np.stack(pictures), "labels": np.array(labels, dtype=np.uint8)[:, None]}
            for kind, array in arrays.items():
                raw = io.BytesIO()
                np.lib.format.write_array(raw, array, version=(1, 0), allow_pickle=False)
                member = zipfile.ZipInfo(f"{split}_{kind}.npy", date_time=(1980, 1, 1, 0, 0, 0))
                archive.writestr(member, raw.getvalue(), compress_type=zipfile.ZIP_DEFLATED)
