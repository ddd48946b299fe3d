"""Random-weight models of many families, written in milliseconds: what tests merge.

    base = random_model(folder / "base", "qwen2", options=Options(tied=True, dtype="bfloat16"))
    words = fine_tuned(folder / "words", base, seed=1)

Real ``transformers`` models saved by ``transformers``: files and names are those of real ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from types import MappingProxyType

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers import PreTrainedTokenizerFast as Tokenizer

from evomerge.errors import EvomergeError, unknown
from evomerge.families import BUFFERS

# Eight numbers a head, as few as rotary embeddings of a partial dimension work with.
HEAD = 8

POSITIONS = 64

# Ten times what checkpoints start from: in so small a model, logits that tell merges apart.
SPREAD = 0.1

# A family's config class, and what it needs besides the sizes.
FAMILIES: Mapping[str, tuple[str, Mapping[str, object]]] = MappingProxyType(
    {
        "llama": ("LlamaConfig", {}),
        "mistral": ("MistralConfig", {}),
        "qwen2": ("Qwen2Config", {}),
        "qwen3": ("Qwen3Config", {}),
        "gemma2": ("Gemma2Config", {"sliding_window": 16}),
        "gemma3": ("Gemma3TextConfig", {"sliding_window": 16}),
        "olmo2": ("Olmo2Config", {}),
        "gpt2": ("GPT2Config", {}),
        "gpt_neox": ("GPTNeoXConfig", {}),
        "phi3": ("Phi3Config", {"original_max_position_embeddings": POSITIONS}),
        "mixtral": ("MixtralConfig", {"num_local_experts": 4, "num_experts_per_tok": 2}),
        "qwen3_moe": (
            "Qwen3MoeConfig",
            {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
        ),
    }
)


@dataclass(frozen=True)
class Options:
    """What a random model is like.

    Attributes:
        layers: their number, at least 1.
        hidden: width of the residual stream, a multiple of 16.
        vocabulary: rows of the embedding; by default as many as the tokenizer has tokens, or 64.
        tied: whether the head is the embedding, and absent from the file.
        dtype: ``float32``, ``bfloat16`` or ``float16``. One seed gives the same weights, rounded.
        shard_bytes: largest shard; one file if None.
        tokenizer: written beside the weights if given.
        original: the names and buffers of the first published checkpoints: GPT-2 without
            ``transformer.`` and with its causal masks, GPT-NeoX with its masks and frequencies.
            For one file, not for shards.
    """

    layers: int = 2
    hidden: int = 32
    vocabulary: int | None = None
    tied: bool = False
    dtype: str = "float32"
    shard_bytes: int | None = None
    tokenizer: Tokenizer | None = None
    original: bool = False

    @property
    def rows(self) -> int:
        """Rows of the embedding."""
        if self.vocabulary is not None:
            return self.vocabulary
        return 64 if self.tokenizer is None else len(self.tokenizer)


def random_model(
    folder: Path, family: str = "llama", *, seed: int = 0, options: Options | None = None
) -> Path:
    """Writes a model with weights drawn from ``seed`` and returns its folder.

    Raises:
        EvomergeError: the family is not one of `FAMILIES`.
    """
    options = options or Options()
    model = _weights(_config(family, options), seed).to(getattr(torch, options.dtype))
    shard_bytes = options.shard_bytes or 2**40
    model.save_pretrained(folder, max_shard_size=shard_bytes)
    if options.tokenizer is not None:
        options.tokenizer.save_pretrained(folder)
    if options.original:
        _as_first_published(folder / "model.safetensors")
    return folder


def random_siblings(
    folder: Path, family: str = "llama", count: int = 2, *, options: Options | None = None
) -> tuple[Path, tuple[Path, ...]]:
    """Writes ``base`` and, fine-tuned from it, ``expert_1`` to ``expert_<count>``."""
    base = random_model(folder / "base", family, options=options)
    numbers = range(1, count + 1)
    return base, tuple(fine_tuned(folder / f"expert_{n}", base, seed=n) for n in numbers)


def fine_tuned(
    folder: Path, base: Path, *, seed: int = 1, noise: float = 0.02, moved: float = 0.7
) -> Path:
    """Writes a copy of the model in ``base`` whose weights have moved, and returns its folder.

    Args:
        folder: where to write.
        base: a model folder of any kind, sharded or not.
        seed: of the noise; not that of a sibling.
        noise: standard deviation of what is added.
        moved: share of the elements that move, in [0, 1]; the others equal the base's bit for
            bit, as many do in real fine-tuned models of 16 bits.
    """
    copytree(base, folder)
    generator = torch.Generator().manual_seed(seed)
    for shard in sorted(folder.glob("*.safetensors")):
        tensors = load_file(shard)
        for name in sorted(tensors):
            if name.endswith(BUFFERS):  # which fine-tuning leaves alone
                continue
            tensors[name] = _moved(tensors[name], generator, noise, moved)
        save_file(tensors, shard, {"format": "pt"})
    return folder


def _config(family: str, options: Options) -> PreTrainedConfig:
    """The family's config with our sizes: those of them that it has."""
    if family not in FAMILIES:
        raise EvomergeError(f"random_model: {unknown('family', family, FAMILIES)}")
    name, extra = FAMILIES[family]
    kind = getattr(transformers, name)
    heads = options.hidden // HEAD
    sizes: dict[str, object] = {
        "vocab_size": options.rows,
        "hidden_size": options.hidden,
        "intermediate_size": options.hidden * 3 // 2,
        "n_inner": options.hidden * 3 // 2,
        "num_hidden_layers": options.layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads // 2,
        "head_dim": HEAD,
        "max_position_embeddings": POSITIONS,
        "initializer_range": SPREAD,
        "tie_word_embeddings": options.tied,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    if family.startswith("gemma"):
        kinds = ("sliding_attention", "full_attention")
        sizes["layer_types"] = [kinds[layer % 2] for layer in range(options.layers)]
    default = kind()
    known = {key: value for key, value in sizes.items() if hasattr(default, key)}
    config: PreTrainedConfig = kind(**known, **extra)
    return config


def _weights(config: PreTrainedConfig, seed: int) -> PreTrainedModel:
    """The model, with gains and biases drawn too: at their start values all would be equal."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(SPREAD * torch.randn_like(parameter))
    return model


def _moved(
    tensor: torch.Tensor, generator: torch.Generator, noise: float, moved: float
) -> torch.Tensor:
    steps = noise * torch.randn(tensor.shape, generator=generator)
    steps *= torch.rand(tensor.shape, generator=generator) < moved
    return (tensor.float() + steps).to(tensor.dtype)


def _as_first_published(file: Path) -> None:
    """Rewrites one file with the names and buffers of 2019 (GPT-2) or 2022 (GPT-NeoX)."""
    mask = torch.ones(1, 1, POSITIONS, POSITIONS, dtype=torch.bool).tril()
    frequencies = 1e4 ** -torch.linspace(0, 1, HEAD // 2 + 1)[:-1]
    tensors = load_file(file)
    for name in list(tensors):
        tensor = tensors.pop(name)
        tensors[name.removeprefix("transformer.")] = tensor
        attention = name.removeprefix("transformer.").rpartition("attn.c_attn.weight")[0]
        if attention:
            tensors[f"{attention}attn.bias"] = mask.to(tensor.dtype)
        attention = name.rpartition("dense.weight")[0]
        if attention:
            tensors[f"{attention}bias"] = mask.clone()
            tensors[f"{attention}masked_bias"] = torch.tensor(-1e4, dtype=tensor.dtype)
            tensors[f"{attention}rotary_emb.inv_freq"] = frequencies.to(tensor.dtype, copy=True)
    save_file(tensors, file, {"format": "pt"})
