"""Promises of the cosines between residual streams."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cosine_similarity

from evomerge.errors import MergeError, VocabularyError
from evomerge.evaluators.base import LoadedModel
from evomerge.inspection.similarity import directions, similarity
from evomerge.inspection.streams import streams, windows_of
from evomerge.zoo.random_models import Options
from evomerge.zoo.small_tokenizers import word_tokenizer
from tests.inspection.models import KINDS, OPTIONS, TEXT, WORDS, load, made


@pytest.fixture(scope="module")
def pair(module_folder: Path) -> tuple[LoadedModel, LoadedModel]:
    return tuple(load(made(module_folder / f"model_{n}", seed=n)) for n in range(2))


def hidden_states(loaded: LoadedModel, text: str) -> torch.Tensor:
    """The streams before all layers as transformers lists them, without the last one."""
    tokens = [1, *loaded.tokenizer(text, add_special_tokens=False)["input_ids"]]
    with torch.no_grad():
        found = loaded.model(torch.tensor([tokens]), output_hidden_states=True)
    return torch.cat(found.hidden_states[:-1])


@pytest.mark.parametrize("kind", KINDS)
def test_streams_are_those_that_transformers_lists_and_one_more(kind, tmp_path):
    loaded = load(made(tmp_path / "model", kind))
    windows = windows_of(loaded, TEXT)
    found = list(streams(loaded, windows))
    assert [each.shape for each in found] == [(OPTIONS.layers + 1, len(w), 32) for w in windows]
    for text, stream in zip(TEXT, found, strict=True):
        assert torch.equal(stream[:-1], hidden_states(loaded, text))


def test_the_last_stream_is_what_the_last_norm_reads(pair):
    loaded, _ = pair
    (tokens,) = windows_of(loaded, TEXT[:1])
    (stream,) = streams(loaded, (tokens,))
    with torch.no_grad():
        logits = loaded.model.lm_head(loaded.model.model.norm(stream[-1]))
        expected = loaded.model(torch.tensor([tokens])).logits[0]
    assert torch.allclose(logits, expected, atol=1e-6)


def test_cosines_are_means_over_the_tokens(pair):
    one, other = pair
    found = similarity(one, other, TEXT)
    ours, theirs = (torch.cat([*map(s, TEXT)], 1) for s in map(stream_of, pair))
    expected = cosine_similarity(ours[:, None], theirs[None], dim=-1).mean(-1)
    assert np.allclose(np.array(found.cosines)[:-1, :-1], expected, atol=1e-5)
    assert found.tokens == ours.shape[1]


def stream_of(loaded: LoadedModel):
    return lambda text: hidden_states(loaded, text)


def test_a_model_beside_itself_is_symmetric_with_ones(pair):
    cosines = np.array(similarity(pair[0], pair[0], TEXT).cosines)
    assert np.allclose(np.diag(cosines), 1, atol=1e-6)
    assert np.allclose(cosines, cosines.T, atol=1e-6)
    assert cosines.min() < 0.95


def test_swapping_the_models_transposes_the_cosines(pair):
    one, other = pair
    cosines = np.array(similarity(one, other, TEXT).cosines)
    assert np.allclose(cosines, np.array(similarity(other, one, TEXT).cosines).T, atol=1e-6)


def test_layers_that_add_nothing_leave_one_stream(tmp_path):
    loaded = load(made(tmp_path / "model"))
    for name, parameter in loaded.model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            parameter.zero_()
    assert np.allclose(similarity(loaded, loaded, TEXT).cosines, 1, atol=1e-6)


def test_models_of_other_depths_are_compared(pair, tmp_path):
    deeper = load(made(tmp_path / "deeper", options=Options(layers=6, tokenizer=OPTIONS.tokenizer)))
    assert np.array(similarity(pair[0], deeper, TEXT).cosines).shape == (5, 7)


def test_long_documents_are_read_in_pieces(pair):
    (document,) = [" ".join(["the cat sat on the mat"] * 50)]
    windows = windows_of(pair[0], [document])
    assert [len(window) for window in windows] == [64] * 4 + [45]
    assert windows[0][0] == 1
    assert similarity(*pair, [document]).tokens == 301


def test_streams_of_other_widths_are_refused(pair, tmp_path):
    wide = load(made(tmp_path / "wide", options=Options(hidden=48, tokenizer=OPTIONS.tokenizer)))
    with pytest.raises(MergeError, match=r"stream is 48 wide, that of .* 32; only"):
        similarity(pair[0], wide, TEXT)


def test_models_that_read_other_tokens_are_refused(pair, tmp_path):
    other = Options(layers=4, tokenizer=word_tokenizer(WORDS[::-1]))
    with pytest.raises(VocabularyError, match=r"reads the text as 20 tokens, .* as 20 others"):
        similarity(pair[0], load(made(tmp_path / "other", options=other)), TEXT)


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=8), st.floats(0.01, 100))
def test_a_direction_has_no_length(values, factor):
    vector = torch.tensor(values)
    found = directions(vector)
    assert torch.allclose(found, directions(vector * factor), atol=1e-4) or vector.norm() < 1e-9
    assert float(found.norm()) == pytest.approx(1, abs=1e-5) or vector.norm() < 1e-9
