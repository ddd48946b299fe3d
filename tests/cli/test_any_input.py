"""Whatever stands in a recipe or a model: it is merged, or refused in one message. Never a bug."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evomerge.methods.base import merge_methods
from tests.cli.bad_input import change_config, linear, recipe

MODELS = ("base", "maths", "code")
VALUES = st.sampled_from(
    [
        *(0, 1, 0.5, -1, 1e-3, 3.5, True, "l1", "none", [0, 1], [0.2, 0.8], [True, False], []),
        {"filter": "mlp", "value": 0.3},
        [{"filter": "attn", "value": [0, 1]}, {"value": 0.2}],
    ]
)


@st.composite
def recipes(draw) -> dict[str, object]:
    """Recipes of sound form; whether their method can follow them is another matter."""
    method = draw(st.sampled_from(sorted(merge_methods)))
    names = st.sampled_from(sorted(merge_methods[method].params) or ["weight"])
    own = st.dictionaries(names, VALUES, max_size=1)
    chosen = draw(st.lists(st.sampled_from(MODELS), min_size=1, max_size=3, unique=True))
    entries = [{"model": model, "parameters": draw(own)} for model in chosen]
    tree: dict[str, object] = {"merge_method": method, "parameters": draw(own)}
    if draw(st.booleans()):
        tree["models"] = entries
    else:
        span = draw(st.sampled_from([[0, 2], [1, 2], [0, 0], [1, 3]]))
        tree["slices"] = [{"sources": [{**entry, "layer_range": span} for entry in entries]}]
    settings = {"base_model": "base", "dtype": "bfloat16", "tokenizer_source": "union"}
    settings |= {"out_dtype": "float16", "chat_template": "auto"}
    return tree | {key: settings[key] for key in settings if draw(st.booleans())}


def ended(code: int, err: str) -> None:
    """In success or in one message, warnings aside."""
    lines = [line for line in err.splitlines() if not line.startswith("warning: ")]
    assert code in {0, 2}
    assert [line.startswith("error: ") for line in lines[:1]] == [True] * (code == 2)


@pytest.mark.filterwarnings("default")
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=recipes())
def test_any_recipe_is_followed_or_refused_and_inspection_knows_which(tree, work, evomerge):
    recipe(json.dumps(tree))
    inspected, _, complaint = evomerge("inspect", "recipe.yaml")
    code, _, err = evomerge("merge", "recipe.yaml", "merged", "--force")
    ended(code, err)
    assert inspected == code
    assert complaint.splitlines()[-1:] == err.splitlines()[-1:]
    if code == 2:
        assert sorted(path.name for path in work.iterdir() if not path.is_symlink()) in (
            ["merged", "recipe.yaml"],
            ["recipe.yaml"],
        )


ODD = (None, [], {}, "x", -1, 0, 1e99, [None], [1, 2], {"a": 1}, 10**30)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "key",
    [
        "architectures", "num_hidden_layers", "vocab_size", "tie_word_embeddings", "layer_types",
        "max_window_layers", "mlp_only_layers", "decoder_sparse_step", "text_config",
        "quantization_config", "eos_token_id", "dtype", "model_type",
    ],
)  # fmt: skip
def test_any_config_is_followed_or_refused(key, work, evomerge):
    shutil.copytree("maths", "broken")
    linear("broken", "code")
    for value in ODD:
        change_config(Path("broken"), **{key: value})
        code, _, err = evomerge("merge", "recipe.yaml", "merged", "--force")
        ended(code, err)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("tokenizer.json", "added_tokens"),
        ("tokenizer.json", "model"),
        ("tokenizer_config.json", "bos_token"),
        ("tokenizer_config.json", "added_tokens_decoder"),
        ("tokenizer_config.json", "extra_special_tokens"),
        ("tokenizer_config.json", "chat_template"),
    ],
)
def test_any_tokenizer_is_followed_or_refused(file, key, work, evomerge):
    shutil.copytree("maths", "broken")
    linear("broken", "code", more="tokenizer_source: union\nchat_template: auto\n")
    content = json.loads(Path("maths", file).read_text())
    for value in ODD:
        Path("broken", file).write_text(json.dumps(content | {key: value}))
        code, _, err = evomerge("merge", "recipe.yaml", "merged", "--force")
        ended(code, err)
