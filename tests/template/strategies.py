"""Random templates: every kind of hole, nested, shared by name and by object."""

from __future__ import annotations

from hypothesis import strategies as st

from evomerge.methods.base import merge_methods
from evomerge.recipe import ModelReference
from evomerge.recipe.align import GROUPS
from evomerge.space import rounded
from evomerge.template import Template

MODELS = {alias: ModelReference(f"zoo/{alias}") for alias in ("base", "sums", "words", "prose")}
PARENTS = ("sums", "words", "prose")
METHODS = ("dare_ties", "della", "linear", "multislerp", "slerp", "task_arithmetic", "ties")
FILTERS = ("attn", "mlp", "norm", "embed")

numbers = st.integers(-3, 3) | st.floats(-3, 3).map(rounded)
scalars = numbers | st.booleans() | st.sampled_from(["l1", "tensor", "1e-3"])


def ranges(low, high):
    return st.lists(st.floats(low, high).map(rounded), min_size=2, max_size=2).map(sorted)


searches = (
    st.fixed_dictionaries({"search": ranges(-2, 2)})
    | st.fixed_dictionaries({"search": ranges(1e-3, 10), "log": st.just(True)})
    | st.fixed_dictionaries(
        {
            "search": st.lists(st.integers(-5, 5), min_size=2, max_size=2).map(sorted),
            "int": st.just(True),
        }
    )
)
# Holes that share a dimension: of one name, wherever they stand.
named = st.sampled_from(["one", "two"]).map(lambda name: {"search": [-1, 1], "name": name})
named_choices = st.just({"choose": [0, 1, 2], "name": "three"})
# Holes that are one object, as YAML's aliases are.
ALIASED = [{"search": [0, 1]}, {"choose": [-1, {"search": [-1, 0]}, 1]}]
aliased = st.sampled_from(ALIASED)

anchors = scalars | searches | named | named_choices | aliased
knotted = st.builds(lambda hole, knots: {**hole, "knots": knots}, searches, st.integers(1, 4))
gradients = st.lists(anchors, max_size=3)


def unlike(options):
    """Options that a choice may have: no scalar and no list of scalars twice."""
    seen = []
    for option in options:
        said = repr([float(x) if type(x) is int else x for x in _listed(option)])
        if isinstance(option, dict) or said not in seen:
            seen.append(said)
            yield option


def _listed(option):
    return option if isinstance(option, list) else ["alone", option]


def choose(options):
    return (
        st.lists(options, min_size=2, max_size=4)
        .map(lambda found: list(unlike(found)))
        .filter(lambda found: len(found) > 1)
        .map(lambda found: {"choose": found})
    )


values = anchors | gradients | knotted | choose(anchors | gradients | knotted)
filters = st.lists(st.sampled_from(FILTERS), max_size=3, unique=True)


@st.composite
def conditions(draw):
    entries = [{"filter": each, "value": draw(values)} for each in draw(filters)]
    return [*entries, {"value": draw(values)}]


grouped = st.builds(lambda hole, by: {**hole, "by": by}, searches | knotted, filters)
settings = values | conditions() | grouped | choose(values | conditions())


@st.composite
def parameters(draw, methods):
    names = sorted({name for method in methods for name in merge_methods[method].params})
    chosen = draw(st.lists(st.sampled_from(names), max_size=3, unique=True))
    return {name: draw(settings) for name in chosen}


@st.composite
def entries(draw, methods, extra=()):
    """Items of ``models`` or ``sources``, of different models; one may be chosen."""
    found = []
    aliases = draw(st.lists(st.sampled_from(["base", *PARENTS]), min_size=1, unique=True))
    if len(aliases) > 2 and draw(st.booleans()):
        aliases = [{"choose": aliases[:2]}, *aliases[2:]]
    for alias in aliases:
        entry = {"model": alias, **dict(extra)}
        if draw(st.booleans()):
            entry["parameters"] = draw(parameters(methods))
        found.append(entry)
    return found


# What ``prose`` may be aligned to; nothing else is aligned.
aligners = st.sampled_from(["weight_matching", "zipper"])
some_groups = st.lists(st.sampled_from(GROUPS), min_size=1, unique=True)
apart = st.lists(some_groups, min_size=2, max_size=3, unique_by=lambda found: repr(sorted(found)))


