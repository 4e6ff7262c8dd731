"""Networks: the resize is clean-fid's, the small network is the same everywhere, and files are found or named."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from medbench_imagegen.features import features_of
from medbench_imagegen.kept import kept, manifest_of
from medbench_imagegen.networks import LEGACY, Inception, SmallNetwork, clean_resize, find_weights, network
from medbench_imagegen.pictures import Looks, black_ones, open_picture, peculiarities
from PIL import Image

from medbench.errors import DataError, StorageError, UsageError
from medbench.files import cache_folder
from medbench.identity import digest
from medbench.store import Store
from medbench.types import Vector


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


@pytest.fixture
def files(pictures, tmp_path):
    """Return pictures of several sizes and kinds, as other tools write them."""
    paths = [*pictures(2), *pictures(1, size=(400, 310), seed=1)]
    Image.open(paths[0]).save(tmp_path / "four.jpg", quality=80)
    Image.open(paths[0]).convert("L").save(tmp_path / "five.jpeg")
    Image.open(paths[1]).convert("RGBA").save(tmp_path / "six.png")
    return [*paths, *(str(tmp_path / name) for name in ("four.jpg", "five.jpeg", "six.png"))]


def by_clean_fid(paths, model, mode):
    fid = pytest.importorskip("cleanfid.fid")
    return fid.get_files_features(paths, model=model, mode=mode, num_workers=0, device=torch.device("cpu"), verbose=False)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_files_have_the_features_that_clean_fid_gives_them(inception_file, files):
    theirs = pytest.importorskip("cleanfid.inception_torchscript").InceptionV3W(str(inception_file.parent), download=False)
    found = features_of(files, files, Inception(inception_file))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_clean_fid(files, theirs, "clean"), rtol=1e-5, atol=1e-6)


@pytest.fixture
def legacy_file(tmp_path, monkeypatch):
    """Return a weights file of pytorch-fid's Inception with random numbers."""
    inception = pytest.importorskip("cleanfid.inception_pytorch")
    with monkeypatch.context() as patched:
        patched.setattr(inception, "load_state_dict_from_url", lambda *_, **__: {})
        patched.setattr("torchvision.models.Inception3.load_state_dict", lambda *_: None)
        torch.manual_seed(0)
        torch.save(inception.fid_inception_v3().state_dict(), tmp_path / LEGACY)
    return tmp_path / LEGACY


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_legacy_features_are_those_of_clean_fids_legacy_mode(legacy_file, files, monkeypatch):
    inception = pytest.importorskip("cleanfid.inception_pytorch")
    monkeypatch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: torch.load(legacy_file))
    features = pytest.importorskip("cleanfid.features")
    theirs = features.build_feature_extractor("legacy_pytorch", torch.device("cpu"), use_dataparallel=False)
    found = network("legacy", str(legacy_file)).features([open_picture(path) for path in files[:3]])
    assert found.shape == (3, 2048)
    np.testing.assert_allclose(found, by_clean_fid(files[:3], theirs, "legacy_pytorch"), rtol=1e-4, atol=1e-5)


def test_legacy_weights_lie_beside_the_others_and_no_others_are_taken(inception_file, monkeypatch, tmp_path):
    monkeypatch.setenv("MEDBENCH_INCEPTION", str(inception_file))
    with pytest.raises(UsageError, match=f"{LEGACY}: no such file"):
        network("legacy")
    picture = [np.zeros((4, 4, 3), np.uint8)]
    with pytest.raises(UsageError, match="not the weights of pytorch-fid's Inception"):
        network("legacy", str(inception_file)).features(picture)
    for wrong in ({"a": torch.zeros(1)}, [1, 2]):
        torch.save(wrong, tmp_path / LEGACY)
        with pytest.raises(UsageError, match="not the weights of pytorch-fid's Inception"):
            network("legacy", str(tmp_path / LEGACY)).features(picture)


def test_a_file_of_another_network_is_refused_by_name(tmp_path):
    wrong = tmp_path / "inception-2015-12-05.pt"
    wrong.write_bytes(b"not a network")
    with pytest.raises(UsageError, match="not a TorchScript file"):
        Inception(wrong).features([np.zeros((4, 4, 3), np.uint8)])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_features_of_another_width_are_another_networks(tmp_path):
    small = torch.nn.Module()
    small.layers = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1))
    torch.jit.script(small).save(str(tmp_path / "small.pt"))
    with pytest.raises(UsageError, match="its features are 3 numbers, not 2,048"):
        Inception(tmp_path / "small.pt").features([np.zeros((4, 4, 3), np.uint8)])


class Counting(SmallNetwork):
    """The small network under a name of its own, whose calls are counted."""

    def __init__(self, name):
        super().__init__()
        self.identity = name
        self.calls = []

    def features(self, pictures):
        self.calls.append(len(pictures))
        return super().features(pictures)


def test_features_are_computed_once_for_a_picture_and_network(pictures):
    paths, counting = pictures(5), Counting("once")
    first = features_of(paths, [f"d{n}" for n in range(5)], counting)
    again = features_of([*paths[::-1], paths[0]], [*(f"d{n}" for n in reversed(range(5))), "d0"], Counting("once"))
    np.testing.assert_array_equal(again[:5], first[::-1])
    np.testing.assert_array_equal(again[5], first[0])
    assert counting.calls == [5]


def test_kept_features_need_no_picture(pictures):
    paths, counting = pictures(3), Counting("kept")
    first = features_of(paths, ["a", "b", "c"], counting)
    np.testing.assert_array_equal(features_of(["gone"] * 3, ["a", "b", "c"], counting), first)
    assert counting.calls == [3]


