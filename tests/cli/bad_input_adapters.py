"""Every way in which adapters cannot be merged, or made: titles are rows of docs/errors.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from evomerge.zoo.random_models import Options, random_model
from tests.checkpoint.peft_adapters import factors, hand_made
from tests.cli.bad_input import other

# Prepares the current folder, and gives what is typed.
Prepare = Callable[[], list[str]]

BAD_ADAPTERS: dict[str, Prepare] = {}

EMBEDDING = "model.embed_tokens"
Q, K = (f"model.layers.0.self_attn.{part}_proj" for part in "qk")


def case(title: str) -> Callable[[Prepare], Prepare]:
    def enter(prepare: Prepare) -> Prepare:
        BAD_ADAPTERS[title] = prepare
        return prepare

    return enter


def lora(name: str, module: str = Q, *, seed: int = 0, **settings: object) -> Path:
    """An adapter of one module of the base, 16 wide."""
    rows = 16 if module == Q else 8
    return hand_made(Path(name), factors(module, rows, 16, seed=seed), **settings)


def asked(more: str = "", method: str = "frechet") -> list[str]:
    """A recipe of the adapters ``first`` and ``second``."""
    Path("recipe.yaml").write_text(
        f"merge_method: {method}\nbase_model: base\n"
        f"adapters:\n  - adapter: first\n  - adapter: second\n{more}"
    )
    return ["merge", "recipe.yaml", "merged"]


def pair() -> None:
    lora("first")
    lora("second", seed=1)


@case("an unknown method on adapters")
def _() -> list[str]:
    pair()
    return asked(method="frechett")


@case("an unknown parameter of adapters")
def _() -> list[str]:
    pair()
    return asked("parameters: {manifolt: chordal}\n")


@case("a manifold that there is not")
def _() -> list[str]:
    pair()
    return asked("parameters: {manifold: flat}\n")


@case("a parameter of all adapters, given to one")
def _() -> list[str]:
    pair()
    words = asked()
    text = Path("recipe.yaml").read_text()
    Path("recipe.yaml").write_text(text.replace("second", "second\n    parameters: {scale: 2}"))
    return words


@case("an adapter behind a model, in a list of adapters")
def _() -> list[str]:
    pair()
    words = asked()
    text = Path("recipe.yaml").read_text()
    Path("recipe.yaml").write_text(text.replace("adapter: first", "adapter: base+first"))
    return words


@case("adapters where models are looked at")
def _() -> list[str]:
    pair()
    asked()
    return ["inspect", "recipe.yaml", "--layers"]


@case("adapters on different bases")
def _() -> list[str]:
    lora("first", base_model_name_or_path="models/base")
    lora("second", base_model_name_or_path="someone/other")
    return asked()


@case("an adapter that does not fit the base")
def _() -> list[str]:
    lora("first")
    hand_made(Path("second"), factors(Q, 32, 16))
    return asked()


@case("a corrupt adapter config")
def _() -> list[str]:
    pair()
    Path("second/adapter_config.json").write_text('{"peft_type": "LORA",\n}')
    return asked()


@case("an adapter of rank 0")
def _() -> list[str]:
    lora("first")
    lora("second", r=0)
    return asked()


@case("an adapter of another type, to be merged")
def _() -> list[str]:
    lora("first")
    lora("second", kind="IA3")
    return asked()


@case("an adapter of bare parameters, to be merged")
def _() -> list[str]:
    lora("first")
    lora("second", target_parameters=["mlp.experts.gate_up_proj"])
    return asked()


@case("an adapter that adds tokens")
def _() -> list[str]:
    lora("first")
    more = {"model.embed_tokens.weight": np.ones((9, 16), np.float32)}
    hand_made(Path("second"), factors(Q, 16, 16) | more, modules_to_save=["embed_tokens"])
    return asked()


@case("an adapter with trained tokens")
def _() -> list[str]:
    lora("first")
    delta = {f"{EMBEDDING}.token_adapter.trainable_tokens_delta": np.ones((1, 16), np.float32)}
    hand_made(Path("second"), factors(Q, 16, 16) | delta, trainable_token_indices=[1])
    return asked()


@case("an embedding of its own below its factors")
def _() -> list[str]:
    lora("first")
    arrays = {
        f"{EMBEDDING}.lora_embedding_A": np.ones((2, 7), np.float32),
        f"{EMBEDDING}.lora_embedding_B": np.ones((16, 2), np.float32),
        f"{EMBEDDING}.base_layer.weight": np.ones((7, 16), np.float32),
    }
    hand_made(Path("second"), factors(Q, 16, 16) | arrays)
    return asked()


@case("a module trained as a whole and by factors")
def _() -> list[str]:
    lora("first")
    whole = {f"{Q}.weight": np.ones((16, 16), np.float32)}
    hand_made(Path("second"), factors(K, 8, 16) | whole, modules_to_save=["q_proj"])
    return asked()


@case("a head of its own and one that follows the embedding")
def _() -> list[str]:
    random_model(Path("tied"), options=Options(layers=1, hidden=16, vocabulary=7, tied=True))
    whole = {"lm_head.weight": np.ones((7, 16), np.float32)}
    hand_made(Path("first"), factors(Q, 16, 16) | whole, modules_to_save=["lm_head"])
    both = {f"{EMBEDDING}.weight": np.zeros((7, 16), np.float32)}
    both["lm_head.weight"] = both[f"{EMBEDDING}.weight"]
    hand_made(Path("second"), factors(Q, 16, 16) | both, modules_to_save=["embed_tokens"])
    words = asked()
    text = Path("recipe.yaml").read_text()
    Path("recipe.yaml").write_text(text.replace("base_model: base", "base_model: tied"))
    return words


@case("adapters without factors")
def _() -> list[str]:
    whole = {"lm_head.weight": np.ones((7, 16), np.float32)}
    for name in ("first", "second"):
        hand_made(Path(name), whole, modules_to_save=["lm_head"])
    return asked()


def decomposed(name: str, length: float) -> None:
    lengths = {f"{Q}.lora_magnitude_vector": np.full(16, length, np.float32)}
    hand_made(Path(name), factors(Q, 16, 16) | lengths, use_dora=True)


@case("an adapter with lengths below 0")
def _() -> list[str]:
    lora("first")
    decomposed("second", -1)
    return asked()


@case("lengths that fall below 0")
def _() -> list[str]:
    for name in ("first", "second"):
        decomposed(name, 0)
    return asked("parameters: {scale: 1.5}\n")


@case("adapters without a matrix in common")
def _() -> list[str]:
    lora("first")
    lora("second", K)
    return asked()


@case("a rank of 0")
def _() -> list[str]:
    pair()
    return asked("parameters: {rank: 0}\n")


@case("a rank larger than the matrix")
def _() -> list[str]:
    pair()
    return asked("parameters: {rank: 17}\n")


@case("weights of adapters that sum to zero")
def _() -> list[str]:
    pair()
    return asked("parameters: {weight: 0}\n")


@case("adapters that have nothing in common")
def _() -> list[str]:
    arrays = factors(Q, 16, 16)
    for name, part in (("first", slice(0, 8)), ("second", slice(8, 16))):
        kept = {key: np.zeros_like(array) for key, array in arrays.items()}
        kept[f"{Q}.lora_A.weight"][:, part] = arrays[f"{Q}.lora_A.weight"][:, part]
        kept[f"{Q}.lora_B.weight"][part] = arrays[f"{Q}.lora_B.weight"][part]
        hand_made(Path(name), kept)
    return asked()


@case("an adapter with NaN")
def _() -> list[str]:
    lora("first")
    arrays = factors(Q, 16, 16)
    arrays[f"{Q}.lora_B.weight"][3, 1] = np.nan
    hand_made(Path("second"), arrays)
    return asked()


@case("an output that is one of the adapters")
def _() -> list[str]:
    pair()
    return [*asked()[:2], "first", "--force"]


@case("an extraction of no rank")
def _() -> list[str]:
    return ["extract-lora", "maths", "--base", "base", "--rank", "0", "lora"]


@case("an extraction of more rank than a matrix has")
def _() -> list[str]:
    return ["extract-lora", "maths", "--base", "base", "--rank", "99", "lora"]


@case("an extraction from a model that was made from another")
def _() -> list[str]:
    other("wide", hidden=32)
    return ["extract-lora", "wide", "--base", "base", "lora"]


@case("an extraction from a model with an adapter")
def _() -> list[str]:
    pair()
    return ["extract-lora", "base+first", "--base", "base", "lora"]
