"""The models on a tiny MiniGPT-v2: equal at every batch size, every way of giving the weights, every refusal."""

from __future__ import annotations

import shutil
from functools import partial

import msgspec
import numpy as np
import pytest
import torch
from medbench_pefomed import base
from medbench_pefomed.eva import convert_eva
from medbench_pefomed.model import MiniGptV2, Pefomed
from medbench_pefomed.network import PLACE
from medbench_pefomed.presets import build_base, build_tuned, random_tuned
from medbench_torch.adapters import read_adapter
from medbench_torch.testing import asked, check_batch_equals_single, check_facts_complete
from medbench_torch.tiny.causal import build_llama
from medbench_torch.weights import WeightsError
from PIL import Image as Pil

import medbench_pefomed
from medbench.builtin.executors.asking import Conversation
from medbench.check import misfit
from medbench.errors import MedbenchError, UsageError
from medbench.types import Failed, Generate, Text





@pytest.fixture(scope="module")
def model(tiny):
    return Pefomed(weights=str(tiny), device="cpu")
