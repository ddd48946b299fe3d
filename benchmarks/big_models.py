"""Random-weight models of about half a billion parameters: a base, and what was tuned from it.

The shapes are those of Qwen2.5-0.5B: 24 layers of width 896, a vocabulary of 151,936, tied.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator, Tensor

WIDTH, INNER, VOCABULARY, KEYS = 896, 4864, 151936, 128
SPREAD, CHANGE = 0.02, 0.002


def find_family(folder: Path, *, layers: int = 24, experts: int = 3, seed: int = 0) -> list[Path]:
    """The folders of a base and its experts, in bfloat16; made once, then found again.

    They are made in a process of their own: what a benchmark starts would otherwise count the
    memory of the process that made them.
    """
    paths = [folder / name for name in _names(experts)]
    if not all((path / "model.safetensors").exists() for path in paths):
        numbers = map(str, (layers, experts, seed))
        subprocess.run([sys.executable, __file__, str(folder), *numbers], check=True)
    return paths


def make_family(folder: Path, layers: int, experts: int, seed: int) -> None:
    """Writes the base and its experts."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(seed)
    base = {
        name: torch.randn(shape, generator=generator).mul_(SPREAD).bfloat16()
        for name, shape in _shapes(layers)
    }
    for name in _names(experts):
        path = folder / name
        path.mkdir(parents=True, exist_ok=True)
        tensors = base if name == "base" else {n: _tuned(t, generator) for n, t in base.items()}
        (path / "config.json").write_text(json.dumps(_config(layers), indent=2))
        save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})


def _names(experts: int) -> list[str]:
    return ["base", *(f"expert{number}" for number in range(1, experts + 1))]


def _tuned(tensor: Tensor, generator: Generator) -> Tensor:
    import torch

    change = torch.randn(tensor.shape, generator=generator).mul_(CHANGE)
    return change.add_(tensor.float()).bfloat16()


def _shapes(layers: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "model.embed_tokens.weight", (VOCABULARY, WIDTH)
    for layer in range(layers):
        root = f"model.layers.{layer}"
        for name, rows in (("q", WIDTH), ("k", KEYS), ("v", KEYS)):
            yield f"{root}.self_attn.{name}_proj.weight", (rows, WIDTH)
            yield f"{root}.self_attn.{name}_proj.bias", (rows,)
        yield f"{root}.self_attn.o_proj.weight", (WIDTH, WIDTH)
        yield f"{root}.mlp.gate_proj.weight", (INNER, WIDTH)
        yield f"{root}.mlp.up_proj.weight", (INNER, WIDTH)
        yield f"{root}.mlp.down_proj.weight", (WIDTH, INNER)
        yield f"{root}.input_layernorm.weight", (WIDTH,)
        yield f"{root}.post_attention_layernorm.weight", (WIDTH,)
    yield "model.norm.weight", (WIDTH,)


def _config(layers: int) -> dict[str, object]:
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": layers,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "vocab_size": VOCABULARY,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
    }


if __name__ == "__main__":
    make_family(Path(sys.argv[1]), *map(int, sys.argv[2:]))
