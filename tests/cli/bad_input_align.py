"""Everything that ``evomerge align`` refuses: what stands there, which words are typed.

The title of each is its row in docs/errors.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from evomerge.zoo.small_tokenizers import word_tokenizer
from tests.cli.bad_input import UP, broken, change_config, change_tensors, other
from tests.stacks.families import made

# Prepares the current folder, and gives what is typed.
Prepare = Callable[[], list[str]]

BAD_ALIGNMENTS: dict[str, Prepare] = {}

ALIGN = ["align", "code", "aligned", "--to"]
SHOWN = [*ALIGN, "base", "--method", "activation_matching"]
GATE = UP.replace("up_proj", "gate_proj")


def text() -> str:
    """A file of thirty words."""
    Path("words.txt").write_text("the cat sat " * 10, "utf-8")
    return "words.txt"


ROTATED = ["--method", "procrustes"]
NORM = "model.layers.1.input_layernorm.weight"


def case(title: str) -> Callable[[Prepare], Prepare]:
    def enter(prepare: Prepare) -> Prepare:
        BAD_ALIGNMENTS[title] = prepare
        return prepare

    return enter


@case("an anchor of another family")
def _() -> list[str]:
    return [*ALIGN, other("gpt2", "gpt2")]


@case("an anchor of another width")
def _() -> list[str]:
    return [*ALIGN, other("wide", hidden=32)]


@case("an anchor of another depth")
def _() -> list[str]:
    return [*ALIGN, other("deep", layers=3)]


@case("an anchor with other groups of heads")
def _() -> list[str]:
    models = [str(made(Path(f"kv_{n}"), "llama", num_key_value_heads=n)) for n in (2, 4)]
    return ["align", models[0], "aligned", "--to", models[1]]


@case("an anchor with another vocabulary")
def _() -> list[str]:
    return [*ALIGN, other("words", tokenizer=None, vocabulary=9)]


@case("a mixture of experts, to be aligned")
def _() -> list[str]:
    return ["align", other("experts", "mixtral"), "aligned", "--to", "experts"]


@case("a family whose symmetries are not declared")
def _() -> list[str]:
    return ["align", str(made(Path("bloom"), "bloom")), "aligned", "--to", "bloom"]


@case("a tensor whose symmetries are not declared")
def _() -> list[str]:
    folder = str(made(Path("phi"), "phi", qk_layernorm=True))
    return ["align", folder, "aligned", "--to", folder]


@case("a quantised model, to be aligned")
def _() -> list[str]:
    change_config(broken(), quantization_config={"quant_method": "gptq"})
    return ["align", "broken", "aligned", "--to", "base"]


@case("NaN in an anchor")
def _() -> list[str]:
    change_tensors(broken(), lambda tensors: tensors[UP].__setitem__((0, 0), np.nan))
    return [*ALIGN, "broken"]


@case("a rotation of a model with a tied head")
def _() -> list[str]:
    return ["align", other("tied", tied=True), "aligned", "--to", "base", *ROTATED]


@case("a rotation where norms subtract a mean")
def _() -> list[str]:
    return ["align", other("gpt2", "gpt2"), "aligned", "--to", "gpt2", *ROTATED]


@case("a rotation where norms stand behind what is written")
def _() -> list[str]:
    return ["align", other("gemma", "gemma2"), "aligned", "--to", "gemma", *ROTATED]


@case("a rotation to an anchor that has a gain of 0")
def _() -> list[str]:
    change_tensors(broken(), lambda tensors: tensors[NORM].__setitem__(3, 0))
    return [*ALIGN, "broken", *ROTATED]


@case("a rotation of other groups than the residual stream")
def _() -> list[str]:
    return [*ALIGN, "maths", *ROTATED, "--groups", "neurons"]


def _of(name: str, kind: str = "llama", **config: object) -> str:
    return str(made(Path(name), kind, **config))


@case("an anchor with more neurons")
def _() -> list[str]:
    return [
        "align",
        _of("few", intermediate_size=48),
        "aligned",
        "--to",
        _of("more", intermediate_size=64),
    ]


@case("an anchor with fewer neurons")
def _() -> list[str]:
    models = [_of("more", intermediate_size=64), _of("few", intermediate_size=48)]
    return ["align", models[0], "aligned", "--to", models[1], "--method", "optimal_transport"]


@case("an anchor with a wider stream than such models can have")
def _() -> list[str]:
    models = [_of("narrow", "qwen3", head_dim=8), _of("wide", "qwen3", hidden_size=48, head_dim=8)]
    return ["align", models[0], "aligned", "--to", models[1], "--method", "optimal_transport"]


@case("an unknown aligner")
def _() -> list[str]:
    return [*ALIGN, "base", "--method", "weigth_matching"]


@case("an unknown group")
def _() -> list[str]:
    return [*ALIGN, "base", "--groups", "residual,neuron"]


@case("an aligned model in the anchor's place")
def _() -> list[str]:
    return ["align", "code", str(broken()), "--to", "broken", "--force"]


@case("an alignment to nothing")
def _() -> list[str]:
    return ["align", "code", "aligned"]


@case("an alignment to a model and to each other")
def _() -> list[str]:
    return [*ALIGN, "base", "--together"]


@case("several models to one")
def _() -> list[str]:
    return ["align", "code", "maths", "aligned", "--to", "base"]


@case("one model to itself alone")
def _() -> list[str]:
    return ["align", "code", "aligned", "--together"]


@case("several models to each other by another aligner")
def _() -> list[str]:
    return ["align", "code", "maths", "out", "--together", "--method", "activation_matching"]


@case("two models of one name, to each other")
def _() -> list[str]:
    return ["align", "code", str(other("elsewhere/code")), "out", "--together"]


@case("a model brought to others in its own place")
def _() -> list[str]:
    return ["align", broken().name, "code", ".", "--together", "--force"]


@case("an option of an aligner without a value")
def _() -> list[str]:
    return [*SHOWN, "--set", "tokens"]


@case("an option that an aligner does not have")
def _() -> list[str]:
    return [*SHOWN, "--set", "statistics=raw"]


@case("a text for an aligner that reads none")
def _() -> list[str]:
    return [*ALIGN, "base", "--data", text()]


@case("an unknown statistic")
def _() -> list[str]:
    return [*SHOWN, "--set", "statistic=corelation"]


@case("a probe that is not there")
def _() -> list[str]:
    return [*SHOWN, "--data", "probe.txt"]


@case("a probe that is too short")
def _() -> list[str]:
    return [*SHOWN, "--data", text()]


@case("fewer tokens than the stream has units")
def _() -> list[str]:
    return [*SHOWN, "--data", text(), "--set", "tokens=15"]


@case("a probe that two tokenizers cut differently")
def _() -> list[str]:
    other("strange", tokenizer=word_tokenizer(("sat", "cat", "the")))
    shown = ["--method", "activation_matching", "--data", text(), "--set", "tokens=24"]
    return [*ALIGN, "strange", *shown]


@case("activations that are not finite")
def _() -> list[str]:
    change_tensors(broken(), lambda tensors: [tensors[n].fill(1e30) for n in (UP, GATE)])
    shown = ["--method", "activation_matching", "--data", text(), "--set", "tokens=24"]
    return ["align", "broken", "aligned", "--to", "base", *shown]
