"""The golden vectors of the datasets' specification, when it lies beside the test data: what the original code made of its inputs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from medbench.builtin.datasets.mimic_sections import CONCLUSION, conclusion, last_section, sections_of
from medbench.images import decode
from medbench.types import Image

DATA = Path(os.environ.get("MEDBENCH_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
VECTORS = Path(os.environ.get("MEDBENCH_TEST_SPECS") or DATA.parent / "specs") / "datasets_golden.json"
KINDS = {"mimic_section_parser": 13, "r2gen_clean": 9, "pydicom_3_0_2_cr": 3}

pytestmark = pytest.mark.skipif(not VECTORS.is_file(), reason="no datasets_golden.json below $MEDBENCH_TEST_SPECS or ../shared/specs")


@pytest.fixture(scope="module")
def vectors():
    return json.loads(VECTORS.read_text(encoding="utf-8"))


def test_there_is_a_test_for_every_kind(vectors):
    assert {kind: len(cases) for kind, cases in vectors.items() if not kind.startswith("_")} == KINDS


def test_reports_are_cut_into_the_very_sections(vectors):
    for case in vectors["mimic_section_parser"]:
        found = sections_of(case["report"])
        assert [name for name, _ in found] == case["section_names"], case["name"]
        assert [body for _, body in found] == case["sections"], case["name"]


def test_the_same_section_stands_for_the_conclusion(vectors):
    for case in vectors["mimic_section_parser"]:
        found = sections_of(case["report"])
        assert conclusion("50000001", case["report"]) == case["text"], case["name"]
        chosen = next((name for name in CONCLUSION if any(name == other for other, _ in found)), None)
        assert chosen == case["chosen_section"], case["name"]
        assert last_section(found, chosen or "") == case["text"], case["name"]


def test_reports_are_cleaned_as_r2gen_cleans_them(vectors):
    conventions = pytest.importorskip("medbench_lexical.conventions", reason="medbench-lexical, which has R2Gen's cleaners")
    for case in vectors["r2gen_clean"]:
        assert conventions.r2gen_iu(case["in"]) == case["iu_xray"]
        assert conventions.r2gen_mimic(case["in"]) == case["mimic_cxr"]


def test_real_radiographs_decode_to_the_very_values(vectors):
    pydicom = pytest.importorskip("pydicom", reason="the extra medbench[dicom]")
    bundled = Path(pydicom.__file__).parent / "data" / "test_files"
    for case in vectors["pydicom_3_0_2_cr"]:
        path = bundled / case["file"]
        shown = np.asarray(decode(Image(path=str(path), preset="raw_minmax"), "L"), dtype=int)
        assert list(shown.shape) == case["shape"]
        assert shown.sum() == case["minmax8_inverted_sum"]
        assert (255 - shown).sum() == case["minmax8_sum"]
        assert shown[0].tolist() == case["inverted_first_row"]
        data = pydicom.dcmread(path)
        assert (data.Modality, data.PhotometricInterpretation) == (case["modality"], case["photometric"])
        assert (data.pixel_array.min(), data.pixel_array.max()) == (case["raw_min"], case["raw_max"])
        rescaled = pydicom.pixels.apply_modality_lut(data.pixel_array, data)
        assert (rescaled.min(), rescaled.max()) == pytest.approx((case["modality_min"], case["modality_max"]))
