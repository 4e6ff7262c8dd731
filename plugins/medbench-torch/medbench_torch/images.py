"""From a decoded picture to the pixels a model takes: Pillow processors whatever is installed, and the aspect rules by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from medbench.errors import UsageError
from medbench.images import decode_ahead
from medbench.types import Image
from medbench_torch.weights import WeightsError

if TYPE_CHECKING:
    from PIL import Image as Pil

ASPECTS = ("pad", "crop", "squash")
"""`pad`: to a square in the mean colour, then resized; `crop`: shortest edge, centre crop; `squash`: resized to the square."""

BACKEND = "pil"
"""What `image_backend` is in the facts of every model that uses this module."""

FILES = ("preprocessor_config.json", "processor_config.json")


def pil_processor(source: Path | Mapping[str, Any]) -> Any:
    """Return the Pillow image processor of a weights folder, or of a configuration such as `preprocessor_config.json` holds.

    Args:
        source: A folder with one of `FILES`, or their content with `image_processor_type` in it.

    Raises:
        WeightsError: the folder has no configuration, or its processor has no Pillow form.
    """
    import transformers  # noqa: PLC0415 - takes seconds

    if isinstance(source, Mapping):
        kept = dict(source)
        return _class_named(transformers, str(kept.pop("image_processor_type", "CLIPImageProcessor")), "the configuration")(**kept)
    if not any((source / name).is_file() for name in FILES):
        raise WeightsError(f"{source}: no {' or '.join(FILES)}", hint="how pictures are to be resized is not known without it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = transformers.AutoImageProcessor.from_pretrained(source, backend=BACKEND, local_files_only=True)
    except (ValueError, OSError, ImportError) as error:
        raise WeightsError(f"{source}: its image processor cannot be made ({_first_line(error)})", hint=f"see {FILES[0]} there") from error
    return made if type(made).__name__.endswith("Pil") else _class_named(transformers, type(made).__name__, str(source))(**made.to_dict())


def pad_square(picture: Pil.Image, colour: tuple[int, ...]) -> Pil.Image:
    """Return the picture centred on a square of its longer side; odd remainders go right and below, as LLaVA has it."""
    from PIL import Image as Pillow  # noqa: PLC0415 - loaded by those who decode

    width, height = picture.size
    if width == height:
        return picture
    side = max(width, height)
    ground = Pillow.new(picture.mode, (side, side), colour)
    ground.paste(picture, ((side - width) // 2, (side - height) // 2))
    return ground


class Pixels:
    """Turns one picture into one tensor (3, side, side): what a tower of fixed input size takes. Safe in threads.

    `pad` equals LLaVA-1.5's own pipeline bit by bit, `crop` the processors' default.

    Args:
        processor: A Pillow image processor with a fixed output size.
        aspect: One of `ASPECTS`.

    Raises:
        UsageError: there is no such aspect.
    """

    def __init__(self, processor: Any, aspect: str = "pad") -> None:
        if aspect not in ASPECTS:
            raise UsageError(f"aspect={aspect}: not known", hint=f"one of {', '.join(ASPECTS)}")
        self.aspect = aspect
        self.processor = processor
        self.side = side_of(processor)
        self._shape = _SHAPES[aspect](self)

    def __call__(self, picture: Pil.Image) -> torch.Tensor:
        """Return the normalised pixels of an RGB picture, float32."""
        made = self.processor(self._shape(picture), return_tensors="np")["pixel_values"][0]
        return torch.from_numpy(np.ascontiguousarray(made, dtype=np.float32))

    def facts(self) -> dict[str, Any]:
        """Return what is worth recording: backend, aspect, side in pixels."""
        return {"image_backend": BACKEND, "aspect": self.aspect, "image_size": self.side}

    def _padded(self) -> Callable[[Pil.Image], Pil.Image]:
        colour = tuple(int(part * 255) for part in self.processor.image_mean)
        return lambda picture: pad_square(picture, colour)

    def _squashed(self) -> Callable[[Pil.Image], Pil.Image]:
        return lambda picture: picture.resize((self.side, self.side), resample=self.processor.resample)

    def _cropped(self) -> Callable[[Pil.Image], Pil.Image]:
        return lambda picture: picture


_SHAPES = {"pad": Pixels._padded, "squash": Pixels._squashed, "crop": Pixels._cropped}  # noqa: SLF001 - its own


def side_of(processor: Any) -> int:
    """Return the side in pixels of what a processor of fixed size gives.

    Raises:
        WeightsError: it gives pictures of many sizes, or no square ones.
    """
    size = _plain(getattr(processor, "crop_size", None)) if getattr(processor, "do_center_crop", False) else {}
    size = size or _plain(processor.size)
    sides = {size[key] for key in ("height", "width", "shortest_edge") if size.get(key)}
    if len(sides) != 1:
        raise WeightsError(f"{type(processor).__name__}: gives no square of fixed size ({size or 'no size'})")
    return int(sides.pop())


def decoded(
    images: Iterable[Image], workers: int = 0, prepare: Callable[[Pil.Image], Any] | None = None, *, opaque: bool = False
) -> Iterator[Any]:
    """Yield each image decoded to RGB and prepared, in order, in threads ahead of the consumer; or its `InputError`.

    Args:
        images: Consumed lazily.
        workers: Threads; 0: one for each core, at most 8.
        prepare: What is done to a picture in its thread.
        opaque: Refuse pictures that are transparent anywhere.
    """
    return decode_ahead(images, workers, prepare=prepare, opaque=opaque)


def _class_named(transformers: Any, name: str, where: str) -> Any:
    bare = name.removesuffix("Fast").removesuffix("Pil")
    made = getattr(transformers, f"{bare}Pil", None)
    if made is None:
        raise WeightsError(f"{where}: {name} has no Pillow form in transformers {transformers.__version__}")
    return made


def _plain(size: Any) -> dict[str, Any]:
    if size is None or isinstance(size, Mapping):
        return dict(size or {})
    return {key: getattr(size, key, None) for key in ("height", "width", "shortest_edge", "longest_edge")}


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
