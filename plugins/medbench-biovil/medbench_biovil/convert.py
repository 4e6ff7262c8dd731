"""`medbench convert biovil-t`: the published pickles as safetensors, once and for all."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
from medbench_torch.devices import place
from medbench_torch.folders import new_folder
from medbench_torch.weights import digest, find_weights
from safetensors.torch import save_file

from medbench.files import write_whole
from medbench_biovil.encoder import IMAGE_FILES, find_image_file, find_text_file, load_encoder

NOTE = "medbench_conversion.json"


def convert(*, out: Path, weights: str, image_weights: str = "", trust_pickle: bool = False) -> Path:
    """Write a folder that `biovil-t` loads without reading a pickle; every tensor is checked on the way.

    Args:
        out: Where to; must not exist.
        weights: The published files: a folder, or the hub id microsoft/BiomedVLP-BioViL-T.
        image_weights: File of the image side, where it lies elsewhere.
        trust_pickle: Read the pickles, which can run code of their maker.

    Raises:
        UsageError: `out` exists.
        WeightsError: something is missing, torn, of another model, or a pickle that is not trusted.
    """
    folder = find_weights(weights, trust_pickle=trust_pickle)
    image = find_weights(Path(image_weights).expanduser()) if image_weights else find_image_file(folder)
    encoder = load_encoder(folder, image, place("cpu", "float32"), trust_pickle=trust_pickle)
    note = {
        "from": {file.name: digest(file) for file in (find_text_file(folder), image)},
        "note": "the head that guesses masked words (cls.*) is left out",
    }
    with new_folder(out) as partial:
        for name, network in ((IMAGE_FILES[0], encoder.networks.image), ("model.safetensors", encoder.networks.text)):
            save_file({key: tensor.contiguous() for key, tensor in network.state_dict().items()}, partial / name, metadata={"format": "pt"})
        for name in ("config.json", "vocab.txt", "tokenizer_config.json"):
            if (folder / name).is_file():
                shutil.copyfile(folder / name, partial / name)
        write_whole(partial / NOTE, msgspec.json.format(msgspec.json.encode(note, order="deterministic"), indent=2) + b"\n")
    return out.expanduser()
