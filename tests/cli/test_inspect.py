"""Promises of ``evomerge inspect``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkpoint.peft_adapters import factors, hand_made
from tests.cli.bad_input import change_config, linear, recipe, ties


def cells(text: str) -> list[list[str]]:
    """The words of each line."""
    return [line.split() for line in text.splitlines() if line]


def test_a_model_is_told_in_a_few_lines_and_a_table(work, evomerge):
    code, out, err = evomerge("inspect", "base")
    assert (code, err) == (0, "")
    assert out == (
        "base\n"
        "family      Llama (LlamaForCausalLM)\n"
        "folder      base\n"
        "layers      2\n"
        "parameters  4.14 K\n"
        "size        16.6 KB\n"
        "dtype       float32\n"
        "head        its own\n"
        "vocabulary  7 tokens\n"
        "\n"
        "group       tensors  parameters     size\n"
        "embeddings        1         112    448 B\n"
        "attention         8      1.54 K  6.14 KB\n"
        "mlp               6       2.3 K  9.22 KB\n"
        "norms             5          80    320 B\n"
        "head              1         112    448 B\n"
    )


def test_a_model_with_an_adapter_is_told_with_it(work, evomerge):
    hand_made(Path("lora"), factors("model.layers.0.self_attn.q_proj", 16, 16))
    _, out, _ = evomerge("inspect", "base+lora")
    assert "adapter     rank 2 on 1 tensors" in out.splitlines()


def test_a_quantised_model_is_told_to_be_one(work, evomerge):
    shutil.copytree("base", "small")
    change_config(Path("small"), quantization_config={"quant_method": "awq"})
    code, out, _ = evomerge("inspect", "small")
    assert code == 0
    assert "quantised   awq: it cannot be merged" in out.splitlines()


def test_a_folder_may_have_a_plus_in_its_name(work, evomerge):
    Path("c++").symlink_to("base")
    assert evomerge("inspect", "c++")[0] == 0


def test_a_recipe_is_told_model_by_model_and_group_by_group(work, evomerge):
    ties(maths="weight: 1, density: [0.2, 0.4]")
    code, out, err = evomerge("inspect", "recipe.yaml")
    assert (code, err) == (0, "")
    lines = cells(out)
    assert ["maths", "Llama", "2", "4.14", "K", "16.6", "KB", "float32", "its", "own", "7"] in lines
    assert lines[3][:2] == ["base", "(base)"]
    assert ["weight", "code", "1", "1", "1", "1", "1"] in lines
    assert [
        "density",
        "maths",
        "0.2",
        "0.2",
        "to",
        "0.4",
        "0.2",
        "to",
        "0.4",
        "0.2",
        "to",
        "0.4",
        "0.2",
    ] in lines
    assert "Not in the recipe, so: int8_mask false, lambda 1, normalize true, rescale false" in out
    assert lines[-1] == ["recipe.yaml", "can", "be", "merged."]


def test_slices_are_told_layer_by_layer(work, evomerge):
    first = "{sources: [{model: base, layer_range: [0, 2]}]}"
    second = "{sources: [{model: maths, layer_range: [1, 2]}]}"
    recipe(f"merge_method: passthrough\nslices: [{first}, {second}]\n")
    lines = cells(evomerge("inspect", "recipe.yaml")[1])
    place = lines.index(["layers", "from"])
    assert lines[place + 1 : place + 3] == [["0-1", "base", "0-1"], ["2", "maths", "1"]]


def test_models_that_can_be_opened_are_told_before_the_error(work, evomerge):
    linear("maths", "./gone", "./lost")
    code, out, err = evomerge("inspect", "recipe.yaml")
    assert code == 2
    assert ["./gone", "cannot", "be", "used"] in cells(out)
    assert "'./lost': no such folder" in out
    assert err.startswith("error: './gone': no such folder")


def test_the_json_of_a_model_has_the_same_facts(work, evomerge):
    _, out, _ = evomerge("inspect", "base", "--form", "json")
    facts = json.loads(out)
    assert facts["architecture"] == "LlamaForCausalLM"
    assert facts["contents"]["parameters"] == 4144
    assert facts["contents"]["groups"][0] == {
        "kind": "embeddings", "tensors": 1, "parameters": 112, "nbytes": 448
    }  # fmt: skip


def test_the_json_of_a_recipe_says_whether_it_can_be_merged(work, evomerge):
    ties()
    facts = json.loads(evomerge("inspect", "recipe.yaml", "--form", "json")[1])
    assert facts["mergeable"] is True
    assert [model["name"] for model in facts["models"]] == ["maths", "code", "base"]
    assert facts["output"]["applied"][0]["parameter"] == "weight"
    linear("maths", "./gone")
    code, out, err = evomerge("inspect", "recipe.yaml", "--form", "json")
    facts = json.loads(out)
    assert (code, facts["mergeable"], facts["output"]) == (2, False, None)
    assert err == f"error: {facts['reason']}\n"


@pytest.mark.parametrize("what", ["base", "recipe.yaml"])
def test_inspection_loads_neither_torch_nor_transformers(what, work):
    ties()
    program = (
        "import sys\nfrom evomerge.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(*{'torch', 'transformers', 'numba', 'huggingface_hub'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "inspect", what], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == ""
