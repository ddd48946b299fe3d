"""``evomerge align``: what it writes, what it prints, what it refuses."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from safetensors.numpy import load_file

from evomerge.aligners.base import aligners
from evomerge.alignment.drawing import random_element
from evomerge.alignment.layout import GROUPS
from evomerge.alignment.on_disk import layout_of_source
from evomerge.alignment.writing import write_moved
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.cli import align_asked
from evomerge.cli.align import METHODS
from evomerge.zoo.random_models import Options, random_model
from tests.cli.bad_input_align import BAD_ALIGNMENTS
from tests.cli.test_errors import documented, listing, said
from tests.stacks.families import made


def plant(source: str, out, seed: int = 0) -> None:
    with open_checkpoint(source) as checkpoint:
        write_moved(checkpoint, random_element(layout_of_source(checkpoint), seed), out)


def rows(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}


def test_a_model_that_was_moved_comes_back(work, evomerge):
    plant("base", work / "moved")
    code, out, err = evomerge("align", "moved", "--to", "base", "back")
    assert (code, err) == (0, "")
    told = rows(out)
    assert told["group"] == ["before", "after", "moved", "of"]
    assert {told[group][1] for group in ("residual", "neurons", "heads")} == {"1.0000"}
    assert float(told["residual"][0]) < 0.7
    assert told["back:"][:2] == ["computes", "the"]
    before, after = (load_file(f"{name}/model.safetensors") for name in ("base", "back"))
    for name, tensor in before.items():
        np.testing.assert_allclose(after[name], tensor, atol=1e-5)
    assert (work / "back" / "tokenizer.json").exists()


def test_a_soft_plan_is_said_to_compute_something_else(work, evomerge):
    plant("base", work / "moved")
    words = ["--method", "optimal_transport", "--set", "soft=true", "--set", "temperature=1"]
    code, out, _ = evomerge("align", "moved", "--to", "base", "mixed", *words)
    assert code == 0
    assert "\nmixed: computes something else: mixed; its logits changed by a share of " in out
    assert (work / "mixed" / "model.safetensors").exists()


def test_a_narrower_model_is_written_as_wide_as_its_anchor_and_merged(work, evomerge):
    for name, count in (("few", 48), ("more", 64)):
        made(work / name, "llama", intermediate_size=count)
    code, out, _ = evomerge("align", "few", "--to", "more", "out", "--method", "optimal_transport")
    assert code == 0
    assert "computes the same" in out
    recipe = "merge_method: linear\nmodels:\n"
    for model in ("out", "more"):
        recipe += f"  - {{model: {model}, parameters: {{weight: 0.5}}}}\n"
    (work / "recipe.yaml").write_text(recipe)
    assert evomerge("merge", "recipe.yaml", "merged")[0] == 0
    merged = load_file("merged/model.safetensors")["model.layers.0.mlp.up_proj.weight"]
    first, second = (
        load_file(f"{n}/model.safetensors")["model.layers.0.mlp.up_proj.weight"]
        for n in ("out", "more")
    )
    np.testing.assert_allclose(merged, (first + second) / 2, rtol=1e-6)
    short = recipe.replace(
        "model: out,", "model: few, align: {method: optimal_transport, to: more},"
    )
    (work / "recipe.yaml").write_text(short)
    assert evomerge("merge", "recipe.yaml", "at_once")[0] == 0
    for name, tensor in load_file("merged/model.safetensors").items():
        np.testing.assert_allclose(load_file("at_once/model.safetensors")[name], tensor, atol=1e-6)


def test_siblings_are_copied(work, evomerge):
    code, out, _ = evomerge("align", "code", "--to", "maths", "aligned")
    assert code == 0
    assert "The models stand alike already" in out
    assert "changed by a share of 0\n" in out
    files = [work / name / "model.safetensors" for name in ("code", "aligned")]
    assert all(map(np.array_equal, *(load_file(file).values() for file in files)))


def test_only_some_groups(work, evomerge):
    plant("base", work / "moved")
    code, out, _ = evomerge("align", "moved", "--to", "base", "back", "--groups", "neurons, heads")
    assert code == 0
    assert set(rows(out)) == {"group", "neurons", "heads", "back:"}


def test_names_of_two_generations(work, evomerge):
    """The anchor has the names of today, the source those of the first published files."""
    random_model(work / "now", "gpt2")
    random_model(work / "first", "gpt2", options=Options(original=True))
    plant("first", work / "moved")
    code, out, _ = evomerge("align", "moved", "--to", "now", "back")
    assert code == 0
    assert rows(out)["residual"][1] == "1.0000"


def test_one_head_may_be_tied_and_the_other_not(work, evomerge):
    for seed, tied in enumerate((True, False)):
        random_model(work / str(seed), seed=seed, options=Options(tied=tied))
    for source, anchor in ("01", "10"):
        code, out, err = evomerge("align", source, "--to", anchor, f"{source}_to_{anchor}")
        assert (code, err) == (0, "")
        told = rows(out)
        assert float(told["neurons"][1]) > float(told["neurons"][0])


def test_sixteen_bits_become_thirty_two_where_gauges_turn(work, evomerge):
    for seed in range(2):
        random_model(work / str(seed), seed=seed, options=Options(dtype="bfloat16"))
    for groups, dtype in (("residual,heads", "bfloat16"), ("values", "float32")):
        code, _, _ = evomerge("align", "0", "--to", "1", groups[:3], "--groups", groups)
        assert code == 0
        assert json.loads((work / groups[:3] / "config.json").read_text())["dtype"] == dtype


def test_by_activations_on_a_text(work, evomerge):
    plant("base", work / "moved")
    (work / "words.txt").write_text("the cat sat " * 40, "utf-8")
    shown = ["--method", "activation_matching", "--data", "words.txt", "--set", "tokens=96"]
    code, out, err = evomerge("align", "moved", "--to", "base", "back", *shown)
    assert (code, err) == (0, "")
    assert {row[1] for name, row in rows(out).items() if name in GROUPS} == {"1.0000"}


def test_several_are_brought_to_each_other(work, evomerge):
    plant("base", work / "moved")
    plant("base", work / "shuffled", seed=1)
    code, out, err = evomerge("align", "base", "moved", "shuffled", "out", "--together")
    assert (code, err) == (0, "")
    tables = [rows(part) for part in out.split("group ")[1:]]
    assert [table["neurons"][2] == "0" for table in tables] == [True, False, False]
    assert {table["residual"][1] for table in tables} == {"1.0000"}
    names = ("base", "moved", "shuffled")
    for name, table in zip(names, tables, strict=True):
        assert table[f"out/{name}:"][:2] == ["computes", "the"]
        assert (work / "out" / name / "tokenizer.json").exists()
    original = load_file(work / "base" / "model.safetensors")
    first, *others = (load_file(work / "out" / name / "model.safetensors") for name in names)
    for name, tensor in original.items():
        assert (first[name] == tensor).all()
        for other in others:
            np.testing.assert_allclose(other[name], tensor, atol=1e-5)


def test_the_help_names_every_aligner(evomerge):
    assert METHODS.split(", ") == list(aligners)
    code, out, _ = evomerge("align", "--help")
    assert code == 0
    assert set(aligners) <= set(re.findall(r"\w+", out))


@pytest.mark.parametrize(
    ("written", "value"), [("2", 2), ("true", True), ("1e-3", 0.001), ("raw", "raw"), ("[1]", (1,))]
)
def test_options_are_read_as_yaml(written, value, monkeypatch):
    kept = {}
    monkeypatch.setattr(align_asked, "Settings", lambda *given: kept.update(given[3]))
    align_asked.settings_of("any", [f"key={written}"], None, "neurons", 0)
    assert kept == {"key": value}


@pytest.mark.parametrize("title", BAD_ALIGNMENTS)
def test_what_is_refused(title, work, evomerge):
    words = BAD_ALIGNMENTS[title]()
    before = listing(work)
    code, out, err = evomerge(*words)
    assert said(err, work) == documented()[title]
    assert (code, out) == (2, "")
    assert listing(work) == before
