"""Weights as files: found in a folder or on the hub, read without running what is in them, known by their digest."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from medbench.errors import MedbenchError, UsageError
from medbench.files import FileDigests, cache_folder
from medbench.identity import tree_digest

TRUST = "a pickle can run any code: have it as safetensors, or trust its maker with --model-option trust_pickle=true"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
_STANDARD = ("model", "pytorch_model", "adapter_model", "diffusion_pytorch_model")
"""What a library's own file is called, which files of other makers may lie beside."""
_KEPT = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")


class WeightsError(MedbenchError):
    """Weights that cannot be what the model needs: absent, torn, of another shape, in a form that is not read."""


def find_weights(
    weights: str | Path, *, revision: str = "", trust_pickle: bool = False, kept: Sequence[str] = (), left: Sequence[str] = ()
) -> Path:
    """Return the folder or file of weights; what is no path is a hub id, fetched into the hub's local cache.

    A path is never looked for on the hub. Of a hub repository only data is fetched: no code, and no pickles unless trusted.

    Args:
        weights: A folder, a file, or a hub id such as `llava-hf/llava-1.5-7b-hf`.
        revision: Branch, tag or commit of a hub repository.
        trust_pickle: Fetch pickles too.
        kept: Patterns of the files to fetch of a hub repository, in place of the usual ones.
        left: Patterns of files not to fetch.

    Raises:
        UsageError: `weights` is empty, or a revision is given for a folder.
        WeightsError: there is nothing of that name, or it cannot be reached.
    """
    name = str(weights)
    if not name:
        raise UsageError("no weights given", hint="--model-option weights=FOLDER, or a hub id such as llava-hf/llava-1.5-7b-hf")
    path = Path(name).expanduser()
    if path.exists():
        if revision:
            raise UsageError(f"revision={revision}: {path} is on this disk and has no revisions", hint="leave revision out")
        return path
    if isinstance(weights, Path) or not _may_be_hub_id(name):
        raise WeightsError(f"{path}: no such file or folder", hint="a folder, a file, or a hub id (owner/name)")
    patterns = [*_KEPT, *(f"*{suffix}" for suffix in PICKLES if trust_pickle)]
    return _snapshot(name, revision, list(kept) or patterns, list(left))


def read_tensors(path: Path, *, trust_pickle: bool = False) -> dict[str, torch.Tensor]:
    """Return all tensors of a checkpoint, on the CPU, by name.

    Args:
        path: A file, or a folder with one checkpoint: safetensors (sharded or not) if it has any, else a trusted pickle.
        trust_pickle: Read `.bin`, `.pt`, `.pth` and `.ckpt` files, which may run code of their maker.

    Raises:
        WeightsError: no checkpoint, several, a missing or torn file, a pickle that is not trusted.
    """
    files = checkpoint_files(path)
    tensors: dict[str, torch.Tensor] = {}
    for file in files:
        content = read_pickle(file, trust_pickle=trust_pickle) if file.suffix in PICKLES else _safetensors(file)
        read = {key: value for key, value in content.items() if isinstance(value, torch.Tensor)}
        if twice := tensors.keys() & read.keys():
            raise WeightsError(f"{file}: {min(twice)} is in two shards", hint="the checkpoint is mixed of two: fetch it anew")
        tensors |= read
    return tensors


def read_pickle(file: Path, *, trust_pickle: bool) -> dict[str, Any]:
    """Return what a trusted pickle holds, with a bare state dict where it is wrapped in one of the usual keys.

    What torch can read without running code is read so; only the rest is unpickled in full.

    Raises:
        WeightsError: it is not trusted, torn, or no dict.
    """
    if not trust_pickle:
        raise WeightsError(f"{file}: a pickle, which is not read", hint=TRUST)
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        content = _unpickled(file)
    except (RuntimeError, EOFError, OSError) as error:
        raise _torn(file, error) from error
    if not isinstance(content, dict):
        raise WeightsError(f"{file}: holds a {type(content).__name__}, not tensors by name")
    for key in ("state_dict", "model"):
        if isinstance(content.get(key), dict):
            return dict(content[key])
    return dict(content)


