"""The protocols that medbench brings: their cards."""

from __future__ import annotations

from medbench.cards import ProtocolCard

PROBE_NEEDS = ("sklearn",)
PROBE_INSTALL = "pip install 'medbench[probe]'"

CARDS = (
    ProtocolCard(
        name="matching",
        load="medbench.builtin.protocols.matching:Matching",
        title="which caption of a batch belongs to which image, by their vectors, in both directions",
        asks="embed",
        gives="ranking",
        alone=("image", "text"),
        source="the proxy task of CLIP: Radford et al., ICML 2021, arXiv 2103.00020",
    ),
    ProtocolCard(
        name="probe",
        load="medbench.builtin.protocols.probe:Probe",
        title="a small head fitted on the vectors of some train images: learning curves over shots",
        asks="embed",
        gives="probabilities",
        splits=("train", "test"),
        alone=("image",),
        over=("seed",),
        needs=PROBE_NEEDS,
        install=PROBE_INSTALL,
    ),
    ProtocolCard(
        name="retrieval",
        load="medbench.builtin.protocols.retrieval:Retrieval",
        title="the caption of an image among all of the split, and the image of a caption, by their vectors",
        asks="embed",
        gives="ranking",
        alone=("image", "text"),
    ),
    ProtocolCard(
        name="zero-shot",
        load="medbench.builtin.protocols.zero_shot:ZeroShot",
        title="classification by the prompts whose vectors are nearest to the image's: single prompts and ensembles",
        asks="embed",
        gives="probabilities",
        alone=("image", "text"),
        source="Radford et al., ICML 2021, arXiv 2103.00020; findings: Boecking et al., ECCV 2022, arXiv 2204.09817",
    ),
    ProtocolCard(
        name="multilabel",
        load="medbench.builtin.protocols.multilabel:Multilabel",
        title="classification: the images of a sample in, a probability for each label out",
        asks="classify",
        gives="probabilities",
    ),
    ProtocolCard(
        name="text-to-image",
        load="medbench.builtin.protocols.text_to_image:TextToImage",
        title="image synthesis: a prompt in, a picture out",
        asks="synthesize",
        gives="picture",
    ),
    ProtocolCard(
        name="vqa",
        load="medbench.builtin.protocols.vqa:Vqa",
        title="visual question answering: one question about one image, answered in words",
        asks="generate",
        gives="text",
    ),
    ProtocolCard(
        name="report",
        load="medbench.builtin.protocols.report:Report",
        title="report generation: the images of a study in, its report out",
        asks="generate",
        gives="text",
    ),
)
