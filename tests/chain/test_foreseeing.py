"""Every stage is looked at before the first has run, as far as it can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.chain.foreseeing import check_stages, foreseen, whole
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.config.templates import template_of
from evomerge.errors import CheckpointError, EvomergeError
from tests.chain.chains import blend, config, stack
from tests.chain.conftest import STAGES, read

# What is found may have three layers, or two, as in the middle.
DEEPER = {
    "recipe": {
        "merge_method": "passthrough",
        "dtype": "float32",
        "slices": {
            "choose": [
                [
                    {"sources": [{"model": "words", "layer_range": [0, 2]}]},
                    {"sources": [{"model": "words", "layer_range": [1, 2]}]},
                ],
                [{"sources": [{"model": "words", "layer_range": [0, 2]}]}],
            ]
        },
    },
    "budget": {"trials": 2},
}


# The same of a hole for stacks, whose middle is a model as it is.
HOLE = {
    "recipe": {
        "merge_method": "passthrough",
        "dtype": "float32",
        "slices": {"stack": {"models": ["words", "sums"]}},
    },
    "budget": {"trials": 2},
}


def look(located):
    template = template_of(located)
    return dict(located.config.models), template


def test_a_model_of_the_right_shape_stands_in_for_each_winner(tmp_path, models):
    chain = read(config(tmp_path, models, STAGES))
    with foreseen(chain, look) as stages:
        _, stack_stage = stages
        stand_in = Path(stack_stage.found["blend"])
        with open_checkpoint(str(stand_in)) as model, open_checkpoint(models["words"]) as other:
            assert model.names() == other.names()
            shapes = [[each.info(name).shape for name in each.names()] for each in (model, other)]
            assert shapes[0] == shapes[1]
        assert sum(file.stat().st_blocks for file in stand_in.glob("*.safetensors")) * 512 < 10**5
    assert not stand_in.exists()


def test_a_stand_in_that_is_to_be_scored_has_weights(tmp_path, models):
    chain = read(config(tmp_path, models, STAGES))
    with foreseen(chain, look, whole, tmp_path) as stages:
        _, stack_stage = stages
        stand_in = Path(stack_stage.found["blend"])
        assert stand_in.parents[1] == tmp_path
        with open_checkpoint(str(stand_in)) as model:
            assert all(abs(model.load(name)).max() > 0 for name in model.names())


def test_what_does_not_fit_is_refused_where_all_winners_have_one_shape(tmp_path, models):
    stages = {**STAGES, "stack": stack("blend", "words", layers=5)}
    with pytest.raises(EvomergeError, match=r"stage stack: .*layer"):
        check_stages(read(config(tmp_path, models, stages)))
    gone = {**STAGES, "stack": stack("blend", "more", layers=2, models={"more": "./gone"})}
    with pytest.raises(CheckpointError, match=r"stage stack: .*gone"):
        check_stages(read(config(tmp_path, models, gone)))


@pytest.mark.parametrize("deeper", [DEEPER, HOLE], ids=["a choice", "a stack"])
def test_what_does_not_fit_one_shape_may_fit_another(tmp_path, models, deeper):
    slices = [{"sources": [{"model": "deeper", "layer_range": [0, 3]}]}]
    recipe = {"merge_method": "passthrough", "slices": slices, "dtype": "float32"}
    recipe["parameters"] = {"scale": {"search": [0.9, 1.1]}}
    third = {"recipe": recipe, "budget": {"trials": 1}}
    (remark,) = check_stages(read(config(tmp_path, models, {"deeper": deeper, "third": third})))
    assert remark.startswith("stage third can be checked only when deeper has its winner, which")
    assert "layer" in remark
    with pytest.raises(EvomergeError, match="stage third: "):
        check_stages(read(config(tmp_path, models, {"deeper": STAGES["blend"], "third": third})))


def test_nothing_is_to_be_said_of_a_sound_chain(tmp_path, models):
    three = {**STAGES, "again": blend("blend", "stack")}
    assert check_stages(read(config(tmp_path, models, three))) == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.yaml", "held.txt", "text.txt"
    ]  # fmt: skip