def checkpoint_files(path: Path) -> list[Path]:
    """Return the files of the one checkpoint in a folder, all of them there; or the file itself.

    Raises:
        WeightsError: nothing there, several checkpoints, or a shard is missing.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise WeightsError(f"{path}: no such file or folder")
    for suffix in (".safetensors", *PICKLES):
        indexes = sorted(path.glob(f"*{suffix}.index.json"))
        if len(indexes) == 1:
            return _shards(indexes[0])
        files = sorted(path.glob(f"*{suffix}"))
        standard = [file for file in files if file.stem in _STANDARD]
        if not indexes and (len(files) == 1 or len(standard) == 1):
            return standard or files
        if files or indexes:
            listed = ", ".join(file.name for file in (indexes or files)[:4])
            raise WeightsError(f"{path}: {len(indexes or files)} checkpoints ({listed})", hint="name the file, or leave one there")
    raise WeightsError(f"{path}: no weights in this folder", hint=f"looked for *.safetensors, {', '.join('*' + s for s in PICKLES)}")


def digest(path: Path) -> str:
    """Return the digest of a file or of a folder's files, remembered between runs."""
    digests = FileDigests(cache_folder("digests", "weights.json"))
    made = tree_digest(path, digests.digest)
    digests.save()
    return made


def read_json(file: Path) -> dict[str, Any]:
    """Return a JSON object of a weights folder.

    Raises:
        WeightsError: it is not there or not a JSON object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(f"{file}: {error.strerror}", hint="is the folder complete?") from error
    except ValueError as error:
        raise WeightsError(f"{file}: not JSON ({error})", hint="is the download complete?") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{file}: a {type(content).__name__}, not an object")
    return content


def listing(names: Iterable[object], shown: int = 3) -> str:
    """Return the first names and how many more there are.

    >>> listing("abcde")
    'a, b, c and 2 more'
    """
    kept = sorted(str(name) for name in names)
    more = f" and {len(kept) - shown} more" if len(kept) > shown else ""
    return ", ".join(kept[:shown]) + more


def _may_be_hub_id(name: str) -> bool:
    owner, _, repository = name.partition("/")
    return not name.startswith((".", "~", "/")) and bool(owner) and bool(repository) and "/" not in repository and "\\" not in name


def _snapshot(name: str, revision: str, kept: list[str], left: list[str]) -> Path:
    from huggingface_hub import errors, snapshot_download  # noqa: PLC0415 - a folder needs no hub client

    shown = f"{name}@{revision}" if revision else name
    fetch: Callable[..., str] = snapshot_download
    try:
        return Path(fetch(name, revision=revision or None, allow_patterns=kept, ignore_patterns=left or None))
    except errors.GatedRepoError:
        reason, hint = "its makers ask for terms to be accepted", f"accept them on https://huggingface.co/{name}, then: hf auth login"
    except errors.RepositoryNotFoundError:
        reason, hint = "no such folder, and no such repository on the hub", "a folder, or a hub id; a private one needs: hf auth login"
    except errors.RevisionNotFoundError:
        reason, hint = "the hub has no such revision", "a branch, tag or commit of the repository"
    except (errors.HFValidationError, errors.HfUriError):
        reason, hint = "no such folder, and no hub id either", "a folder, a file, or a hub id (owner/name)"
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, errors.HfHubHTTPError, OSError):
        reason, hint = (
            "no such folder, not in the hub's local cache, and the hub cannot be reached",
            f"hf download {name}, then give its folder",
        )
    raise WeightsError(f"{shown}: {reason}", hint=hint)


def _shards(index: Path) -> list[Path]:
    table = read_json(index).get("weight_map")
    if not isinstance(table, dict) or not table:
        raise WeightsError(f"{index}: no weight_map in it", hint="is the download complete?")
    files = [index.parent / name for name in sorted(set(table.values()))]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise WeightsError(
            f"{index.parent}: {len(missing)} of {len(files)} shards missing ({listing(missing)})",
            hint="the download is incomplete: fetch it again",
        )
    return files


def _safetensors(file: Path) -> dict[str, torch.Tensor]:
    try:
        with safe_open(file, framework="pt") as opened:
            return {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 - no mapping: it has keys() alone
    except (SafetensorError, OSError) as error:
        raise _torn(file, error) from error


def _unpickled(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=False)
    except Exception as error:  # a stranger's pickle may raise anything
        raise _torn(file, error) from error


def _torn(file: Path, error: Exception) -> WeightsError:
    reason = str(error).partition("\n")[0] or type(error).__name__
    return WeightsError(f"{file}: cannot be read ({reason})", hint="the file is torn or of another kind: fetch it again")
