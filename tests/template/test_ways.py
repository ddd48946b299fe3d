"""In how many ways a template may align its models: none is missed, none counts twice."""

from __future__ import annotations

import pytest

from evomerge.template.ways import MANY, aligning
from tests.template.templates import read

EACH = (
    "{method: {choose: [a, b]}, groups: {choose: [[heads], [neurons]]}, to: {choose: [base, sums]}}"
)


def ways(align: str, *, prose: str = "none", base: str = "base") -> set[str]:
    template = read(
        f"merge_method: {{choose: [linear, task_arithmetic]}}\nbase_model: {base}\n"
        "parameters: {weight: {search: [0, 1]}}\nmodels:\n"
        f"  - {{model: words, align: {align}}}\n  - {{model: prose, align: {prose}}}"
    )
    found = aligning(template)
    assert len({frozenset(map(repr, each.aligned().items())) for each in found}) == len(found)
    return {repr((m, way.how)) for each in found for m, way in each.aligned().items()}


@pytest.mark.parametrize(
    ("align", "count"),
    [
        ("none", 0),
        ("a", 1),
        ("{choose: [none, a]}", 1),
        ("{choose: [a, none, b, {method: a, groups: [heads]}]}", 3),
        (EACH, 8),
        (f"{{choose: [none, {EACH}]}}", 8),
        ("{method: a, groups: {choose: [[heads], [heads, residual]]}}", 2),
    ],
)
def test_every_way_is_counted_once(align, count):
    assert len(ways(align)) == count


def test_ways_of_several_models_add_up():
    assert len(ways(EACH, prose="{choose: [none, a, b]}")) == 10


def test_another_base_is_another_way():
    assert len(ways("a", base="{choose: [base, sums]}")) == 2


def test_many_combinations_are_not_tried_one_by_one():
    """But each option is."""
    choices = {f"o{n}": [f"{n}{k}" for k in range(5)] for n in range(4)}
    options = ", ".join(f"{key}: {{choose: {each}}}" for key, each in choices.items())
    found = ways(f"{{method: a, {options}}}".replace("'", ""))
    assert MANY < 5**4
    for value in (each for values in choices.values() for each in values):
        assert any(f"'{value}'" in way or f": {int(value)}" in way for way in found)