@st.composite
def ways(draw, *, anchored: bool):
    """What stands under ``align``; ``to`` must be there if nothing is meant without it."""
    found = {"method": draw(aligners | st.just({"choose": ["weight_matching", "zipper"]}))}
    to = st.sampled_from(["base", "sums", {"choose": ["base", "sums"]}])
    optional = {
        "to": to,
        "groups": some_groups | st.just("heads") | apart.map(lambda each: {"choose": each}),
        "seed": st.integers(0, 2),
        "mode": scalars | st.just({"choose": ["one", "two"]}),
        "data": st.just({"file": "texts.jsonl", "items": 3}),
    }
    for key, strategy in optional.items():
        if (key == "to" and not anchored) or draw(st.booleans()):
            found[key] = draw(strategy)
    return draw(aligners) if anchored and draw(st.booleans()) else found


@st.composite
def aligned(draw, body):
    """``body`` with an alignment of ``prose``, if that stands in it once and by itself."""
    parts = body.get("slices", [body])
    lists = [part.get("models", part.get("sources")) for part in parts]
    places = [entry for each in lists for entry in each if entry["model"] == "prose"]
    if len(places) == 1 and "'prose'" in repr(body).replace("'model': 'prose'", "", 1):
        return body
    if len(places) == 1 and draw(st.booleans()):
        way = ways(anchored="base_model" in body)
        several = st.lists(way, min_size=1, max_size=2, unique_by=repr)
        chosen = several.map(lambda each: {"choose": ["none", *each]})
        places[0]["align"] = draw(way | chosen | st.sampled_from(["none", False]))
    return body


def words(methods):
    """A method, or a choice of methods."""
    if len(methods) == 1:
        return st.just(methods[0])
    several = st.lists(st.sampled_from(methods), min_size=2, unique=True)
    return st.sampled_from(methods) | several.map(lambda found: {"choose": found})


@st.composite
def method_lists(draw, methods):
    """A conditional list of methods, or of choices of them."""
    entries = [{"filter": each, "value": draw(words(methods))} for each in draw(filters)]
    return [*entries, {"value": draw(words(methods))}]


@st.composite
def method_settings(draw, methods):
    """Everything that ``merge_method`` may be."""
    setting = words(methods) | method_lists(methods)
    if draw(st.booleans()):
        return draw(setting)
    return {"choose": [draw(st.sampled_from(methods)), draw(method_lists(methods))]}


@st.composite
def slices(draw, methods):
    sources = draw(entries(methods, [("layer_range", [0, 2])]))
    found = {"sources": sources}
    if draw(st.booleans()):
        found["merge_method"] = draw(method_settings(methods))
    if draw(st.booleans()):
        found["base_model"] = draw(st.sampled_from(["sums", {"choose": ["base", "words"]}]))
    if draw(st.booleans()):
        found["parameters"] = draw(parameters(methods))
    return found


@st.composite
def bodies(draw):
    methods = draw(st.lists(st.sampled_from(METHODS), min_size=1, max_size=3, unique=True))
    several = {"choose": methods} if len(methods) > 1 else methods[0]
    body = {"merge_method": draw(st.just(several) | method_settings(methods))}
    methods = [method for method in methods if f"'{method}'" in repr(body)]
    if draw(st.booleans()):
        body["models"] = draw(entries(methods))
    else:
        body["slices"] = draw(st.lists(slices(methods), min_size=1, max_size=2))
    optional = {
        "base_model": st.sampled_from(["base", {"choose": ["base", "sums"]}]),
        "dtype": st.sampled_from(["float32", {"choose": ["torch.bfloat16", "float16"]}]),
        "seed": st.integers(0, 9),
        "parameters": parameters(methods) | choose(parameters(methods)),
        "tokenizer_source": st.sampled_from(["union", "words", {"choose": ["base", "prose"]}]),
    }
    for key, strategy in optional.items():
        if draw(st.booleans()):
            body[key] = draw(strategy)
    return draw(aligned(body))


trees = bodies() | st.lists(bodies(), min_size=2, max_size=3).map(lambda each: {"choose": each})


def template_of(tree, family=None):
    return Template.read(tree, MODELS, merge_methods, family=family)


templates = trees.map(template_of)


@st.composite
def templates_and_points(draw):
    template = draw(templates)
    return template, draw(points(template))


@st.composite
def points(draw, template):
    units = st.lists(
        st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0]),
        min_size=len(template.space),
        max_size=len(template.space),
    )
    return template.space.decode(draw(units))
