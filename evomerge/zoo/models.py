"""The architecture of the family, and its model folders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from warnings import catch_warnings, simplefilter

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel
from transformers import PreTrainedTokenizerFast as Tokenizer

from evomerge.evaluators.loading import quiet

LAYERS, HIDDEN, HEADS, INNER = 4, 96, 4, 256

# Of tokens. What is trained on is no longer.
POSITIONS = 128

# Three times what large models start from: at this width they learn to copy 100 steps earlier.
SPREAD = 0.06


def new_model(tokenizer: Tokenizer, layers: int = LAYERS) -> PreTrainedModel:
    """A Llama with random weights, 0.47 M of them with 4 layers, drawn from torch's generator."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_hidden_layers=layers,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=POSITIONS,
        initializer_range=SPREAD,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return LlamaForCausalLM(config).float()


def load(folder: Path) -> PreTrainedModel:
    """The model of a folder in float32, on the CPU."""
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)


def save(model: PreTrainedModel, tokenizer: Tokenizer, folder: Path) -> None:
    """Writes both to ``folder``."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@contextmanager
def without_remarks() -> Iterator[None]:
    """Keeps transformers from drawing bars of its own, and from what peft does to be told to us."""
    with quiet(), catch_warnings():
        simplefilter("ignore", FutureWarning)  # peft calls transformers by an old name
        yield
