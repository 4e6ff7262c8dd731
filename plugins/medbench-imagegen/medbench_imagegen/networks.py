"""The networks that turn pictures into features: a small fixed one that ships as code, and Inception from a local file."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from medbench.errors import UsageError, suggestion
from medbench.files import FileDigests, cache_folder
from medbench_imagegen.features import Network

Array = np.ndarray[Any, np.dtype[Any]]

INCEPTION = "inception-2015-12-05.pt"
LEGACY = "pt_inception-2015-12-05-6726825d.pth"
VARIABLE = "MEDBENCH_INCEPTION"
DIMENSION = 2048
"""Features of either Inception."""
NAMES = ("auto", "clean", "legacy", "small-v1")


def network(name: str, weights: str = "") -> Network:
    """Return the network of that name; `auto` is Inception where its file is found, else the small one.

    Raises:
        UsageError: there is no such network, or its weights are not found.
    """
    if name not in NAMES:
        raise UsageError(f"features={name}: no such network", hint=suggestion(name, NAMES))
    if name == "legacy":
        return Legacy(find_weights(weights, LEGACY))
    if name == "small-v1":
        return SmallNetwork()
    path = find_weights(weights, INCEPTION, needed=name == "clean")
    return Inception(path) if path else SmallNetwork()


def find_weights(named: str, file: str, *, needed: bool = True) -> Path | None:
    """Return a weights file: as named, or by the environment, which may name a folder; None where it need not be there.

    Raises:
        UsageError: it is named and not there, or needed and not named.
    """
    said = named or os.environ.get(VARIABLE, "")
    if not said:
        if needed:
            hint = f"put {file} on this machine and name it: {VARIABLE}=FILE, or --metric-option weights=FILE (never downloaded)"
            raise UsageError("the weights of Inception are not at hand", hint=hint)
        return None
    path = Path(said).expanduser()
    path = path / file if path.is_dir() else path
    if not named and file == LEGACY:
        path = path.with_name(LEGACY)  # the environment names the other network's file: this one lies beside it
    if not path.is_file():
        raise UsageError(f"{path}: no such file", hint=f"{file}, named by weights=FILE or {VARIABLE}")
    return path


def digest_of_file(path: Path) -> str:
    """Return the digest of a weights file, remembered by size and time."""
    digests = FileDigests(cache_folder("digests", "weights.json"))
    made = digests.digest(path)
    digests.save()
    return made


def load_script(path: Path, expected: str) -> Any:
    """Return the module of a TorchScript file: the form in which the published networks come, though torch deprecates it.

    Raises:
        UsageError: it is no such file.
    """
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return torch.jit.load(str(path), map_location="cpu").eval()
        except RuntimeError as error:
            first = str(error).strip().splitlines()[0]
            raise UsageError(f"{path}: not a TorchScript file ({first})", hint=f"expected {expected}") from None


def clean_resize(picture: Array, size: int = 299) -> Array:
    """Return a picture at another size as clean-fid makes it: float32, bicubic with antialiasing per channel, not rounded.

    Args:
        picture: uint8, shape (height, width, 3).
        size: Pixels of each side.

    Source: Parmar et al., CVPR 2022; clean-fid 0.1.35 `build_resizer("clean")`.
    """
    channels = [Image.fromarray(picture[:, :, i].astype(np.float32)).resize((size, size), Image.Resampling.BICUBIC) for i in range(3)]
    return np.stack([np.asarray(channel).clip(0, 255) for channel in channels], axis=2).astype(np.float32)


class SmallNetwork:
    """Three seeded random convolutions on 64 x 64 pixels; the mean and the spread of every channel of every layer: 128 features.

    Weights are drawn by numpy from a fixed seed, so that they are the same everywhere. Random convolutions tell colours, edges
    and textures apart; their distances compare with themselves alone.
    """

    name = "small-v1"
    identity = "small-v1"
    CHANNELS = (3, 16, 16, 32)
    SEED = 20240501
    SIZE = 64

    def __init__(self) -> None:
        import torch

        rng = np.random.default_rng(self.SEED)
        self._kernels = []
        for before, after in zip(self.CHANNELS, self.CHANNELS[1:], strict=False):
            drawn = rng.standard_normal((after, before, 5, 5)) * np.sqrt(2 / (before * 25))
            self._kernels.append(torch.from_numpy(drawn.astype(np.float32)))

    def features(self, pictures: Sequence[Array]) -> Array:
        """Return float32 features, shape (n, 128)."""
        import torch
        from torch.nn import functional

        x = torch.from_numpy(np.stack([clean_resize(picture, self.SIZE) for picture in pictures])).permute(0, 3, 1, 2) / 127.5 - 1
        found = []
        with torch.inference_mode():
            for kernel in self._kernels:
                x = functional.leaky_relu(functional.conv2d(x, kernel, stride=2, padding=2), 0.2)
                found += [x.mean(dim=(2, 3)), x.std(dim=(2, 3))]
            made: Array = torch.cat(found, dim=1).numpy()
        return made


class Inception:
    """Inception v3 of 2015 as TorchScript (`inception-2015-12-05.pt`), behind clean-fid's resize: 2,048 features.

    Args:
        path: The weights file.

    Raises:
        UsageError: it is no TorchScript file of that interface.
    """

    name = "clean"

    def __init__(self, path: Path) -> None:
        self.identity = f"clean-{digest_of_file(path)}"
        self._path = path
        self._base: Any = None

    @property
    def base(self) -> Any:
        """The network, loaded when it is first needed."""
        if self._base is None:
            self._base = load_script(self._path, INCEPTION)
            if not hasattr(self._base, "layers"):
                raise UsageError(f"{self._path}: TorchScript of another network", hint=f"expected {INCEPTION}")
        return self._base

    def features(self, pictures: Sequence[Array]) -> Array:
        """Return float32 features, shape (n, 2048)."""
        import torch

        with torch.inference_mode():
            made: Array = self.base.layers.forward(self._batch(pictures)).reshape(len(pictures), -1).float().numpy()
        if made.shape[1] != DIMENSION:
            said = f"{self._path}: TorchScript of another network (its features are {made.shape[1]:,} numbers, not {DIMENSION:,})"
            raise UsageError(said, hint=f"expected {INCEPTION}")
        return made

    def probabilities(self, pictures: Sequence[Array]) -> Array:
        """Return class probabilities without the output bias, shape (n, 1008), as the Inception Score takes them."""
        import torch

        x = self._batch(pictures) * 128 + 128
        with torch.inference_mode():
            made: Array = self.base(x, no_output_bias=True).double().numpy()
        return made

    @staticmethod
    def _batch(pictures: Sequence[Array]) -> Any:
        import torch

        return (torch.from_numpy(np.stack([clean_resize(picture) for picture in pictures])).permute(0, 3, 1, 2) - 128) / 128


class Legacy:
    """The Inception of pytorch-fid behind a bilinear resize, through clean-fid's own code: 2,048 features.

    Args:
        path: Its weights file.

    Raises:
        UsageError: clean-fid is not installed, or the file is of another network.
    """

    name = "legacy"

    def __init__(self, path: Path | None) -> None:
        assert path is not None
        self.identity = f"legacy-{digest_of_file(path)}"
        self._path = path
        self._network: Any = None

    def _load(self) -> Any:
        try:
            import torch
            from cleanfid import inception_pytorch
        except ImportError as error:
            raise UsageError(f"fid-legacy needs {error.name}", hint="pip install 'medbench-imagegen[legacy]'") from None
        asked = inception_pytorch.load_state_dict_from_url
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # clean-fid calls torchvision in a way that is going out
            try:
                state = torch.load(self._path, map_location="cpu", weights_only=True)
                inception_pytorch.load_state_dict_from_url = lambda *_, **__: state  # the file at hand, in place of a download
                return inception_pytorch.InceptionV3(output_blocks=[3], resize_input=False).eval()
            except (OSError, EOFError, RuntimeError, TypeError, AttributeError, ValueError, pickle.UnpicklingError) as error:
                raise UsageError(f"{self._path}: not the weights of pytorch-fid's Inception", hint=f"expected {LEGACY}") from error
            finally:
                inception_pytorch.load_state_dict_from_url = asked

    def features(self, pictures: Sequence[Array]) -> Array:
        """Return float32 features, shape (n, 2048)."""
        import torch
        from torch.nn import functional

        if self._network is None:
            self._network = self._load()
        resized = [
            functional.interpolate(
                torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float(), size=(299, 299), mode="bilinear", align_corners=False
            ).clamp(0, 255)
            for picture in pictures
        ]
        with torch.inference_mode():
            made: Array = self._network(torch.cat(resized) / 255)[0].reshape(len(pictures), -1).numpy()
        return made
