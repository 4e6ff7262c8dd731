"""How fast generation is: medbench's wrapper of a LLaVA with a LoRA adapter against the plain loop that model cards show."""  # noqa: INP001 - run as a script, or loaded by its path

from __future__ import annotations

import hashlib
import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import medbench_torch  # noqa: F401 - before transformers, so that it finds no torchvision
import numpy as np
import torch
from medbench_torch.generation import Generator
from medbench_torch.images import Pixels, pil_processor
from medbench_torch.tiny.llava import build_llava, build_lora
from medbench_torch.tiny.tokenizers import byte_level
from peft import LoraConfig, PeftModel, get_peft_model
from PIL import Image as Pil
from transformers import AutoTokenizer, CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

from medbench.types import Generate, Image

SAMPLES = 64
QUESTIONS = 2
"""Questions about each picture: VQA-RAD's test split has 2.2."""
NEW_TOKENS = 64
"""Between an answer and a report."""
LARGE_TOKENS = 128
LARGE_BATCH = 32
LARGE_ALONE = 6
"""Samples that the plain loop answers on the accelerator; its time per sample does not depend on their number."""
TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"


class Figure(NamedTuple):
    """One measured figure and the bar it is held to."""

    name: str
    value: float
    unit: str
    against: str
    bar: float
    ok: bool


class Shape(NamedTuple):
    """What a LLaVA is made of, and how much is asked of it."""

    config: LlavaConfig
    side: int
    batch: int
    alone: int
    new_tokens: int
    r: int


def figures() -> Iterator[Figure]:
    """Yield each figure as it is measured: half a minute on a CPU, a few minutes more where there is an accelerator."""
    if importlib.util.find_spec("medbench_llava") is None:
        _say("generation: skipped, medbench-llava is not installed")
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield from _tiny()
    finally:
        torch.set_num_threads(threads)
    if torch.cuda.is_available():
        yield from measured_on(torch.device("cuda"), torch.bfloat16, shape_of_7b())
    else:
        _say("generation of LLaVA-1.5-7B's shape: skipped, there is no accelerator here")


def _tiny() -> Iterator[Figure]:
    from medbench_llava.llava import LlavaLora  # noqa: PLC0415 - where it is installed

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = build_llava(folder / "base")
        adapter = build_lora(base, folder / "adapter", dialect="hf")
        requests = requests_for(folder, SAMPLES, NEW_TOKENS)
        model = LlavaLora(weights=str(base), adapter=str(adapter), device="cpu", batch_size=LARGE_BATCH)
        model.facts()
        plain = PeftModel.from_pretrained(LlavaForConditionalGeneration.from_pretrained(base), adapter).eval()
        processor = processor_like(pil_processor(base), AutoTokenizer.from_pretrained(base), 14)
        model.speaker.pixels = Pixels(pil_processor(base), "crop")  # as the processor does
        list(model.generate(requests[:2]))  # what is done once (threads, kernels) is not timed
        slow, wanted = _best(lambda: plain_loop(plain, processor, model.prompt, requests), 2)

        def ours() -> list[str]:
            model._loaded[0].cache.clear()  # noqa: SLF001 - every repetition encodes its pictures
            return [answer.text for _, answer in sorted(model.generate(requests))]

        fast, made = _best(ours, 3)
    same = sum(one == other for one, other in zip(made, wanted, strict=True)) / len(wanted)
    ratio = slow / fast
    name = f"generation, tiny LLaVA + LoRA, {SAMPLES} samples"
    yield Figure(name, ratio, "times", "plain loop: batch 1, unmerged", 8.0, ratio >= 8.0 and same == 1.0)
    yield Figure(name, SAMPLES / fast, "samples/s", f"{SAMPLES / slow:.3g} samples/s of the plain loop", 0.0, ok=True)


def shape_of_7b() -> Shape:
    """Return LLaVA-1.5-7B's true shape: CLIP-L/336 and Vicuna-7B, an adapter of rank 128."""
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=336, patch_size=14
        ),
        text_config=LlamaConfig(vocab_size=32064, max_position_embeddings=4096),
        image_token_index=byte_level().convert_tokens_to_ids("<image>"),
        image_seq_length=576,
    )
    return Shape(config=config, side=336, batch=LARGE_BATCH, alone=LARGE_ALONE, new_tokens=LARGE_TOKENS, r=128)


