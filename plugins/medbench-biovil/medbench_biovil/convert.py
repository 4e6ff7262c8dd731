"""`python -m medbench_biovil.convert FOLDER OUT --trust-pickle`: the published pickles as safetensors, once and for all."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import msgspec
from medbench_torch.devices import place
from medbench_torch.weights import WeightsError, find_weights
from safetensors.torch import save

from medbench.errors import MedbenchError
from medbench.files import write_whole
from medbench_biovil.encoder import IMAGE_FILES, find_text_file, load_encoder

NOTE = "medbench_conversion.json"


def convert(folder: Path, out: Path, *, trust_pickle: bool) -> Path:
    """Write a folder that `biovil-t` loads without reading a pickle; every tensor is checked on the way.

    Args:
        folder: The published files.
        out: A folder that is empty or not there.
        trust_pickle: Read the pickles, which can run code of their maker.

    Raises:
        WeightsError: something is missing, torn, of another model, or `out` is not empty.
    """
    if out.exists() and any(out.iterdir()):
        raise WeightsError(f"{out}: not empty", hint="name an empty or new folder")
    encoder = load_encoder(folder, None, place("cpu", "float32"), trust_pickle=trust_pickle)
    out.mkdir(parents=True, exist_ok=True)
    for name, network in ((IMAGE_FILES[0], encoder.networks.image), ("model.safetensors", encoder.networks.text)):
        write_whole(out / name, save({key: tensor.contiguous() for key, tensor in network.state_dict().items()}))
    for name in ("config.json", "vocab.txt", "tokenizer_config.json"):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, out / name)
    left = "the head that guesses masked words (cls.*) is left out"
    write_whole(out / NOTE, msgspec.json.format(msgspec.json.encode({"from": [find_text_file(folder).name, IMAGE_FILES[1]], "note": left})))
    return out


def main() -> int:
    """Convert, and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m medbench_biovil.convert", description=__doc__)
    parser.add_argument("folder", help="folder or hub id of microsoft/BiomedVLP-BioViL-T")
    parser.add_argument("out", type=Path)
    parser.add_argument("--trust-pickle", action="store_true", help="read pickles, which can run code of their maker")
    given = parser.parse_args()
    try:
        made = convert(find_weights(given.folder, trust_pickle=given.trust_pickle), given.out, trust_pickle=given.trust_pickle)
    except MedbenchError as error:
        print(f"error: {error.message}\n hint: {error.hint}", file=sys.stderr)  # noqa: T201 - a program
        return 2
    print(f"{made}: --model-option weights={made}")  # noqa: T201 - a program
    return 0


if __name__ == "__main__":
    sys.exit(main())
