"""Every way in which adapters cannot be merged, or made: titles are rows of docs/errors.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.checkpoint.peft_adapters import factors, hand_made
from tests.cli.bad_input import other

# Prepares the current folder, and gives what is typed.
Prepare = Callable[[], list[str]]

BAD_ADAPTERS: dict[str, Prepare] = {}

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


@case("adapters among several recipes")
def _() -> list[str]:
    pair()
    words = asked()
    text = Path("recipe.yaml").read_text()
    Path("recipe.yaml").write_text(f"name: one\n{text}---\nmerge_method: linear\n")
    return words


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


@case("an adapter with more than low-rank updates")
def _() -> list[str]:
    lora("first")
    arrays = factors(Q, 16, 16) | {f"{Q}.lora_magnitude_vector": np.ones(16, np.float32)}
    hand_made(Path("second"), arrays, use_dora=True)
    return asked()


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
