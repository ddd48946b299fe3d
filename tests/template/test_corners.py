"""Points whose models are known by name, by hand."""

from __future__ import annotations

from evomerge.recipe.entry import plain
from tests.template.templates import read, two

TIES = """
merge_method: ties
base_model: base
models:
  - {model: sums, parameters: {weight: {search: [0, 1.5], knots: 2}, density: {search: [0.1, 1]}}}
  - {model: words, parameters: {weight: {search: [-1, 2], by: mlp}, density: {search: [0.1, 1]}}}
parameters: {lambda: {search: [0.5, 1.5]}}
"""


def corners(template):
    """The recipes of the corners, as trees."""
    return {label: plain(template.fill(point)) for label, point in template.corners()}


def weights(tree):
    return [entry.get("parameters", {}).get("weight") for entry in tree["models"]]


def everywhere(value):
    return [{"filter": "mlp", "value": value}, {"value": value}]


def test_the_base_each_model_alone_and_the_mean():
    found = corners(read(TIES))
    assert list(found) == ["base", "only sums", "only words", "uniform"]
    assert weights(found["base"]) == [[0, 0], everywhere(0)]
    assert weights(found["only sums"]) == [[1, 1], everywhere(0)]
    assert weights(found["only words"]) == [[0, 0], everywhere(1)]
    assert weights(found["uniform"]) == [[0.5, 0.5], everywhere(0.5)]
    for tree in found.values():
        assert tree["models"][0]["parameters"]["density"] == 1
        assert tree["parameters"]["lambda"] == 1


def test_what_lies_outside_of_a_range_is_left_out():
    found = corners(two("{weight: {search: [0.2, 1]}}"))
    assert list(found) == []
    three = read(TIES.replace("[0, 1.5]", "[0, 0.9]"))
    assert list(corners(three)) == ["base", "only words", "uniform"]


def test_densities_that_cannot_be_one_stay_in_the_middle():
    found = corners(read(TIES.replace("[0.1, 1]", "[0.1, 0.5]")))
    assert found["only sums"]["models"][0]["parameters"]["density"] == 0.3
    assert found["only sums"]["parameters"]["lambda"] == 1


def test_a_base_among_the_models_is_not_one_of_them():
    template = read("""
        merge_method: dare_ties
        base_model: base
        models:
          - {model: base}
          - {model: sums, parameters: {weight: {search: [0, 1]}}}
          - {model: words, parameters: {weight: {search: [0, 1]}}}
    """)
    found = corners(template)
    assert list(found) == ["base", "only sums", "only words", "uniform"]
    assert weights(found["uniform"]) == [None, 0.5, 0.5]


def test_models_that_are_averaged_have_no_base_to_fall_back_on():
    template = read("""
        merge_method: linear
        base_model: base
        models:
          - {model: base, parameters: {weight: {search: [0, 1]}}}
          - {model: sums, parameters: {weight: {search: [0, 1]}}}
          - {model: words, parameters: {weight: {search: [0, 1]}}}
    """)
    found = corners(template)
    assert list(found) == ["only base", "only sums", "only words", "uniform"]
    assert weights(found["uniform"]) == [0.333333] * 3
    assert weights(found["only base"]) == [1, 0, 0]


def test_stations_on_the_way_between_two_models():
    template = read("""
        merge_method: slerp
        base_model: base
        models: [{model: base}, {model: words}]
        parameters: {t: {search: [0, 1], by: [mlp], knots: 2}}
    """)
    found = corners(template)
    assert list(found) == ["t = 0", "t = 1", "t = 0.5", "t = 0.25", "t = 0.75"]
    assert found["t = 0.25"]["parameters"]["t"] == everywhere([0.25, 0.25])


def test_the_mean_is_given_for_each_method():
    template = read(TIES.replace("merge_method: ties", "merge_method: {choose: [ties, linear]}"))
    assert list(corners(template)) == [
        "base",
        "only sums",
        "only words",
        "uniform linear",
        "uniform ties",
    ]


def test_models_are_alone_in_every_slice_or_not_at_all():
    template = read("""
        merge_method: linear
        slices:
          - sources:
              - {model: sums, layer_range: [0, 1], parameters: {weight: {search: [0, 1]}}}
              - {model: words, layer_range: [0, 1], parameters: {weight: {search: [0, 1]}}}
          - sources:
              - {model: sums, layer_range: [1, 2], parameters: {weight: {search: [0, 1]}}}
              - {model: prose, layer_range: [1, 2], parameters: {weight: {search: [0, 1]}}}
    """)
    found = corners(template)
    assert list(found) == ["only sums", "uniform"]
    sources = [each for part in found["only sums"]["slices"] for each in part["sources"]]
    assert [source["parameters"]["weight"] for source in sources] == [1, 0, 1, 0]


def test_there_is_no_corner_where_no_weight_is_searched():
    assert corners(two("{weight: 1, density: {search: [0, 1]}}")) == {}
    template = read("""
        merge_method: model_stock
        base_model: base
        models: [{model: sums}, {model: words}]
        parameters: {filter_wise: {choose: [true, false]}}
    """)
    assert corners(template) == {}
