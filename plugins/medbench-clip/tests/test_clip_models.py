from __future__ import annotations

import json
import shutil
import subprocess
import sys

import medbench_clip
import msgspec
import numpy as np
import pytest
from medbench_clip import medbench_cards
from medbench_clip.hf_clip import HfClip
from medbench_clip.hf_tiny import LENGTH, SIDE, TOWER, VISION, build_tiny
from medbench_clip.model import ClipRoco
from medbench_torch.loading import quiet
from medbench_torch.testing import check_batch_equals_single, check_facts_complete
from medbench_torch.tiny.tokenizers import Specials, byte_level
from transformers import AutoProcessor, CLIPImageProcessorPil, CLIPModel

from medbench import api
from medbench.cards import ReaderCard
from medbench.errors import MedbenchError, UsageError
from medbench.hookspecs import hookimpl
from medbench.images import decode
from medbench.registry import load, load_registry
from medbench.testing import check_model
from medbench.types import Embed, Failed, Image

CARDS = {card.name: card for card in medbench_cards()}
MODELS = [("clip-roco", "tiny"), ("hf-clip", "tiny"), ("hf-clip", "tiny-siglip")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return preset -> folder of a tiny model as transformers saves it."""
    home = tmp_path_factory.mktemp("weights")
    return {preset: build_tiny(home / preset, preset) for preset in ("tiny", "tiny-siglip")}


def vectors(model, requests):
    return [vector for _, vector in sorted(model.embed(requests), key=lambda pair: pair[0])]


@pytest.mark.parametrize(("name", "preset"), MODELS)
def test_every_model_keeps_what_its_card_promises(name, preset, mixed):
    outputs = check_model(CARDS[name], {"preset": preset, "batch_size": 3, "dtype": "float32", "device": "cpu"}, mixed)
    assert len({len(output.array()) for output in outputs}) == 1
    assert not np.isclose(np.linalg.norm(outputs[0].array()), 1.0), "vectors are raw"


@pytest.mark.parametrize(("name", "preset"), MODELS)
def test_facts_have_the_temperature_and_say_that_it_is_untrained(name, preset):
    model = {"clip-roco": ClipRoco, "hf-clip": HfClip}[name](preset=preset, device="cpu")
    facts = check_facts_complete(model, more=("logit_scale",))
    assert facts["untrained"] is True
    assert facts["logit_scale"] == pytest.approx(np.exp(4.7) if preset == "tiny-siglip" else 1 / 0.07, rel=1e-2)
    assert facts.get("logit_bias") == (pytest.approx(-12.9) if preset == "tiny-siglip" else None)


def test_vectors_are_those_of_transformers_own_processor(folders, pictures):
    model, processor = CLIPModel.from_pretrained(folders["tiny"]).eval(), AutoProcessor.from_pretrained(folders["tiny"], backend="pil")
    image, caption = pictures(3)
    inputs = processor(text=[caption, "a much longer caption than that"], images=[decode(image)], return_tensors="pt", padding=True)
    wanted = model(**inputs)
    ours = HfClip(weights=str(folders["tiny"]), device="cpu", dtype="float32")
    shown, said = vectors(ours, [Embed(images=(image,)), Embed(text=caption)])
    for found, theirs in ((shown, wanted.image_embeds[0]), (said, wanted.text_embeds[0])):
        unit = found.array() / np.linalg.norm(found.array())
        assert np.allclose(unit, theirs.detach().numpy(), atol=1e-5)
    logits = (shown.array() / np.linalg.norm(shown.array())) @ (said.array() / np.linalg.norm(said.array())) * ours.facts()["logit_scale"]
    assert logits == pytest.approx(wanted.logits_per_image[0, 0].item(), abs=1e-3)
    assert ours.facts()["untrained"] is False


def test_siglip_pads_texts_to_their_full_length(folders):
    from transformers import AutoTokenizer, SiglipModel

    model, tokenizer = SiglipModel.from_pretrained(folders["tiny-siglip"]).eval(), AutoTokenizer.from_pretrained(folders["tiny-siglip"])
    ids = tokenizer(["ct scan"], padding="max_length", max_length=64, return_tensors="pt")["input_ids"]
    assert ids.shape == (1, 64)
    wanted = model.get_text_features(input_ids=ids).pooler_output[0].detach().numpy()
    (made,) = vectors(HfClip(weights=str(folders["tiny-siglip"]), device="cpu", dtype="float32"), [Embed(text="ct scan")])
    assert np.allclose(made.array(), wanted, atol=1e-5)


def test_a_request_that_cannot_be_taken_fails_alone(pictures):
    image, _ = pictures(1)
    absent = Image(path="/nowhere.png", digest="0" * 32)
    asked = [Embed(images=(image, image)), Embed(), Embed(images=(image,), text="both"), Embed(images=(absent,)), Embed(images=(image,))]
    made = vectors(ClipRoco(preset="tiny"), asked)
    assert [isinstance(output, Failed) and output.kind for output in made] == ["input"] * 4 + [False]
    assert "2 images" in made[0].error


@pytest.mark.parametrize(
    ("make", "said", "hint"),
    [
        (lambda _: ClipRoco().facts(), "clip-roco has no published weights", "medbench fit clip-roco"),
        (lambda _: ClipRoco(preset="tiny", lr=1e-3).facts(), "lr: of medbench fit", "card.json"),
        (lambda _: ClipRoco(preset="small"), "preset=small: not known", "tiny"),
        (lambda _: HfClip(preset="small"), "preset=small: not known", "tiny-siglip"),
        (lambda _: HfClip().facts(), "no weights given", "hub id"),
        (lambda folders: ClipRoco(weights=str(folders["tiny"])).facts(), "a clip model, not clip-roco", "hf-clip"),
        (lambda folders: HfClip(weights=str(folders["tiny"]), aspect="stretch").facts(), "aspect=stretch", "pad, crop, squash"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(make, said, hint, folders):
    with pytest.raises(MedbenchError) as caught:
        make(folders)
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights in this folder"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "not a tokenizer"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no such file"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "clip-roco", "sizes": {"side": 100}}'), "side = 100"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "clip-roco", "sizes": {}}'), "another shape"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(change, said, examples, tmp_path_factory, tmp_path):
    fitted = tmp_path_factory.getbasetemp() / "whole"
    if not fitted.exists():
        ClipRoco(preset="tiny", steps=1, batch_size=8, device="cpu", workers=1).fit(examples[:8], [], fitted, 0, None)
    copy = shutil.copytree(fitted / "base", tmp_path / "copy")
    assert ClipRoco(weights=str(copy)).facts()["weights_digest"]
    change(copy)
    with pytest.raises(MedbenchError, match=said):
        ClipRoco(weights=str(copy)).facts()


def test_a_class_that_gives_no_two_vectors_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "blip"}))
    with pytest.raises(MedbenchError, match="a blip model"):
        HfClip(weights=str(tmp_path)).facts()


def test_planning_imports_no_torch():
    code = "import sys, medbench_clip.model, medbench_clip.hf_clip; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class InProcess:
    """The package's cards, for this process: a child for each run would cost the tests seconds."""

    @hookimpl
    def medbench_cards(self):
        return tuple(msgspec.structs.replace(card, isolated=False) for card in medbench_clip.CARDS)


def test_a_small_twin_is_learnt_from_and_matched_by_the_weights(tmp_path):
    registry = load_registry(InProcess())
    load(registry.get(ReaderCard, "roco"))().write_twin(tmp_path / "twin", 0, 12)
    data = str(tmp_path / "twin")
    how = {"model_options": {"preset": "tiny", "steps": 2}, "device": "cpu"}
    fitted = api.fit("clip-roco", "roco-matching", data=data, out=tmp_path / "out", registry=registry, **how)
    assert fitted.facts["n_examples"] > 36
    assert fitted.tasks["roco-matching"]["validation"] == "the validation split"
    given = {"data": data, "runs_dir": str(tmp_path / "runs"), "registry": registry}
    record = api.run("roco-matching", "clip-roco", model_options={"weights": str(tmp_path / "out")}, **given)
    assert (record.n_failed, record.model.untrained) == (0, False)
    retrieved = api.run("roco-retrieval", "clip-roco", model_options={"weights": str(tmp_path / "out")}, **given)
    assert retrieved.n_failed == 0
    untrained = api.run("roco-matching", "hf-clip", model_options={"preset": "tiny-siglip"}, **given)
    assert untrained.model.untrained


def test_an_unknown_option_is_a_problem_of_the_plan():
    with pytest.raises((MedbenchError, UsageError)):
        api.run("roco-matching", "clip-roco", data="twin", registry=load_registry(InProcess()), model_options={"heads": "8"})


ROBERTA = Specials(tokens=("<s>", "<pad>", "</s>", "<unk>"), pad="<pad>", eos="</s>", bos="<s>", unk="<unk>")
SQUARE = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}


