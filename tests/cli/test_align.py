"""``evomerge align``: what it writes, what it prints, what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from evomerge.alignment.drawing import random_element
from evomerge.alignment.on_disk import layout_of_source
from evomerge.alignment.writing import write_moved
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.zoo.random_models import Options, random_model
from tests.cli.bad_input_align import BAD_ALIGNMENTS
from tests.cli.test_errors import documented, listing, said


def plant(source: str, out) -> None:
    with open_checkpoint(source) as checkpoint:
        write_moved(checkpoint, random_element(layout_of_source(checkpoint), 0), out)


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


@pytest.mark.parametrize("title", BAD_ALIGNMENTS)
def test_what_is_refused(title, work, evomerge):
    words = BAD_ALIGNMENTS[title]()
    before = listing(work)
    code, out, err = evomerge(*words)
    assert said(err, work) == documented()[title]
    assert (code, out) == (2, "")
    assert listing(work) == before
