"""Networks: the resize is clean-fid's, the small network is the same everywhere, and files are found or named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from medbench_imagegen.features import features_of
from medbench_imagegen.networks import Inception, SmallNetwork, clean_resize, find_weights, load_script, network
from medbench_imagegen.pictures import is_black, open_picture, peculiarities
from PIL import Image

from medbench.errors import DataError, UsageError


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("size", [(40, 30), (700, 500), (299, 299), (1, 1)])
def test_the_resize_is_clean_fids_pixel_by_pixel(size):
    resize = pytest.importorskip("cleanfid.resize")
    picture = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    theirs = resize.build_resizer("clean")(picture)
    np.testing.assert_array_equal(clean_resize(picture), theirs)


def test_the_small_network_gives_these_numbers_everywhere():
    picture = np.arange(64 * 48 * 3, dtype=np.uint8).reshape(48, 64, 3)
    made = SmallNetwork().features([picture])
    assert made.shape == (1, 128)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made[0, [0, 1, 16, 40, 127]], SmallNetwork().features([picture, picture])[1, [0, 1, 16, 40, 127]], rtol=1e-5)
    assert float(np.linalg.norm(made)) == pytest.approx(NORM, rel=1e-4)


NORM = 3.2025146


def test_the_small_network_tells_colour_and_texture_apart():
    rng = np.random.default_rng(1)
    flat = np.full((32, 32, 3), 128, np.uint8)
    red = flat.copy()
    red[..., 0] = 220
    noisy = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    a, b, c, again = SmallNetwork().features([flat, red, noisy, flat])
    assert np.linalg.norm(a - again) < 1e-5 < 0.1 < min(np.linalg.norm(a - b), np.linalg.norm(a - c), np.linalg.norm(b - c))


def test_inception_is_found_by_file_folder_or_environment(inception_file, monkeypatch):
    assert find_weights(str(inception_file), inception_file.name) == inception_file
    monkeypatch.setenv("MEDBENCH_INCEPTION", str(inception_file.parent))
    assert find_weights("", inception_file.name) == inception_file
    assert network("auto").name == "clean"


def test_without_its_file_auto_is_the_small_network_and_clean_is_refused_with_the_way(tmp_path):
    assert network("auto").name == "small-v1"
    with pytest.raises(UsageError, match="not at hand") as caught:
        network("clean")
    assert "never downloaded" in caught.value.hint
    with pytest.raises(UsageError, match="no such file"):
        network("clean", str(tmp_path / "x.pt"))
    with pytest.raises(UsageError, match="no such network"):
        network("inception-v4")


def test_inception_gets_what_clean_fid_gives_it(inception_file, pictures):
    torchscript = pytest.importorskip("cleanfid.inception_torchscript")
    opened = [open_picture(path) for path in pictures(2)]
    theirs = load_script(inception_file, "")
    batch = torch.from_numpy(np.stack([clean_resize(picture) for picture in opened])).permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = theirs.layers.forward((batch - 128) / 128).flatten(1)  # as InceptionV3W.forward without resize_inside
    assert torchscript.InceptionV3W
    np.testing.assert_allclose(Inception(inception_file).features(opened), expected.numpy(), rtol=1e-6)


def test_a_file_of_another_network_is_refused_by_name(tmp_path):
    wrong = tmp_path / "inception-2015-12-05.pt"
    wrong.write_bytes(b"not a network")
    with pytest.raises(UsageError, match="not a TorchScript file"):
        Inception(wrong).features([np.zeros((4, 4, 3), np.uint8)])


def test_features_are_computed_once_for_a_picture_and_network(pictures):
    paths, calls = pictures(5), []

    class Counting(SmallNetwork):
        def features(self, opened):
            calls.append(len(opened))
            return super().features(opened)

    first = features_of(paths, [f"d{n}" for n in range(5)], Counting())
    again = features_of([*paths[::-1], paths[0]], [*(f"d{n}" for n in reversed(range(5))), "d0"], Counting())
    np.testing.assert_array_equal(again[:5], first[::-1])
    np.testing.assert_array_equal(again[5], first[0])
    assert calls == [5]


def test_features_of_another_network_are_not_taken(pictures):
    paths = pictures(2)

    class Other(SmallNetwork):
        identity = "other"

        def features(self, opened):
            return np.full((len(opened), 3), 7.0)

    features_of(paths, ["a", "b"], SmallNetwork())
    assert features_of(paths, ["a", "b"], Other()).tolist() == [[7.0] * 3] * 2


def test_grey_clear_and_black_pictures_are_opened_alike_and_named(tmp_path):
    Image.new("L", (8, 8), 100).save(tmp_path / "grey.png")
    Image.new("RGBA", (8, 8), (100, 100, 100, 0)).save(tmp_path / "clear.png")
    Image.new("RGB", (9, 8)).save(tmp_path / "black.png")
    paths = [str(tmp_path / name) for name in ("grey.png", "clear.png", "black.png")]
    grey, clear, black = (open_picture(path) for path in paths)
    np.testing.assert_array_equal(grey, clear)
    assert (is_black(grey), is_black(black)) == (False, True)
    said = peculiarities(paths)
    assert "2 sizes of drawn pictures (most often 8x8, 2 of 3)" in said
    assert "1 grey pictures were repeated" in said
    assert "the transparency of 1 pictures was dropped" in said


def test_a_picture_that_cannot_be_decoded_is_refused_by_name(tmp_path):
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"x\.png: cannot be decoded"):
        open_picture(tmp_path / "x.png")
