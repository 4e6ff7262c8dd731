"""Where the parts of a MiniGPT-v2 lie, and the one way in which they are put together and told of."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from medbench_torch import loading
from medbench_torch.adapters import apply_adapter
from medbench_torch.devices import Placement, memory_guard, place
from medbench_torch.generation import Generator, fitting_batch
from medbench_torch.loading import strict_state
from medbench_torch.tokenizing import load_tokenizer
from medbench_torch.weights import WeightsError, digest, find_weights
from transformers import AutoModelForCausalLM

from medbench.errors import UsageError
from medbench.identity import digest as digest_of
from medbench.types import Struct
from medbench_pefomed import base, checkpoint, presets
from medbench_pefomed.network import assembled
from medbench_pefomed.speaker import MiniGptSpeaker

if TYPE_CHECKING:
    from medbench_pefomed.model import MiniGptV2

LLAMA = "meta-llama/Llama-2-7b-chat-hf"
LLAMA_SIZE = (4096, 32)
"""Width and layers of Llama-2-7b."""
FAMILY = "MiniGPT-v2"
OTHER = "MiniGPT-v2 with another LM"
PROBE = "Are the lungs clear? Describe the heart, the lungs and the pleura."
"""Text on which the logits with and without LoRA are compared."""


class Sources(Struct):
    """Where the parts lie, all of them found."""

    vision: Path
    """A base folder, or `eva_vit_g.pth`."""
    language_model: Path
    tuned: Path | None = None
    """LoRA and projection: a folder or a released checkpoint."""


def load(model: MiniGptV2) -> tuple[Generator, dict[str, Any]]:
    """Return a model ready to answer, and its facts.

    Raises:
        UsageError: a part was not named.
        WeightsError: a part is not there, not whole, or of another model than the others.
    """
    placement = place(model.device, model.dtype, model.attn)
    untrained = bool(model.preset) and not model.weights
    with parts_of(model) as sources:
        if sources.tuned is None and not base.has_projection(sources.vision):
            hint = "weights= or adapter= takes a released checkpoint, or a folder that medbench convert or medbench fit wrote"
            raise UsageError(f"{model.NAME} needs what was fine-tuned: its projection and LoRA", hint=hint)
        speaker, adapted = assemble(model, sources, placement, merge=model.merge)
        other = another_lm(speaker.model.config.get_text_config(), sources)
        stated = {
            "family": f"{OTHER} ({other})" if other else FAMILY,
            **({"called": f"{f'{model.NAME}, ' if model.PROCESSED else ''}{OTHER} ({other})"} if other else {}),
            "untrained": untrained,
            "weights_digest": "" if untrained else digest_of(*(digest(path) for path in (sources.vision, sources.language_model))),
            **speaker.facts(),
        }
        facts = loading.facts(speaker.network, placement, adapter=adapted, **stated)
    batch = model.batch_size or fitting_batch(speaker.model)
    return Generator(speaker, batch_size=batch, workers=model.workers, opaque=True), facts


def assemble(model: MiniGptV2, sources: Sources, placement: Placement, *, merge: bool) -> tuple[MiniGptSpeaker, dict[str, Any] | None]:
    """Return the network of these parts, ready to speak, and what is to be told of what was fine-tuned."""
    language_model: Any = loading.load_model(AutoModelForCausalLM, sources.language_model, placement, trust_pickle=model.trust_pickle)
    tokenizer = load_tokenizer(sources.language_model)
    config, tensors = base.read_tower(sources.vision, trust_pickle=model.trust_pickle)
    with memory_guard():
        network = assembled(config, tensors, language_model, placement, str(sources.vision))
    adapted = None
    if sources.tuned is None:
        given = base.read_projection(sources.vision) if sources.vision.is_dir() else None
        _put_projection(network, given, sources.vision)
    else:
        r, alpha = model.recipe.r or checkpoint.PUBLISHED_R, model.recipe.alpha or checkpoint.PUBLISHED_ALPHA
        tuned = checkpoint.read_tuned(sources.tuned, r=r, alpha=alpha, trust_pickle=model.trust_pickle)
        checkpoint.check_language_model(tuned, language_model.config, model.language_model or "its language model")
        checkpoint.check_tower(tuned, network.multi_modal_projector.in_features)
        ids = tokenizer(PROBE, return_tensors="pt").to(placement.device)
        probed = {name: ids[name] for name in ("input_ids", "attention_mask")}
        network, adapted = apply_adapter(network, tuned, probe=lambda asked: asked(**probed), merge=merge, needs_projector=True)
    return MiniGptSpeaker(network, tokenizer, model.wording), adapted


def another_lm(config: Any, sources: Sources) -> str:
    """Return in words what the language model is where it is no Llama-2-7b, which MiniGPT-v2 has; the preset's stands for that one."""
    kind, size = config.model_type, (config.hidden_size, config.num_hidden_layers)
    if kind != "llama":
        return str(kind)
    own = sources.language_model.parent == sources.vision and base.is_preset(sources.vision)
    return "" if own or size == LLAMA_SIZE else f"{kind}, {size[0]} wide of {size[1]} layers"


