"""Promises of ``evomerge stack``: what it writes can be merged, and is what was asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from transformers import AutoModelForCausalLM

from evomerge.zoo.random_models import Options, random_model
from evomerge.zoo.small_tokenizers import word_tokenizer
from tests.cli.conftest import WORDS

LAYERS = Options(layers=4, hidden=16, tokenizer=word_tokenizer(WORDS))


@pytest.fixture(autouse=True, scope="module")
def _deep(models: Path) -> None:
    """Models of four layers: ``four``, ``other``, and ``gemma`` and ``qwen`` of their families."""
    for seed, (name, family) in enumerate(
        {"four": "llama", "other": "llama", "gemma": "gemma2", "qwen": "qwen2"}.items()
    ):
        random_model(models / name, family, seed=seed, options=LAYERS)


def ranges(text: str) -> list[tuple[str, int, int]]:
    """Which layers of which models a recipe asks for."""
    found = [part["sources"][0] for part in yaml.safe_load(text)["slices"]]
    return [(each["model"], *each["layer_range"]) for each in found]


ASKED = {
    "upscale four --drop 1": [("four", 0, 3), ("four", 1, 4)],
    "interleave four other --block 2 --step 1": [("four", 0, 2), ("other", 1, 3), ("four", 2, 4)],
    "interleave four other --block 2 --step 2 --anchor other": [
        ("other", 0, 0),
        ("four", 0, 2),
        ("other", 2, 4),
    ],
    "join four other --head 3 --tail 2": [("four", 0, 3), ("other", 2, 4), ("four", 0, 0)],
    "join four base --head 3 --tail 1": [("four", 0, 3), ("base", 1, 2), ("four", 0, 0)],
    "skip four --layers 1:3": [("four", 0, 1), ("four", 3, 4)],
    "repeat four --layers 1:3 --times 3": [("four", 0, 3), ("four", 1, 3), ("four", 1, 4)],
    "share four --layers 1:4": [("four", 0, 1), ("four", 2, 3), ("four", 2, 3), ("four", 2, 3)],
    "reverse four --layers 0:4": [("four", n, n + 1) for n in (3, 2, 1, 0)],
}


@pytest.mark.parametrize("words", ASKED)
def test_a_recipe_has_the_layers_that_were_asked_for(words, work, evomerge):
    code, out, err = evomerge("stack", *words.split())
    assert (code, err) == (0, "")
    assert ranges(out) == ASKED[words]
    Path("recipe.yaml").write_text(out)
    assert evomerge("merge", "recipe.yaml", "made")[0] == 0
    layers = sum(end - first for _, first, end in ASKED[words])
    assert out.startswith("# ")
    assert f": {layers} layers.\n" in out
    assert AutoModelForCausalLM.from_pretrained("made").config.num_hidden_layers == layers


def test_a_shuffle_follows_its_seed(work, evomerge):
    found = [
        evomerge("stack", "shuffle", "four", "--layers", "0:4", "--seed", n)[1] for n in "0123"
    ]
    assert len({json.dumps(ranges(text)) for text in found}) > 1
    assert found[1] == evomerge("stack", "shuffle", "four", "--layers", "0:4", "--seed", 1)[1]


def test_a_scale_stands_behind_the_seam(work, evomerge):
    _, out, err = evomerge("stack", "upscale", "four", "--drop", 1, "--scale", 0.5)
    first, second = (part["sources"][0] for part in yaml.safe_load(out)["slices"])
    assert err == ""
    assert "parameters" not in first
    assert second["parameters"] == {
        "scale": [{"filter": part, "value": 2} for part in ("o_proj", "down_proj")]
    }


def test_a_file_is_written_whole_and_only_with_force_again(work, evomerge):
    words = ("stack", "skip", "four", "--layers", "1:2", "--out", "new/pruned.yaml")
    code, out, err = evomerge(*words)
    assert (code, out, err) == (0, "new/pruned.yaml: four without layers 1:2, 3 layers\n", "")
    written = Path("new/pruned.yaml").read_text()
    assert ranges(written) == [("four", 0, 1), ("four", 2, 4)]
    assert evomerge(*words)[0] == 2
    assert evomerge(*words, "--force")[0] == 0
    assert Path("new/pruned.yaml").read_text() == written


def test_what_only_we_can_merge_says_so(work, evomerge):
    words = ("--drop", 1, "--scale", 0.5)
    _, out, err = evomerge("stack", "upscale", "gemma", *words)
    gain = "mergekit does not know gain: 2.0, and leaves such scales out"
    assert gain in err
    assert gain in " ".join(out.replace("\n# ", " ").split())
    _, out, err = evomerge("stack", "upscale", "qwen", *words)
    assert "gain" not in err
    assert "mergekit 0.1.5 leaves layer_types as it was" in err
    assert evomerge("stack", "skip", "four", "--layers", "1:2")[2] == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("skip four --layers 1", "--layers: found '1'; four has 4 layers"),
        ("skip four --layers 2:1", "--layers: found '2:1'"),
        ("skip four --layers -1:2", "--layers: found '-1:2'"),
        ("skip four --layers 1:2 --scale 0", "--scale: found 0; give a number above 0"),
        ("skip nowhere --layers 1:2", "nowhere"),
        ("join four qwen --head 1 --tail 1", "is a Qwen2ForCausalLM, but"),
        ("upscale four", "evomerge stack upscale: Missing option '--drop'"),
        ("upscale four --drop 9", "stack upscale: cannot drop 9 of the 4 layers of four"),
        ("interleave four base --block 2 --step 1", "name models of one depth"),
        ("upscaled four", "evomerge stack: No such command 'upscaled'"),
        ("parallel four --layers 1:3", "stack parallel: nothing to score by"),
        ("parallel four --layers 1:9 --perplexity prose.txt", "--layers: found '1:9'"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(words, message, work, evomerge):
    Path("prose.txt").write_text("the cat sat\n")
    code, out, err = evomerge("stack", *words.split())
    assert (code, out) == (2, "")
    assert message in err


def test_layers_side_by_side_are_scored_beside_the_model(work, evomerge):
    Path("prose.txt").write_text("the cat sat the sat cat\n")
    words = ("stack", "parallel", "four", "--layers", "1:3", "--perplexity", "prose.txt")
    code, out, err = evomerge(*words, "--loops", 2, "--form", "json", "--device", "cpu")
    assert code == 0
    assert "it cannot be exported" in err
    before, after = json.loads(out)["models"]
    assert before["model"] == "four"
    assert after["model"] == "four with layers 1 to 2 side by side, 2 times"
    assert before["scores"][0]["value"] != after["scores"][0]["value"]
    _, alone, _ = evomerge("evaluate", "four", "--perplexity", "prose.txt", "--form", "json")
    assert json.loads(alone)["models"][0] == before
