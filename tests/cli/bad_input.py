"""Every kind of bad input: what stands in the folder, and which words are typed there.

The title of each is its row in docs/errors.md, which has the message.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from evomerge.zoo.random_models import random_model
from evomerge.zoo.small_tokenizers import word_tokenizer
from tests.checkpoint.peft_adapters import factors, hand_made
from tests.cli.conftest import SMALL, WORDS
from tests.stacks.families import made

# Prepares the current folder, and gives what is typed.
Prepare = Callable[[], list[str]]

MERGE = ["merge", "recipe.yaml", "merged"]
WEIGHTS = "model.safetensors"
UP = "model.layers.1.mlp.up_proj.weight"

BAD_INPUT: dict[str, Prepare] = {}
# Those that are found without reading weights or looking at the output's place.
IN_THE_RECIPE: list[str] = []


def case(title: str, *, in_the_recipe: bool = True) -> Callable[[Prepare], Prepare]:
    def enter(prepare: Prepare) -> Prepare:
        BAD_INPUT[title] = prepare
        if in_the_recipe:
            IN_THE_RECIPE.append(title)
        return prepare

    return enter


def recipe(text: str) -> list[str]:
    Path("recipe.yaml").write_text(text)
    return MERGE


def linear(*models: str, more: str = "") -> list[str]:
    listed = "".join(f"  - {{model: {m}, parameters: {{weight: 1}}}}\n" for m in models)
    return recipe(f"merge_method: linear\nmodels:\n{listed}{more}")


def ties(maths: str = "weight: 1", more: str = "") -> list[str]:
    return recipe(
        "merge_method: ties\nbase_model: base\nmodels:\n"
        f"  - {{model: maths, parameters: {{{maths}}}}}\n"
        f"  - {{model: code, parameters: {{weight: 1}}}}\n{more}"
    )


def sliced(*sources: str, method: str = "passthrough", more: str = "") -> list[str]:
    listed = "".join(f"      - {{{source}}}\n" for source in sources)
    return recipe(f"merge_method: {method}\nslices:\n  - sources:\n{listed}{more}")


def stacked(*models: str) -> list[str]:
    """The first layer of each model."""
    listed = "".join(f"  - sources: [{{model: {m}, layer_range: [0, 1]}}]\n" for m in models)
    return recipe(f"merge_method: passthrough\nslices:\n{listed}")


def broken(source: str = "code") -> Path:
    """A copy of a model, to be damaged."""
    return Path(shutil.copytree(Path(source).resolve(), "broken"))


def change_config(folder: Path, **entries: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | entries))


def change_tensors(folder: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})


def other(folder: str, family: str = "llama", **options: object) -> str:
    random_model(Path(folder), family, options=replace(SMALL, **options))
    return folder


@case("a recipe that is not there")
def _() -> list[str]:
    return MERGE


@case("not YAML")
def _() -> list[str]:
    return recipe("merge_method: ties\nmodels: [base, maths\nbase_model: base\n")


@case("not a recipe")
def _() -> list[str]:
    return recipe("- base\n- maths\n")


@case("an unknown key")
def _() -> list[str]:
    return ties(more="base_modle: base\n")


@case("an unknown method")
def _() -> list[str]:
    return recipe("merge_method: tise\nmodels: [{model: maths}]\n")


@case("methods for some tensors only")
def _() -> list[str]:
    return recipe("merge_method: {filter: mlp, value: ties}\nmodels: [{model: maths}]\n")


@case("methods that want different models")
def _() -> list[str]:
    several = "[{filter: self_attn, value: slerp}, {value: linear}]"
    models = "".join(f"  - {{model: {each}}}\n" for each in ("base", "maths", "code"))
    return recipe(
        f"merge_method: {several}\nbase_model: base\nmodels:\n{models}parameters: {{weight: 1}}\n"
    )


@case("an unknown parameter")
def _() -> list[str]:
    return ties(maths="weight: 1, densty: 0.5")


@case("a value of the wrong type")
def _() -> list[str]:
    return ties(more="parameters: {density: [0.5, high]}\n")


@case("a word that is no option")
def _() -> list[str]:
    return ties(more="parameters: {trim: [tensor, globally]}\n")


@case("a parameter of all models, given to one")
def _() -> list[str]:
    return ties(maths="weight: 1, normalize: false", more="parameters: {normalize: true}\n")


@case("a missing weight")
def _() -> list[str]:
    return ties(maths="density: 0.5")


@case("a missing base model")
def _() -> list[str]:
    return recipe("merge_method: ties\nmodels: [{model: maths, parameters: {weight: 1}}]\n")


@case("the wrong number of models")
def _() -> list[str]:
    models = "[{model: maths}, {model: code}]\nparameters: {t: 0.5}"
    return recipe(f"merge_method: slerp\nbase_model: base\nmodels: {models}\n")


@case("the same model twice in one slice")
def _() -> list[str]:
    halves = ("model: base, layer_range: [0, 1]", "model: base, layer_range: [1, 2]")
    return sliced(*halves, method="linear", more="parameters: {weight: 1}\n")


@case("layers out of bounds")
def _() -> list[str]:
    return sliced("model: base, layer_range: [0, 4]")


@case("layers that do not match")
def _() -> list[str]:
    sources = ("model: base, layer_range: [0, 2]", "model: maths, layer_range: [0, 1]")
    return sliced(*sources, method="linear", more="parameters: {weight: 1}\n")


@case("weights that sum to zero")
def _() -> list[str]:
    models = "[{model: maths, parameters: {weight: 1}}, {model: code, parameters: {weight: -1}}]"
    return recipe(f"merge_method: linear\nmodels: {models}\n")


@case("an epsilon that does not fit")
def _() -> list[str]:
    models = "[{model: maths, parameters: {weight: 1, density: 0.2, epsilon: 0.3}}]"
    return recipe(f"merge_method: della\nbase_model: base\nmodels: {models}\n")


@case("an unknown dtype")
def _() -> list[str]:
    return ties(more="dtype: bfloat61\n")


@case("an unknown chat template")
def _() -> list[str]:
    return ties(more="chat_template: lama3\n")


@case("a folder that is not there")
def _() -> list[str]:
    return linear("maths", "./models/code")


@case("a model that is not on this machine, offline")
def _() -> list[str]:
    return linear("maths", "someone/code")


@case("a revision of a folder")
def _() -> list[str]:
    return linear("maths", "code@v2")


@case("an empty folder")
def _() -> list[str]:
    Path("broken").mkdir()
    return linear("maths", "broken")


@case("not a model")
def _() -> list[str]:
    Path("notes").mkdir()
    Path("notes/todo.txt").write_text("merge something\n")
    return linear("maths", "notes")


@case("no weights")
def _() -> list[str]:
    (broken() / WEIGHTS).unlink()
    return linear("maths", "broken")


@case("pickled weights")
def _() -> list[str]:
    folder = broken()
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")
    return linear("maths", "broken")


@case("corrupt JSON")
def _() -> list[str]:
    (broken() / "config.json").write_text('{\n  "architectures": ["LlamaForCausalLM"\n}\n')
    return linear("maths", "broken")


@case("a truncated file")
def _() -> list[str]:
    file = broken() / WEIGHTS
    file.write_bytes(file.read_bytes()[:-1000])
    return linear("maths", "broken")


@case("a placeholder of Git LFS")
def _() -> list[str]:
    (broken() / WEIGHTS).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    return linear("maths", "broken")


@case("a missing shard")
def _() -> list[str]:
    options = replace(SMALL, shard_bytes=4000)
    folder = random_model(Path("sharded"), options=options)
    sorted(folder.glob("*.safetensors"))[-1].unlink()
    return linear("maths", "sharded")


@case("fewer layers than config.json says")
def _() -> list[str]:
    change_config(broken(), num_hidden_layers=3)
    return linear("maths", "broken")


@case("a quantised model")
def _() -> list[str]:
    change_config(broken(), quantization_config={"quant_method": "gptq", "bits": 4})
    return linear("maths", "broken")


@case("an adapter by itself")
def _() -> list[str]:
    hand_made(Path("lora"), factors("model.layers.0.self_attn.q_proj", 16, 16))
    return linear("maths", "lora")


@case("an adapter that cannot be applied")
def _() -> list[str]:
    hand_made(Path("ia3"), {}, kind="IA3")
    return linear("maths", "code+ia3")


@case("an adapter for another model")
def _() -> list[str]:
    hand_made(Path("lora"), factors("model.layers.7.self_attn.q_proj", 16, 16))
    return linear("maths", "code+lora")


@case("different architectures")
def _() -> list[str]:
    return linear("maths", other("qwen", "qwen2"))


@case("different numbers of layers")
def _() -> list[str]:
    return linear("maths", other("deep", layers=3))


@case("different vocabularies")
def _() -> list[str]:
    return linear("maths", other("dogs", tokenizer=word_tokenizer([*WORDS, "dog"])))


@case("a tokenizer setting without tokenizers")
def _() -> list[str]:
    for file in broken().glob("token*"):
        file.unlink()
    return linear("maths", "broken", more="tokenizer_source: union\n")


@case("different shapes")
def _() -> list[str]:
    return linear("maths", other("wide", hidden=32))


@case("layers of different widths")
def _() -> list[str]:
    return stacked("base", other("wide", hidden=32))


@case("layers that are alike but for one setting")
def _() -> list[str]:
    change_config(broken(), hidden_act="gelu")
    return stacked("base", "broken")


@case("layers that cannot be moved")
def _() -> list[str]:
    change_config(Path(other("gpt2", "gpt2")), scale_attn_by_inverse_layer_idx=True)
    return stacked("gpt2", "gpt2")


@case("a stack without layers", in_the_recipe=False)
def _() -> list[str]:
    return ["stack", "skip", "base", "--layers", "0:2"]


@case("layers that a model does not have", in_the_recipe=False)
def _() -> list[str]:
    return ["stack", "repeat", "base", "--layers", "1:3"]


@case("a scale that cannot be folded", in_the_recipe=False)
def _() -> list[str]:
    made(Path("bloom"), "bloom", apply_residual_connection_post_layernorm=True)
    return ["stack", "skip", "bloom", "--layers", "1:2", "--scale", "0.9"]


@case("a tensor that one model lacks")
def _() -> list[str]:
    change_tensors(broken(), lambda tensors: tensors.pop(UP))
    return linear("maths", "broken")


@case("NaN in a model", in_the_recipe=False)
def _() -> list[str]:
    change_tensors(broken(), lambda tensors: tensors[UP].__setitem__((3, 2), np.nan))
    return linear("maths", "broken")


@case("infinity in a model", in_the_recipe=False)
def _() -> list[str]:
    change_tensors(broken(), lambda tensors: tensors["model.norm.weight"].__setitem__(1, -np.inf))
    return linear("maths", "broken")


@case("numbers too large for the output", in_the_recipe=False)
def _() -> list[str]:
    change_tensors(broken(), lambda tensors: tensors[UP].__setitem__((3, 2), 2e5))
    return linear("maths", "broken", more="out_dtype: float16\n")


@case("an output that exists", in_the_recipe=False)
def _() -> list[str]:
    Path("merged").mkdir()
    Path("merged/notes.txt").write_text("keep me\n")
    return ties()


@case("an output that is no model, with --force", in_the_recipe=False)
def _() -> list[str]:
    Path("merged").mkdir()
    Path("merged/notes.txt").write_text("keep me\n")
    return [*ties(), "--force"]


@case("an output that is one of the models", in_the_recipe=False)
def _() -> list[str]:
    ties()
    return ["merge", "recipe.yaml", "maths", "--force"]


@case("an output that cannot be written", in_the_recipe=False)
def _() -> list[str]:
    ties()
    return ["merge", "recipe.yaml", "recipe.yaml/merged"]


@case("no space", in_the_recipe=False)
def _() -> list[str]:
    return ties()


@case("a size that is none", in_the_recipe=False)
def _() -> list[str]:
    return [*ties(), "--shard-size", "5 gigs"]


@case("an unknown device", in_the_recipe=False)
def _() -> list[str]:
    return [*ties(), "--device", "abacus"]


@case("an unknown option", in_the_recipe=False)
def _() -> list[str]:
    return [*ties(), "--dryrun"]


@case("a missing argument", in_the_recipe=False)
def _() -> list[str]:
    ties()
    return ["merge", "recipe.yaml"]


@case("an unknown verb", in_the_recipe=False)
def _() -> list[str]:
    return ["mrege", "recipe.yaml", "merged"]