@pytest.mark.parametrize(
    ("family", "text", "length"),
    [
        ("ChineseCLIP", {"pad_token_id": 1}, LENGTH),
        ("AltCLIP", {"pad_token_id": 1, "project_dim": 16}, LENGTH - 2),
        ("MetaClip2", {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}, LENGTH),
    ],
)
def test_relatives_of_clip_give_vectors_whatever_the_length_of_a_text(family, text, length, pictures, tmp_path):
    import transformers

    tokenizer = byte_level(ROBERTA)
    told = {**TOWER, **text, "vocab_size": len(tokenizer), "max_position_embeddings": LENGTH}
    config = getattr(transformers, f"{family}Config")(text_config=told, vision_config=VISION, projection_dim=16)
    with quiet():
        getattr(transformers, f"{family}Model")(config).save_pretrained(tmp_path)
    for part in (tokenizer, CLIPImageProcessorPil(**SQUARE)):
        part.save_pretrained(tmp_path)
    model = HfClip(weights=str(tmp_path), device="cpu")
    asked = [Embed(text="ct"), Embed(text="an x-ray of the chest " * 9), Embed(images=(pictures(0)[0],))]
    made = check_batch_equals_single(model, [*asked[:2], Embed(text="mri of the head")])
    assert {output.array().shape for output in [*made, *vectors(model, asked)]} == {(16,)}
    assert model.facts()["text_tokens"] == length, "RoBERTa counts its places from the pad token on"
