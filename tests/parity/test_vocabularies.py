"""Models of different vocabularies are merged alike, token by token, whatever the rows' order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from torch import Tensor
from transformers import AutoTokenizer

from evomerge.zoo.random_models import Options, random_model
from evomerge.zoo.small_tokenizers import word_tokenizer
from tests.parity.side_by_side import assert_same, follow

pytestmark = pytest.mark.parity

WORDS = {
    "base": "a b c d e f",
    "more": "a b c d e f g h",
    "other": "f e d c b a x",
    "tied": "a b c d e f h",
}
MATRICES = ("model.embed_tokens.weight", "lm_head.weight")
METHODS = {
    "linear": {"weight": 0.4},
    "task_arithmetic": {"weight": 0.7},
    "ties": {"weight": 0.7, "density": [{"filter": "embed", "value": 0.8}, {"value": 0.3}]},
    "slerp": {"t": 0.3},
    "karcher": {},
}


@pytest.fixture(scope="module")
def models(module_folder: Path) -> Mapping[str, str]:
    """Folders of models by name."""
    return {
        name: str(
            random_model(
                module_folder / name,
                seed=seed,
                options=Options(tokenizer=word_tokenizer(words.split()), tied=name == "tied"),
            )
        )
        for seed, (name, words) in enumerate(WORDS.items())
    }


def reordered(matrix: Tensor, rows: Mapping[str, int], wanted: Mapping[str, int]) -> Tensor:
    """The rows of ``matrix``, which stand as ``rows`` says, as ``wanted`` says."""
    result = matrix.clone()
    for token, row in wanted.items():
        result[row] = matrix[rows[token]]
    return result


@pytest.mark.parametrize("source", ["union", "base", "other"])
@pytest.mark.parametrize("others", [("more",), ("more", "other"), ("tied", "other")], ids=" ".join)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore:.*left out of the output's vocabulary:UserWarning")
def test_every_token_has_the_same_embedding(
    tmp_path: Path, models: Mapping[str, str], method: str, others: tuple[str, ...], source: str
):
    merged = others[-1:] if method == "slerp" else others
    if source == "other" and source not in merged:
        pytest.skip("the source of the tokenizer is one of the models")
    tree = {
        "merge_method": method,
        "base_model": models["base"],
        "models": [{"model": models[name]} for name in ("base", *merged)],
        "parameters": METHODS[method],
        "tokenizer_source": models.get(source, source) if source != "base" else "base",
        "dtype": "float32",
    }
    pair = follow(tree, tmp_path, copy_tokenizer=True)
    ours, theirs = (
        AutoTokenizer.from_pretrained(tmp_path / who).get_vocab() for who in ("ours", "theirs")
    )
    assert ours.keys() == theirs.keys()
    assert_same(
        pair,
        ours_as_theirs=lambda tensors: {
            name: reordered(tensor, ours, theirs) if name in MATRICES else tensor
            for name, tensor in tensors.items()
        },
        config=("tie_word_embeddings",) if "tied" in merged else (),
    )
