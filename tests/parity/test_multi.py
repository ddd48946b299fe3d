"""Recipes of several methods, in steps for ``mergekit-multi``: it makes the tensors that we do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from evomerge.api import merge
from evomerge.evidence import evidence_of
from evomerge.export import export
from evomerge.recipe import Recipe
from tests.parity.conftest import Zoo
from tests.parity.side_by_side import Model, Pair, assert_same, read
from tests.report.studies import Book

pytestmark = pytest.mark.parity

TIES_AND_LINEAR = """
    merge_method: ties
    base_model: llama/base
    dtype: float32
    parameters: {density: 0.4, normalize: false}
    slices:
      - sources:
          - {model: llama/base, layer_range: [0, 2]}
          - {model: llama/expert_1, layer_range: [0, 2], parameters: {weight: [0.3, 1.1]}}
          - {model: llama/expert_2, layer_range: [0, 2], parameters: {weight: 0.7}}
      - merge_method: linear
        sources:
          - {model: llama/base, layer_range: [2, 4], parameters: {weight: 0.2}}
          - {model: llama/expert_1, layer_range: [2, 4], parameters: {weight: 0.5}}
          - model: llama/expert_2
            layer_range: [2, 4]
            parameters: {weight: [{filter: mlp, value: [0.9, 0.1]}, {value: 0.4}]}
"""
# Several slices of one method, layers that stand twice, a base of one slice's own, another dtype.
STACKED = """
    merge_method: slerp
    base_model: llama/expert_1
    dtype: float32
    out_dtype: bfloat16
    slices:
      - merge_method: passthrough
        sources: [{model: llama/expert_2, layer_range: [0, 1]}]
      - base_model: llama/base
        parameters: {t: 0.3}
        sources:
          - {model: llama/base, layer_range: [0, 2]}
          - {model: llama/expert_1, layer_range: [1, 3]}
      - parameters: {t: [{filter: self_attn, value: [0.1, 0.7]}, {value: 0.35}]}
        sources:
          - {model: llama/expert_1, layer_range: [2, 4]}
          - {model: llama/expert_2, layer_range: [2, 4]}
"""


def by_mergekit_multi(recipe: Path, scratch: Path) -> Model:
    """The model that the program ``mergekit-multi`` makes of a file."""
    program = Path(sys.executable).parent / "mergekit-multi"
    places = ["--intermediate-dir", str(scratch / "steps"), "--out-path", str(scratch / "out")]
    command = [str(program), str(recipe), *places, "--no-copy-tokenizer", "--quiet"]
    subprocess.run(command, check=True, capture_output=True)
    return read(scratch / "out")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TIES_AND_LINEAR, id="ties, then linear"),
        pytest.param(TIES_AND_LINEAR.replace("llama/", "tied/"), id="one matrix at both ends"),
        pytest.param(STACKED, id="a stack"),
    ],
)
def test_mergekit_multi_makes_of_an_export_what_was_scored(tmp_path: Path, zoo: Zoo, text: str):
    tree = dict(zoo(text))
    book = Book(tmp_path / "run")
    trial = book.add(recipe=tree, answers=book.answers(0.5, 0.5))
    leaving = export(book.study, trial, evidence_of(book.study))
    assert leaving.multi is not None
    (tmp_path / "multi.yaml").write_text(leaving.multi)
    theirs = by_mergekit_multi(tmp_path / "multi.yaml", tmp_path)
    ours = read(merge(Recipe.from_tree(trial.recipe), tmp_path / "ours"))
    assert_same(Pair(ours, theirs))
