"""Which references a model may have seen: those that stand word for word in the train split."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from msgspec.structs import replace

from medbench.types import Sample

COLUMN = "reference_in_train"
"""Column of the samples outside train: `yes` or `no`; `--by reference_in_train` scores the novel references apart."""


def with_novelty(samples: Iterable[Sample], train: Collection[str]) -> Iterator[Sample]:
    """Yield samples with the column that says whether one of their references is among those of train.

    Args:
        samples: Samples of any split; those of train are left as they are.
        train: The references of train without outer spaces, as a set.
    """
    for sample in samples:
        if sample.split == "train":
            yield sample
            continue
        seen = any(reference.strip() in train for reference in sample.references)
        yield replace(sample, meta={**sample.meta, COLUMN: "yes" if seen else "no"})


def copied_remark(samples: Sequence[Sample]) -> list[str]:
    """Return one line on how many references are copied from train; none where there are none."""
    marked = [sample for sample in samples if COLUMN in sample.meta]
    copied = sum(sample.meta[COLUMN] == "yes" for sample in marked)
    if not copied:
        return []
    share = f"{copied} of the {len(marked)} {marked[0].split} references ({100 * copied / len(marked):.1f} %)"
    return [f"{share} occur word for word in train: a model that recites train is rewarded (--by {COLUMN} scores them apart)"]