def test_features_of_another_network_are_not_taken(pictures):
    paths = pictures(2)

    class Other(SmallNetwork):
        identity = "other"

        def features(self, opened):
            return np.full((len(opened), 3), 7.0)

    features_of(paths, ["a", "b"], SmallNetwork())
    assert features_of(paths, ["a", "b"], Other()).tolist() == [[7.0] * 3] * 2


@pytest.mark.parametrize("ending", ["*.f32", "*.jsonl"])
def test_damaged_features_are_computed_again(pictures, ending):
    paths, counting, folder = pictures(4), Counting(f"damaged-{ending[2:]}"), cache_folder("features", f"damaged-{ending[2:]}")
    first = features_of(paths, list("abcd"), counting)
    (kept,) = folder.glob(ending)
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 255
    kept.write_bytes(content[:-3])
    np.testing.assert_array_equal(features_of(paths, list("abcd"), counting), first)
    assert counting.calls[0] == 4
    assert 0 < counting.calls[1] < 4  # what was whole is taken
    np.testing.assert_array_equal(features_of(paths, list("abcd"), counting), first)
    assert len(counting.calls) == 2


def test_several_may_compute_at_once(pictures):
    paths, names = pictures(40), [f"d{n}" for n in range(40)]
    expected = SmallNetwork().features([open_picture(path) for path in paths])
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda start: features_of(paths[start:], names[start:], Counting("shared")), (0, 5, 10)))
    for start, part in zip((0, 5, 10), found, strict=True):
        np.testing.assert_allclose(part, expected[start:], atol=1e-5)
    last = Counting("shared")
    features_of(paths, names, last)
    assert last.calls == []


def test_kept_vectors_of_several_lengths_and_lost_ones_are_refused(pictures):
    paths = pictures(2)

    class Odd(SmallNetwork):
        identity = "odd"

        def features(self, opened):
            return np.full((len(opened), 3), np.nan if len(opened) == 2 else 1.0)

    with pytest.raises(DataError, match=r"0-000\.png: its features by small-v1 are not finite"):
        features_of(paths, ["a", "b"], Odd())
    features_of(paths[:1], ["a"], Odd())
    with Store(cache_folder("features", "odd")) as store:
        store.append(digest("features", "odd", "b"), Vector(data=bytes(8)))
    with pytest.raises(DataError, match="no feature of this network"):
        features_of(paths, ["a", "b"], Odd())


def test_a_cache_that_cannot_be_written_is_named_with_the_way_out(pictures, monkeypatch, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError) as caught:
        features_of(pictures(1), ["a"], SmallNetwork())
    assert "MEDBENCH_CACHE" in caught.value.hint


def test_statistics_are_computed_once_for_a_set_and_again_where_they_are_damaged():
    calls = []

    def make():
        calls.append(1)
        return {"a": np.arange(3.0), "b": np.array(2.5)}

    manifest = manifest_of("network", ["x", "y"])
    first, again = kept(manifest, "what", make), kept(manifest, "what", make)
    assert {name: array.tolist() for name, array in again.items()} == {name: array.tolist() for name, array in first.items()}
    assert len(calls) == 1
    kept(manifest_of("network", ["x", "z"]), "what", make)
    kept(manifest_of("other", ["x", "y"]), "what", make)
    kept("", "what", make)
    assert len(calls) == 4
    for path in cache_folder("statistics").glob("*.npz"):
        path.write_bytes(path.read_bytes()[:-40])
    assert kept(manifest, "what", make)["a"].tolist() == [0, 1, 2]
    assert len(calls) == 5


def looks(*paths):
    return Looks.features([Looks.open(str(path)) for path in paths])


def test_grey_clear_and_black_pictures_are_opened_alike_and_named(tmp_path):
    Image.new("L", (8, 8), 100).save(tmp_path / "grey.png")
    Image.new("RGBA", (8, 8), (100, 100, 100, 0)).save(tmp_path / "clear.png")
    Image.new("P", (8, 8)).save(tmp_path / "palette.png", transparency=0)
    Image.fromarray(np.full((8, 8), 100 * 257, np.uint16)).save(tmp_path / "deep.png")
    Image.new("RGB", (9, 8)).save(tmp_path / "black.png")
    grey, clear, deep, black = (open_picture(tmp_path / f"{name}.png") for name in ("grey", "clear", "deep", "black"))
    np.testing.assert_array_equal(grey, clear)
    np.testing.assert_array_equal(grey, deep)
    names = ["grey", "clear", "palette", "deep", "black"]
    found = looks(*(tmp_path / f"{name}.png" for name in names))
    assert black_ones(found).tolist() == [False, False, True, False, True]
    assert not black.any()
    said = peculiarities(found, names, ["1", "2", "3", "1", "5"])
    assert said.startswith("2 drawn pictures are black (a safety filter, or a failed decoding): palette, black; ")
    assert "1 drawn picture is of another size than the rest (2 sizes, most often 8x8)" in said
    assert "2 drawn pictures are grey, and repeated" in said
    assert "2 drawn pictures are transparent" in said
    assert said.endswith("1 drawn picture is the very same file as another")


def test_plain_pictures_have_nothing_to_say(pictures):
    assert peculiarities(looks(*pictures(3)), list("abc"), list("abc")) == ""


def test_a_picture_that_cannot_be_decoded_is_refused_by_name(tmp_path):
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"x\.png: cannot be decoded"):
        open_picture(tmp_path / "x.png")
