"""Promises of sources: a recipe's reference becomes tensors, whatever it is made of."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
import pytest
from huggingface_hub import constants

from evomerge.checkpoint.source import Source, open_source
from evomerge.dtypes import BFLOAT16
from evomerge.errors import CheckpointError
from evomerge.recipe.reference import ModelReference
from evomerge.zoo.random_models import Options, random_model
from tests.checkpoint.peft_adapters import factors, hand_made

QUERY = "model.layers.0.self_attn.q_proj"
COMMIT = "0" * 40


@pytest.fixture(scope="module")
def base(module_folder):
    return random_model(module_folder / "base", options=Options(dtype="bfloat16"))


@pytest.fixture(scope="module")
def words(module_folder):
    return hand_made(module_folder / "words", factors(QUERY, 32, 32))


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """Puts a folder into a Hugging Face cache, under an id and a tag."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))

    def put(folder, name, tag):
        repository = tmp_path / f"models--{name.replace('/', '--')}"
        shutil.copytree(folder, repository / "snapshots" / COMMIT)
        (repository / "refs").mkdir()
        (repository / "refs" / tag).write_text(COMMIT)

    return put


def test_a_model_is_read_as_stored(base):
    source: Source = open_source(ModelReference(str(base)))
    assert source.label == "base"
    assert source.folder == base
    assert source.config["model_type"] == "llama"
    assert source.info(f"{QUERY}.weight").dtype == BFLOAT16
    assert source.load(f"{QUERY}.weight").dtype == BFLOAT16


def test_an_adapted_model_has_the_files_and_types_of_its_base(base, words):
    source: Source = open_source(ModelReference(str(base), adapter=str(words)))
    plain = open_source(ModelReference(str(base)))
    assert source.label == "base+words"
    assert source.folder == base
    assert source.config == plain.config
    assert source.names() == plain.names()
    assert [source.info(n) for n in source.names()] == [plain.info(n) for n in plain.names()]
    changed = [n for n in source.names() if source.load(n).dtype != plain.load(n).dtype]
    assert changed == [f"{QUERY}.weight"]


def test_references_and_labels_may_be_ids(base, words, cached):
    cached(base, "lab/base", "v1")
    cached(words, "lab/words", "v2")
    source = open_source(ModelReference.parse("lab/base@v1+lab/words@v2"))
    assert source.label == "lab/base+lab/words"
    assert source.load(f"{QUERY}.weight").dtype == np.float32


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("missing/model", "missing/model: no such folder"),
        ("{base}+missing/adapter", "missing/adapter: no such folder"),
        ("{base}@main", "a folder has no revisions"),
        ("{base}+{words}@main", "a folder has no revisions"),
        ("{words}", "a LoRA adapter, not a model"),
        ("{base}+{base}", "a model, not a LoRA adapter"),
    ],
)
def test_what_cannot_be_opened_is_named(base, words, cached, text, reason):
    with pytest.raises(CheckpointError, match=reason):
        open_source(ModelReference.parse(text.format(base=base, words=words)))


def test_threads_share_one_adapted_model(base, words):
    source = open_source(ModelReference(str(base), adapter=str(words)))
    whole = source.load(f"{QUERY}.weight")
    cuts = [slice(start, start + 5) for start in range(32)] * 20
    with ThreadPoolExecutor(8) as pool:
        blocks = pool.map(source.load, repeat(f"{QUERY}.weight"), cuts)
        for cut, block in zip(cuts, blocks, strict=True):
            np.testing.assert_array_equal(block, whole[cut])


def test_closing_closes_model_and_adapter(base, words):
    with open_source(ModelReference(str(base), adapter=str(words))) as source:
        assert len(source.load(f"{QUERY}.weight")) == 32
    with pytest.raises(ValueError, match="closed"):
        source.load(f"{QUERY}.weight")
