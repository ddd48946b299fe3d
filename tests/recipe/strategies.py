"""Random recipes, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from evomerge.recipe import ModelReference, Recipe

# Whatever a YAML text can hold: no control characters, no half of a surrogate pair.
texts = st.text(st.characters(exclude_categories=("Cc", "Cs"), include_characters="\n\t"))
names = st.text(st.characters(categories=("L", "N"), include_characters="_-./ :#+@"), min_size=1)
revisions = st.none() | names
references = st.builds(ModelReference, names, revisions) | st.builds(
    ModelReference, names, revisions, names, revisions
)
vocabularies = st.sampled_from(["union", "base"]) | references.filter(
    lambda model: str(model) not in {"union", "base"}
)

numbers = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.booleans() | numbers | texts
gradients = st.lists(scalars, max_size=4)
values = scalars | gradients
conditions = st.builds(
    lambda text, value: {"value": value} if text is None else {"filter": text, "value": value},
    st.none() | texts,
    values,
)
settings = values | st.lists(conditions, min_size=1, max_size=3)
parameters = st.dictionaries(names, settings, max_size=3)

token_sources = (
    references
    | st.just({"kind": "zero"})
    | st.builds(lambda m, t: {"kind": "model_token", "model": m, "token": t}, references, texts)
    | st.builds(
        lambda m, i: {"kind": "model_token", "model": m, "token_id": i},
        references,
        st.integers(0, 10**6),
    )
)
tokens = st.fixed_dictionaries({}, optional={"source": token_sources, "force": st.booleans()})
tokenizers = st.fixed_dictionaries(
    {},
    optional={
        "source": vocabularies,
        "tokens": st.dictionaries(texts, tokens, max_size=3),
        "pad_to_multiple_of": st.integers(1, 512),
    },
)

sizes = st.integers(2, 10**6)
datasets = st.fixed_dictionaries(
    {"file": names},
    optional={"items": sizes, "batch": sizes, "length": sizes, "seed": st.integers()},
)


def listed(**optional):
    return st.lists(
        st.fixed_dictionaries(
            {"model": references}, optional={"parameters": parameters, **optional}
        ),
        min_size=1,
        max_size=3,
        unique_by=lambda entry: entry["model"],
    )


models = listed()


@st.composite
def slices(draw):
    """One item of ``slices:``, whose sources have equally many layers."""
    length = draw(st.integers(0, 40))
    sources = []
    for entry in draw(models):
        first = draw(st.integers(0, 40))
        sources.append({**entry, "layer_range": [first, first + length]})
    optional = {"base_model": references, "parameters": parameters}
    return {"sources": sources, **draw(st.fixed_dictionaries({}, optional=optional))}


@st.composite
def trees(draw):
    """A recipe as Python data, as YAML would give it."""
    body = draw(
        st.fixed_dictionaries({"models": listed(data=datasets)})
        | st.fixed_dictionaries({"slices": st.lists(slices(), min_size=1, max_size=3)})
    )
    dtypes = st.sampled_from(["bfloat16", "torch.float16", "float32"])
    optional = {
        "base_model": references,
        "parameters": parameters,
        "dtype": dtypes,
        "out_dtype": dtypes,
        "chat_template": texts,
        "data": datasets,
        "seed": st.integers(),
    }
    rest = draw(st.fixed_dictionaries({"merge_method": names}, optional=optional))
    vocabulary = draw(
        st.fixed_dictionaries({}, optional={"tokenizer": tokenizers})
        | st.fixed_dictionaries({}, optional={"tokenizer_source": vocabularies})
    )
    return {**body, **rest, **vocabulary}


recipes = trees().map(Recipe.from_tree)
