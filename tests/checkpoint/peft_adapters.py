"""Real adapters, made and merged by PEFT, and adapters made by hand."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from tests.checkpoint.safetensors_files import write


def trained(
    folder: Path, base: Path, *, dtype: torch.dtype = torch.float32, seed: int = 0, **settings
) -> Path:
    """Writes an adapter for the model in ``base`` in which everything trainable has moved."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        adapted = get_peft_model(model, LoraConfig(**settings))
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.data += 0.1 * torch.randn_like(parameter)
        adapted.to(dtype).save_pretrained(folder)
    return folder


def merged_by_peft(folder: Path, base: Path, adapter: Path) -> Path:
    """Writes what PEFT's ``merge_and_unload`` makes of a model in float32."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        PeftModel.from_pretrained(model, adapter).merge_and_unload().save_pretrained(folder)
    return folder


def hand_made(
    folder: Path, arrays: Mapping[str, np.ndarray], *, kind: str = "LORA", **settings
) -> Path:
    """Writes an adapter with given tensors, whose names lack PEFT's prefix, and settings."""
    folder.mkdir(parents=True)
    config = {"peft_type": kind, "r": 2, "lora_alpha": 4, **settings}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    prefixed = {f"base_model.model.{name}": array for name, array in arrays.items()}
    write(folder / "adapter_model.safetensors", prefixed)
    return folder


def factors(module: str, rows: int, columns: int, rank: int = 2, seed: int = 0) -> dict:
    """The two factors of a linear layer ``(rows, columns)``."""
    random = np.random.default_rng(seed)
    return {
        f"{module}.lora_A.weight": random.standard_normal((rank, columns), np.float32),
        f"{module}.lora_B.weight": random.standard_normal((rows, rank), np.float32),
    }
