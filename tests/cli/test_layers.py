"""Promises of ``evomerge inspect --layers``."""

from __future__ import annotations

import json
from contextlib import ExitStack
from math import log2
from pathlib import Path

import pytest

from evomerge.cli.layers_shown import of_similarity
from evomerge.inspection.grid import Grid
from evomerge.inspection.similarity import Similarity
from tests.checkpoint.peft_adapters import factors, hand_made
from tests.cli.bad_input_layers import BAD_LAYERS, LOOK, cut, prose
from tests.cli.test_errors import documented, listing, said

# The same with some of its parts left out is still a model of so few words.
MOST_BITS = 2 * log2(7)


def looked(out: str) -> dict:
    return json.loads(out)


def test_a_model_is_shown_layer_by_layer_and_stream_by_stream(work, evomerge):
    prose()
    code, out, err = evomerge(*LOOK)
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0][:2] == ["prose:", "bits_per_byte"]
    assert lines[0][-2:] == ["1", "item"]
    assert lines[1] == ["without", "layer", "attention", "mlp"]
    assert [row[0] for row in lines[2:4]] == ["0", "1"]
    assert all(0 < float(cell) < MOST_BITS for row in lines[2:4] for cell in row[1:])
    assert lines[5][:6] == ["Cosines", "of", "the", "streams", "of", "base,"]
    assert lines[6] == ["behind", "embeddings", "0", "1"]
    assert [row[0] for row in lines[7:]] == ["embeddings", "0", "1"]
    assert [row[place] for place, row in enumerate(lines[7:], 1)] == ["1.000"] * 3


def test_programs_get_all_the_numbers(work, evomerge):
    prose()
    found = looked(evomerge(*LOOK, "--against", "maths", "--form", "json")[1])
    assert list(found) == ["model", "text", "lesions", "similarity"]
    (lesions,) = found["lesions"]
    assert list(lesions) == [
        "task", "metric", "higher_is_better", "items", "intact", "without"
    ]  # fmt: skip
    assert [list(each) for each in lesions["without"]] == [["whole", "attention", "mlp"]] * 2
    similarity = found["similarity"]
    assert (similarity["rows"], similarity["columns"]) == ("base", "maths")
    assert [len(row) for row in similarity["cosines"]] == [3] * 3
    assert similarity["tokens"] == 6


def test_functions_may_score_and_a_text_beside_them(work, evomerge):
    prose()
    Path("mine.py").write_text("def size(model, tokenizer): return 4.0\n")
    found = looked(evomerge(*LOOK, "--evaluator", "mine.py:size", "--form", "json")[1])
    assert [each["metric"] for each in found["lesions"]] == ["size", "bits_per_byte"]
    (alone,) = looked(evomerge(*LOOK[:3], "--evaluator", "mine.py:size", "--form", "json")[1])[
        "lesions"
    ]
    assert alone["without"] == [{"whole": 4.0, "attention": 4.0, "mlp": 4.0}] * 2


def test_without_a_text_there_is_one(work, evomerge):
    found = looked(evomerge("inspect", "base", "--layers", "--form", "json")[1])
    assert found["text"] == found["lesions"][0]["task"] == "python_reference"
    assert found["lesions"][0]["items"] == 40


def test_a_model_may_have_an_adapter(work, evomerge):
    prose()
    hand_made(Path("lora"), factors("model.layers.1.self_attn.q_proj", 16, 16))
    words = [*LOOK, "--against", "base+lora", "--form", "json"]
    cosines = looked(evomerge(*words)[1])["similarity"]["cosines"]
    assert [cosines[place][place] for place in (0, 1)] == pytest.approx([1, 1], abs=1e-6)
    assert cosines[2][2] < 1 - 1e-6


def test_a_stack_is_shown_by_its_seams(work, evomerge):
    code, out, err = evomerge(*cut())
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "recipe.yaml: 3 hops, 1 seam, 6 tokens"
    assert lines[1].split() == ["hop", "reads", "behind", "cosine"]
    assert lines[2].split()[:-1] == ["2", "maths", "layer", "1", "base", "layer", "1"]
    found = looked(evomerge(*cut(), "--form", "json")[1])
    (seam,) = found["seams"]
    assert lines[2].split()[-1] == f"{seam['cosine']:.4f}"
    assert seam["reader"] == {"model": "maths", "layer": 1}
    # Up to there it is the first model: what is read is what its last layer hands on.
    prose()
    beside = looked(evomerge(*LOOK, "--against", "maths", "--form", "json")[1])["similarity"]
    assert seam["cosine"] == pytest.approx(beside["cosines"][2][1], abs=1e-5)


def test_a_whole_model_has_no_seam_to_show(work, evomerge):
    pytest.importorskip("PIL")
    prose()
    Path("whole.yaml").write_text("merge_method: passthrough\nmodels: [{model: base}]\n")
    _, out, _ = evomerge("inspect", "whole.yaml", *LOOK[2:], "--picture", "seams.png")
    assert out == (
        "whole.yaml: 2 hops, 0 seams, 6 tokens: each hop follows the layer before it in its own "
        "model\n"
    )
    assert Path("seams.png").stat().st_size > 0


@pytest.mark.parametrize("words", [lambda: LOOK, cut], ids=["model", "stack"])
def test_a_picture_is_drawn_beside_the_text(words, work, evomerge):
    image = pytest.importorskip("PIL.Image")
    prose()
    plain = evomerge(*words())
    assert evomerge(*words(), "--picture", "layers.png") == plain
    with image.open("layers.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 50


def test_of_many_layers_some_are_shown_and_all_are_drawn():
    cosines = tuple(tuple(1 - abs(x - y) / 100 for x in range(81)) for y in range(33))
    shown = of_similarity(Similarity("deep", "deeper", cosines, 9))
    lines = shown.text.splitlines()
    assert lines[1].split() == ["behind", "embeddings", *map(str, range(5, 80, 6))]
    assert [line.split()[0] for line in lines[2:-1]] == ["embeddings", *map(str, range(5, 32, 6))]
    assert lines[3].split()[2] == "1.000"
    assert lines[-1].startswith("One stream in 6 is shown")
    assert isinstance(shown.figure, Grid)
    assert (len(shown.figure.rows), len(shown.figure.columns)) == (33, 81)


@pytest.mark.parametrize("title", BAD_LAYERS)
def test_what_is_refused(title, work, evomerge):
    with ExitStack() as ending:
        words = BAD_LAYERS[title](ending)
        before = listing(work)
        code, out, err = evomerge(*words)
    assert said(err, work) == documented()[title]
    assert (code, out) == (2, "")
    assert listing(work) == before
