"""Recipes exported from a run mean the same to mergekit: it makes the tensors that were scored."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from evomerge.evidence import evidence_of
from evomerge.export import export
from evomerge.merging.plan import plan_merge
from evomerge.merging.stream import stream
from evomerge.recipe import Recipe
from tests.parity.conftest import Zoo
from tests.parity.side_by_side import Model, Pair, assert_same, read
from tests.report.studies import Book

pytestmark = pytest.mark.parity

# As templates fill them: gradients, filters, a base that is listed and one that is not.
SCORED = {
    "ties": """
        merge_method: ties
        base_model: llama/base
        dtype: float32
        models:
          - model: llama/expert_1
            parameters: {weight: [0.31, 1.27, 0.5], density: 0.412}
          - model: llama/expert_2
            parameters: {weight: [{filter: mlp, value: 0.9}, {value: 0.123456}], density: 0.75}
    """,
    "slerp": """
        merge_method: slerp
        base_model: llama/expert_1
        dtype: float32
        models: [{model: llama/expert_1}, {model: llama/expert_2}]
        parameters: {t: [{filter: self_attn, value: [0.1, 0.7]}, {value: 0.35}]}
    """,
    "task arithmetic": """
        merge_method: task_arithmetic
        base_model: llama/base
        dtype: float32
        parameters: {lambda: 0.83}
        models:
          - {model: llama/expert_1, parameters: {weight: -0.25}}
          - {model: llama/expert_2, parameters: {weight: 1.1}}
    """,
    "uniform soup": """
        merge_method: linear
        dtype: float32
        models:
          - {model: llama/expert_1, parameters: {weight: 1}}
          - {model: llama/expert_2, parameters: {weight: 1}}
    """,
    "what is spelled out though it is the default": """
        merge_method: model_stock
        base_model: llama/base
        dtype: float32
        models: [{model: llama/expert_1}, {model: llama/expert_2}]
        parameters: {clamp: false, filter_wise: false}
    """,
}


def by_mergekit_yaml(recipe: Path, out: Path) -> Model:
    """The model that the program ``mergekit-yaml`` makes of a file."""
    program = Path(sys.executable).parent / "mergekit-yaml"
    command = [str(program), str(recipe), str(out), "--no-copy-tokenizer", "--quiet"]
    subprocess.run(command, check=True, capture_output=True)
    return read(out)


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in SCORED.items()])
def test_mergekit_makes_of_an_export_what_was_scored(tmp_path: Path, zoo: Zoo, text: str):
    tree = dict(zoo(text))
    book = Book(tmp_path / "run")
    trial = book.add(recipe=tree, answers=book.answers(0.5, 0.5))
    leaving = export(book.study, trial, evidence_of(book.study))
    assert leaving.remarks == ()
    (tmp_path / "out.yaml").write_text(leaving.text)
    theirs = by_mergekit_yaml(tmp_path / "out.yaml", tmp_path / "theirs")
    ours = dict(stream(plan_merge(Recipe.from_tree(trial.recipe))))
    assert_same(Pair(Model(ours, theirs.config), theirs))
