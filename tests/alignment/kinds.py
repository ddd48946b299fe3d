"""Tiny models of every family whose symmetries are declared."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from evomerge.zoo.random_models import FAMILIES, Options, random_model
from tests.stacks.families import made

# By the name of the family.
DECLARED = {
    "Llama": "llama",
    "Mistral": "mistral",
    "Qwen2": "qwen2",
    "Qwen3": "qwen3",
    "Gemma": "gemma",
    "Gemma 2": "gemma2",
    "Gemma 3": "gemma3",
    "OLMo 2": "olmo2",
    "Phi-1/2": "phi",
    "Phi-3": "phi3",
    "GPT-NeoX": "gpt_neox",
    "GPT-2": "gpt2",
}
SWITCHED = ("olmo3", "gpt_neox_sequential", "llama_biases", "olmo2_biases")
KINDS = (*DECLARED.values(), *SWITCHED)


def model_folder(folder: Path, kind: str, **options: object) -> Path:
    """Writes a model of two layers, or of four where it is made by its config."""
    if kind in FAMILIES:
        return random_model(folder, kind, options=Options(**options))
    switches = {"qk_layernorm": False} if kind == "phi" else {"eos_token_id": None}
    return made(folder, kind, **switches)


def in_memory(folder: Path, dtype: torch.dtype = torch.float64) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
