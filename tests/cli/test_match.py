"""Promises of ``evomerge inspect --match``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.checkpoint.peft_adapters import factors, hand_made
from tests.cli.bad_input import other
from tests.cli.bad_input_match import BAD_MATCHES, compare
from tests.cli.test_errors import documented, listing, said

LAYERS = ("heads of layer {}", "neurons of layer {}", "behind layer {}")
PLACES = ["behind embeddings", *(each.format(n) for n in (0, 1) for each in LAYERS)]


def blocks(out):
    return [block.splitlines() for block in out.split("\n\n")]


def test_siblings_are_shown_place_by_place_and_on_the_line(work, evomerge):
    code, out, err = evomerge(*compare("code"))
    assert (code, err) == (0, "")
    units, maps, cosines, line = blocks(out)
    assert units[0] == "base and code: correlations of units, 512 tokens"
    assert units[1].split() == [
        "units", "of", "base", "of", "code", "one", "to", "one", "in", "place", "of", "mixes",
        "best", "gap", "rare", "clusters",
    ]  # fmt: skip
    assert [row[: len(title)] for row, title in zip(units[2:-1], PLACES, strict=True)] == PLACES
    assert units[2].split()[2:4] == ["16", "16"]
    assert "units of base and" in units[-1]
    assert "512 held-out" not in maps[0]
    assert "128 held-out tokens" in maps[0]
    assert [row.split("  ")[0] for row in maps[2:]] == [p for p in PLACES if "heads" not in p]
    assert cosines[0] == "Cosines of weights"
    assert [row.split()[0] for row in cosines[2:]] == ["before", "0", "1", "after", "whole"]
    assert line[0].startswith("From base to code: bits per byte of words, with a barrier of ")
    assert [row.split()[0] for row in line[2:]] == ["0", "0.25", "0.5", "0.75", "1"]
    assert line[2].split()[-1] == line[-1].split()[-1] == "+0.0000"


def test_programs_get_all_the_numbers(work, evomerge):
    out = evomerge(*compare("code"), "--base", "maths", "--points", "3", "--form", "json")[1]
    found = json.loads(out)
    assert list(found) == [
        "text", "models", "tokens", "held_out", "rare_below", "places", "cosines", "line", "apart"
    ]  # fmt: skip
    assert (found["text"], found["models"]) == ("words", ["base", "code"])
    assert (found["tokens"], found["held_out"], found["rare_below"]) == (512, 128, 0.3)
    assert [(each["kind"], each["layer"]) for each in found["places"]] == [
        ("residual", None), ("heads", 0), ("neurons", 0), ("residual", 0),
        ("heads", 1), ("neurons", 1), ("residual", 1),
    ]  # fmt: skip
    place = found["places"][2]
    assert list(place) == [
        "kind", "layer", "units", "one_to_one", "of_mixes", "best", "gap", "in_place", "pairs",
        "rare", "clusters", "maps",
    ]  # fmt: skip
    count = place["units"][0]
    assert [sorted(units) for units in place["pairs"]] == [list(range(count))] * 2
    same = sum(one == two for one, two in zip(*place["pairs"], strict=True))
    assert place["in_place"] == same
    assert list(place["clusters"]) == ["threshold", "single", "many"]
    assert [each["penalty"] for each in place["maps"]] == [0.5, 0.2, 0.1, 0.05, 0.02]
    assert found["cosines"]["base"] == "maths"
    assert list(found["cosines"]["layers"]) == ["before", "0", "1", "after", "whole"]
    line = found["line"]
    assert line["shares"] == [0, 0.5, 1]
    middle = line["values"][1] - (line["values"][0] + line["values"][2]) / 2
    assert line["barrier"] == pytest.approx(max(0, middle))
    assert found["apart"] is None


def test_models_of_two_widths_have_no_line_between_them(work, evomerge):
    words = compare(other("wide", hidden=32))
    out = evomerge(*words)[1]
    *_, last = blocks(out)
    assert last == [
        "No weights are compared, and no line is drawn: model.embed_tokens.weight: base has shape "
        "(7, 16), wide has (7, 32); models must share an architecture and a vocabulary to be "
        "merged this way"
    ]
    found = json.loads(evomerge(*words, "--form", "json")[1])
    assert found["cosines"] is found["line"] is None
    assert found["apart"].startswith("model.embed_tokens.weight")
    assert found["places"][0]["units"] == [16, 32]


def test_a_model_may_have_an_adapter(work, evomerge):
    hand_made(Path("lora"), factors("model.layers.1.self_attn.q_proj", 16, 16))
    found = json.loads(evomerge(*compare("base+lora"), "--form", "json")[1])
    assert found["models"] == ["base", "base+lora"]
    ends = [each["one_to_one"] for each in found["places"] if each["kind"] == "residual"]
    assert ends[:2] == pytest.approx([1, 1])
    assert ends[2] < 1 - 1e-6


def test_a_picture_is_drawn_beside_the_text(work, evomerge):
    image = pytest.importorskip("PIL.Image")
    plain = evomerge(*compare("code"))
    assert evomerge(*compare("code"), "--picture", "match.png") == plain
    with image.open("match.png") as picture:
        assert picture.height > picture.width > 500


@pytest.mark.parametrize("title", BAD_MATCHES)
def test_what_is_refused(title, work, evomerge):
    words = BAD_MATCHES[title]()
    before = listing(work)
    code, out, err = evomerge(*words)
    assert said(err, work) == documented()[title]
    assert (code, out) == (2, "")
    assert listing(work) == before
