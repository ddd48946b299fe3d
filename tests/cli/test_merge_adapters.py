"""``evomerge merge`` with a recipe of adapters: what comes out, and what is refused."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM

import evomerge as package
from evomerge.checkpoint.adapter import open_adapted
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.recipe.adapters import AdapterRecipe
from evomerge.zoo.random_models import Options, random_model
from tests.checkpoint.peft_adapters import merged_by_peft, trained
from tests.cli.bad_input_adapters import BAD_ADAPTERS, asked
from tests.cli.test_errors import documented, listing, said

SUM = "parameters: {rank: sum, manifold: chordal}\n"
MODULES = ["q_proj", "v_proj", "down_proj"]


@pytest.mark.parametrize("title", BAD_ADAPTERS)
def test_bad_adapters(title, work, evomerge):
    words = BAD_ADAPTERS[title]()
    before = listing(work)
    code, out, err = evomerge(*words)
    assert said(err, work) == documented()[title]
    assert (code, out) == (2, "")
    assert listing(work) == before


@pytest.fixture
def adapters(work) -> Path:
    """Two real ones: of another rank, scaling and set of modules."""
    base = Path("base")
    trained(Path("first"), base, r=3, lora_alpha=6, target_modules=MODULES, task_type="CAUSAL_LM")
    trained(
        Path("second"),
        base,
        r=4,
        lora_alpha=4,
        use_rslora=True,
        rank_pattern={"layers.1.self_attn.q_proj": 2},
        alpha_pattern={"layers.0.self_attn.q_proj": 9},
        target_modules=[*MODULES, "up_proj"],
        task_type="CAUSAL_LM",
    )
    return base


def deltas(folder: Path, adapter: str) -> dict[str, np.ndarray]:
    """What an adapter adds to each matrix of the base, as our reader of adapters has it."""
    with open_adapted(open_checkpoint(str(folder)), adapter) as adapted:
        plain = load_file(folder / "model.safetensors")
        return {name: adapted.load(name) - plain[name] for name in adapted.changed()}


def test_all_of_the_rank_is_the_average_of_the_updates(adapters, evomerge):
    code, out, err = evomerge(*asked(SUM))
    assert (code, err) == (0, "")
    assert out.startswith("merged: frechet, an adapter, 8 matrices, rank 7, ")
    assert "2 matrices are changed by some of the adapters only" in out
    first, second = (deltas(adapters, name) for name in ("first", "second"))
    merged = deltas(adapters, "merged")
    assert merged.keys() == second.keys()
    for name, delta in merged.items():
        expected = (first.get(name, 0.0) + second[name]) / 2
        assert delta == pytest.approx(expected, abs=2e-6)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # to PEFT
def test_peft_and_transformers_load_what_is_written_and_agree(adapters, evomerge):
    evomerge(*asked("parameters: {rank: 2r}\n"))
    evomerge(*asked("parameters: {rank: 2r}\noutput: model\n")[:2], "model")
    theirs = load_file(
        merged_by_peft(Path("theirs"), adapters, Path("merged")) / "model.safetensors"
    )
    ours = load_file("model/model.safetensors")
    assert all(ours[name] == pytest.approx(theirs[name], abs=1e-6) for name in theirs)
    tokens = torch.tensor([[1, 2, 0, 1]])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # PEFT warns of keys that find no place
        model = AutoModelForCausalLM.from_pretrained(adapters)
        wrapped = PeftModel.from_pretrained(model, "merged").eval()
    whole = AutoModelForCausalLM.from_pretrained("model").eval()
    with torch.no_grad():
        assert torch.allclose(wrapped(tokens).logits, whole(tokens).logits, atol=1e-5)
    integrated = AutoModelForCausalLM.from_pretrained(adapters)
    integrated.load_adapter("merged")
    with torch.no_grad():
        assert torch.allclose(integrated(tokens).logits, whole(tokens).logits, atol=1e-5)


def test_what_is_written_can_be_merged_again_and_names_its_base(adapters, evomerge):
    evomerge(*asked(SUM + "dtype: bfloat16\n"))
    config = json.loads(Path("merged/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "base"
    assert config["task_type"] == "CAUSAL_LM"
    assert config["r"] == config["lora_alpha"] == 7
    assert set(config["rank_pattern"].values()) == {4, 5}
    Path("recipe.yaml").write_text(
        "merge_method: linear\nbase_model: base\nadapters: [{adapter: merged}, {adapter: first}]\n"
    )
    assert evomerge("merge", "recipe.yaml", "again")[0] == 0
    assert "library_name: peft" in Path("again/README.md").read_text()
    assert evomerge("merge", "recipe.yaml", "again")[0] == 2
    assert evomerge("merge", "recipe.yaml", "again", "--force")[0] == 0


def test_what_is_averaged_apart_is_said(work, evomerge):
    base, settings = Path("base"), {"r": 2, "target_modules": ["q_proj"]}
    trained(Path("first"), base, use_dora=True, modules_to_save=["lm_head", "norm"], **settings)
    trained(Path("second"), base, seed=1, modules_to_save=["lm_head"], **settings)
    said = (
        "2 matrices have trained lengths (DoRA), which are averaged apart; an adapter without "
        "them counts with the lengths that its rows have\n"
        "6 biases and tensors of whole modules are averaged as weights; 5 are trained by some of "
        "the adapters only, and are the base's in the others\n"
    )
    for more in ("--dry-run",), ():
        code, out, _ = evomerge(*asked("parameters: {manifold: chordal}\n"), *more)
        assert (code, out.partition("\n")[2]) == (0, said)


def test_weights_may_differ_by_tensor_and_layer(adapters, evomerge):
    more = "parameters: {weight: [{filter: q_proj, value: [0, 1]}, {value: 1}]}\n"
    text = asked(method="linear")
    path = Path("recipe.yaml")
    path.write_text(path.read_text().replace("adapter: second\n", f"adapter: second\n    {more}"))
    evomerge(*text)
    first, second, merged = (deltas(adapters, name) for name in ("first", "second", "merged"))
    names = [f"model.layers.{layer}.self_attn.q_proj.weight" for layer in (0, 1)]
    assert merged[names[0]] == pytest.approx(first[names[0]], abs=2e-6)
    half = (first[names[1]] + second[names[1]]) / 2
    assert merged[names[1]] == pytest.approx(half, abs=2e-6)


def test_a_dry_run_writes_nothing_and_says_what_would_be(adapters, evomerge, work):
    words = [*asked("parameters: {scale: 1.5}\n"), "--dry-run"]
    before = listing(work)
    code, out, _ = evomerge(*words)
    assert (code, out.splitlines()[0]) == (
        0,
        "recipe.yaml can be merged: frechet, an adapter, 8 matrices, rank 4, 4.22 KB",
    )
    assert listing(work) == before


def test_a_mean_that_is_not_reached_is_told(adapters, evomerge):
    words = asked("parameters: {steps: 0}\n")
    with pytest.warns(UserWarning, match="6 of 8 matrices: the mean was not reached"):
        package.merge(words[1], "merged")


def test_a_seed_of_the_command_line_decides_the_masks(adapters, evomerge):
    words = asked("parameters: {consensus: dare, density: 0.5}\n", method="knots")
    made = []
    for out, seed in (("a", "1"), ("b", "2"), ("c", "1")):
        evomerge(*words[:2], out, "--seed", seed)
        made.append(Path(out, "adapter_model.safetensors").read_bytes())
    assert made[0] == made[2] != made[1]


def test_gpt2_stores_its_matrices_the_other_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = random_model(Path("base"), "gpt2", options=Options(layers=2, hidden=16))
    for seed, name in enumerate(("first", "second")):
        torch.manual_seed(seed)
        trained(Path(name), base, r=2, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True)
    asked(SUM)
    package.merge("recipe.yaml", "merged")
    theirs = merged_by_peft(Path("theirs"), base, Path("merged"))
    package.merge(AdapterRecipe.parse(Path("recipe.yaml").read_text() + "output: model\n"), "model")
    ours, expected = (load_file(Path(f, "model.safetensors")) for f in ("model", theirs))
    assert all(ours[name] == pytest.approx(expected[name], abs=1e-6) for name in expected)


def test_recipes_are_read_and_written_and_named_by_what_they_say():
    text = (
        "merge_method: frechet\nbase_model: base@v2\nadapters:\n"
        "  - {adapter: a@main, parameters: {weight: [0, 1]}}\n  - adapter: b\n"
        "parameters: {rank: 2r, scale: 1.5}\noutput: model\ndtype: bfloat16\nseed: 4\n"
    )
    recipe = AdapterRecipe.parse(text)
    assert AdapterRecipe.parse(recipe.write()) == recipe
    assert AdapterRecipe.parse(recipe.write()).digest() == recipe.digest()
    assert AdapterRecipe.parse(text.replace("2r", "sum")).digest() != recipe.digest()
    assert [str(each) for each in recipe.references()] == ["a@main", "b", "base@v2"]


def test_a_later_recipe_may_use_what_an_earlier_one_makes_of_adapters(adapters, evomerge):
    adapter = "merge_method: linear\nbase_model: base\nadapters: [{adapter: first}, {adapter: "
    Path("steps.yaml").write_text(
        f"name: mix\n{adapter}second}}]\n---\nname: whole\n{adapter}mix}}]\noutput: model\n---\n"
        "merge_method: passthrough\nmodels: [{model: whole}]\n"
    )
    code, out, err = evomerge("merge", "steps.yaml", "model")
    assert (code, err) == (0, "")
    assert out.startswith("model: passthrough, ")
    evomerge(*asked(method="linear")[:2], "mix")
    Path("recipe.yaml").write_text(f"{adapter}mix}}]\noutput: model\n")
    evomerge("merge", "recipe.yaml", "whole")
    found, expected = (load_file(f"{name}/model.safetensors") for name in ("model", "whole"))
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_inspect_says_what_is_merged(adapters, evomerge):
    asked("parameters: {rank: 2r}\n")
    code, out, err = evomerge("inspect", "recipe.yaml")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines() if line]
    assert ["first", "6", "3", "0"] in lines
    assert ["second", "8", "2", "to", "4", "0"] in lines
    assert ["q_proj", "2", "5", "to", "7", "0"] in lines
    assert ["up_proj", "2", "4", "2"] in lines
    assert "recipe.yaml can be merged, on base." in out
    found = json.loads(evomerge("inspect", "recipe.yaml", "--form", "json")[1])
    assert found["mergeable"] is True
    assert found["outcome"]["matrices"] == sum(each["matrices"] for each in found["modules"]) == 8


def test_inspect_says_why_adapters_cannot_be_merged(adapters, evomerge):
    asked("parameters: {rank: 0}\n")
    code, out, err = evomerge("inspect", "recipe.yaml")
    _, _, refused = evomerge("merge", "recipe.yaml", "out")
    assert (code, out) == (2, "")
    assert err == refused