def measured_on(device: torch.device, dtype: torch.dtype, shape: Shape) -> Iterator[Figure]:
    """Yield the figures of a model with random weights of this shape on a device."""
    from medbench_llava.speaker import LlavaSpeaker  # noqa: PLC0415 - where it is installed
    from medbench_llava.templates import TEMPLATES  # noqa: PLC0415 - where it is installed

    with torch.device(device):
        base: Any = LlavaForConditionalGeneration._from_config(shape.config, dtype=dtype).eval()  # noqa: SLF001 - weights made on the device
    tokenizer = byte_level()
    base.generation_config.eos_token_id = None  # every answer has all its tokens
    processor = pil_processor({"size": {"shortest_edge": shape.side}, "crop_size": {"height": shape.side, "width": shape.side}})
    wrapped = get_peft_model(base, LoraConfig(r=shape.r, lora_alpha=2 * shape.r, target_modules=TARGETS)).eval()
    with tempfile.TemporaryDirectory() as name:
        requests = requests_for(Path(name), shape.batch, shape.new_tokens)
        cards = processor_like(processor, tokenizer, shape.config.vision_config.patch_size)
        plain_loop(wrapped, cards, TEMPLATES["llava-v1"], requests[:1])
        slow, _ = _best(lambda: plain_loop(wrapped, cards, TEMPLATES["llava-v1"], requests[: shape.alone]), 1)
        speaker = LlavaSpeaker(wrapped.merge_and_unload(), tokenizer, Pixels(processor, "crop"), TEMPLATES["llava-v1"])
        speaker.end_ids = ()
        generator = Generator(speaker, batch_size=shape.batch)
        list(generator(requests))

        def ours() -> list[int]:
            generator.cache.clear()
            return [answer.usage["output_tokens"] for _, answer in generator(requests)]

        fast, tokens = _best(ours, 2)
    per_plain, per_ours = slow / min(shape.alone, len(requests)), fast / len(requests)
    name = f"generation, LLaVA-1.5-7B's shape, {str(dtype).removeprefix('torch.')}, batch {shape.batch}"
    yield Figure(name, per_plain / per_ours, "times", "plain loop: batch 1, unmerged", 10.0, per_plain / per_ours >= 10.0)
    bound = shape.batch * bandwidth(device) / bytes_of_a_step(speaker, shape)
    yield Figure(name, sum(tokens) / fast, "tokens/s", f"memory bound of decoding {bound:,.0f} tokens/s", 0.0, ok=True)


def bytes_of_a_step(speaker: Any, shape: Shape) -> float:
    """Return what one step of decoding reads at least: the language model once, and the keys and values of every row."""
    text = shape.config.get_text_config()
    size = torch.finfo(speaker.model.dtype).bits // 8
    weights = sum(p.numel() for p in speaker.model.model.language_model.parameters()) + speaker.model.lm_head.weight.numel()
    prompt = speaker.n_image_tokens + 200 + shape.new_tokens / 2
    heads = text.num_key_value_heads * (text.hidden_size // text.num_attention_heads)
    return float(size * (weights + shape.batch * prompt * text.num_hidden_layers * 2 * heads))


def bandwidth(device: torch.device) -> float:
    """Return bytes a second that the device's memory gives, by copying what no cache holds: read and written."""
    one = torch.empty(1 << (30 if device.type == "cuda" else 26), dtype=torch.uint8, device=device)
    other = torch.empty_like(one)

    def copy() -> None:
        other.copy_(one)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    copy()
    seconds, _ = _best(copy, 5)
    return 2 * one.nelement() / seconds


def processor_like(images: Any, tokenizer: Any, patch_size: int) -> LlavaProcessor:
    """Return the processor that a model card's loop uses."""
    return LlavaProcessor(images, tokenizer, patch_size=patch_size, vision_feature_select_strategy="default", num_additional_image_tokens=1)


def plain_loop(model: Any, processor: Any, template: str, requests: Sequence[Generate]) -> list[str]:
    """Answer as model cards show it: one request after the other, the adapter unmerged, each picture encoded again."""
    made = []
    for request in requests:
        text = template.replace("{images}", "<image>\n").replace("{prompt}", request.prompt)
        with Pil.open(request.images[0].path) as opened:
            inputs = processor(images=opened.convert("RGB"), text=text, return_tensors="pt").to(model.device, model.dtype)
        with torch.inference_mode():
            tokens = model.generate(**inputs, max_new_tokens=request.max_new_tokens, do_sample=False)
        made.append(processor.tokenizer.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip())
    return made


def requests_for(folder: Path, count: int, new_tokens: int) -> list[Generate]:
    """Return requests about pictures of radiographs' size, several about each."""
    rng = np.random.default_rng(0)
    images = []
    for number in range(-(-count // QUESTIONS)):
        path = folder / f"{number}.jpg"
        Pil.fromarray(rng.integers(0, 255, (420, 512, 3), dtype=np.uint8)).save(path, quality=90)
        images.append(Image(path=str(path), digest=hashlib.sha256(path.read_bytes()).hexdigest()[:32]))
    asked = ("Is there evidence of a pneumothorax?", "Which organ is shown in this picture, and in what plane was it taken?")
    return [
        Generate(prompt=asked[number % len(asked)], images=(images[number // QUESTIONS],), max_new_tokens=new_tokens)
        for number in range(count)
    ]


def _best(run: Callable[[], Any], times: int) -> tuple[float, Any]:
    """Return the shortest of several wall times, in seconds, and the result."""
    best, made = float("inf"), None
    for _ in range(times):
        start = time.perf_counter()
        made = run()
        best = min(best, time.perf_counter() - start)
    return best, made


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main() -> None:
    """Print every figure."""
    for figure in figures():
        mark = "ok  " if figure.ok else "MISS"
        sys.stdout.write(f"{mark} {figure.name}: {figure.value:,.3g} {figure.unit} (bar {figure.bar:g}; {figure.against})\n")


if __name__ == "__main__":
    main()