def _put_projection(network: Any, given: dict[str, torch.Tensor] | None, source: Path) -> None:
    """Fill the projection of a base; one that has none begins at random, the same each time."""
    projection = network.multi_modal_projector
    if given is not None:
        strict_state(projection, given, source=f"{source}: its projection")
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fresh = torch.nn.Linear(projection.in_features, projection.out_features)
    strict_state(projection, fresh.state_dict())


@contextlib.contextmanager
def parts_of(model: MiniGptV2) -> Iterator[Sources]:
    """Find the parts, or make those of the preset for as long as loading takes."""
    if not model.preset or model.weights:
        yield found_parts(model)
        return
    with tempfile.TemporaryDirectory(prefix="medbench-tiny-") as folder:
        made = presets.build_base(Path(folder) / "base")
        tuned = _named(model.adapter, model) or presets.build_tuned(Path(folder) / "adapter", made)
        language_model = _named(model.language_model, model) or made / base.LANGUAGE_MODEL
        yield Sources(vision=made, language_model=language_model, tuned=tuned)


def found_parts(model: MiniGptV2) -> Sources:
    """Return where the parts lie that the options name.

    Raises:
        UsageError: no tower was named.
        WeightsError: a part is not there.
    """
    weights, adapter, vision = (_named(name, model) for name in (model.weights, model.adapter, model.vision))
    folder, tuned = _of_weights(weights)
    if adapter is not None:
        tuned = adapter / "adapter" if (adapter / "adapter" / checkpoint.CONFIG).is_file() else adapter
    vision = vision or folder
    if vision is None:
        hint = "vision=eva_vit_g.pth with trust_pickle=true, or weights=FOLDER of medbench convert"
        raise UsageError(f"{model.NAME} needs its vision tower", hint=hint)
    own = folder / base.LANGUAGE_MODEL if folder and (folder / base.LANGUAGE_MODEL).is_dir() else None
    if model.language_model or own is None:
        own = find_weights(model.language_model or LLAMA, revision=model.revision, trust_pickle=model.trust_pickle)
    return Sources(vision=vision, language_model=own, tuned=tuned)


def _of_weights(weights: Path | None) -> tuple[Path | None, Path | None]:
    """Return the base folder and what was fine-tuned in what `weights` names.

    Raises:
        WeightsError: the folder is none of this plugin's.
    """
    if weights is None or weights.is_file():
        return None, weights
    if base.is_base(weights):
        return weights, None
    if (weights / checkpoint.CONFIG).is_file():
        return None, weights
    folder = weights / "base" if base.is_base(weights / "base") else None
    tuned = weights / "adapter" if (weights / "adapter" / checkpoint.CONFIG).is_file() else None
    if folder is None and tuned is None:
        hint = "weights= takes a folder of medbench convert or medbench fit, or a released checkpoint; a language model is language_model="
        raise WeightsError(f"{weights}: neither base/ nor adapter/ of a MiniGPT-v2 in it", hint=hint)
    return folder, tuned


def _named(name: str, model: MiniGptV2) -> Path | None:
    return find_weights(name, trust_pickle=model.trust_pickle) if name else None
