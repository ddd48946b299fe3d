"""Promises of bits per byte, and of the windows in which a text is read."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import EvaluationError, RecipeError
from evomerge.evaluators.base import LoadedModel, make_evaluator
from evomerge.evaluators.perplexity import Perplexity
from evomerge.evaluators.texts import read_documents, windows

TEXTS = ("the cat sat on the mat", "the dog ran", "", "red big red big cat " * 20)


@pytest.fixture
def jsonl(tmp_path) -> Path:
    file = tmp_path / "prose.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    return file


@given(count=st.integers(0, 60), length=st.integers(1, 20), stride=st.integers(1, 20))
def test_windows_score_every_token_but_the_first_once(count, length, stride):
    stride = min(stride, length)
    tokens = list(range(count))
    scored: list[int] = []
    for window in windows(7, tokens, length=length, stride=stride):
        assert window.document == 7
        assert len(window.tokens) <= length + 1
        assert window.scored < len(window.tokens)
        scored += window.tokens[-window.scored :]
    assert scored == tokens[1:]


def by_hand(model: LoadedModel, text: str) -> float:
    """Log-likelihood of a text that fits into the model, in nats."""
    tokens = [model.tokenizer.bos_token_id, *model.tokenizer(text)["input_ids"]]
    with torch.no_grad():
        logits = model.model(torch.tensor([tokens[:-1]])).logits[0]
    chosen = torch.log_softmax(logits, -1)[range(len(tokens) - 1), tokens[1:]]
    return float(chosen.sum())


def test_bits_per_byte_is_a_ratio_of_sums(jsonl, models):
    scores = Perplexity(file=jsonl, limit=2).evaluate(models[0])
    expected = [(by_hand(models[0], text), len(text)) for text in TEXTS[:2]]
    (measure,) = scores.measures
    for index, (log_likelihood, size) in enumerate(expected):
        found = measure.contributions[index]
        assert found == (pytest.approx(log_likelihood, rel=1e-5), size)
    bits = -sum(one for one, _ in expected) / math.log(2)
    assert measure.value == pytest.approx(bits / sum(size for _, size in expected), rel=1e-5)
    assert scores.main == measure
    assert not measure.higher_is_better


def test_a_model_that_knows_nothing_needs_the_logarithm_of_its_vocabulary(jsonl, models):
    model = copy.deepcopy(models[0].model)
    with torch.no_grad():
        model.lm_head.weight.zero_()
    found = Perplexity(file=jsonl).evaluate(LoadedModel(model, models[0].tokenizer, "zero"))
    words = sum(len(text.split()) for text in TEXTS)
    expected = words * math.log2(model.config.vocab_size) / sum(map(len, TEXTS))
    assert found.main.value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_batch_size_does_not_matter(jsonl, models, batch_size):
    few = Perplexity(file=jsonl, window=8, batch_size=batch_size).evaluate(models[0])
    many = Perplexity(file=jsonl, window=8, batch_size=16).evaluate(models[0])
    assert few.main.value == pytest.approx(many.main.value, rel=1e-6)


def test_a_stride_beyond_the_window_is_the_window(jsonl, models):
    far = Perplexity(file=jsonl, window=8, stride=100).evaluate(models[0])
    assert far == Perplexity(file=jsonl, window=8, stride=8).evaluate(models[0])
    assert far != Perplexity(file=jsonl, window=8, stride=4).evaluate(models[0])


def test_a_window_is_never_longer_than_the_model(jsonl, models):
    assert models[0].model.config.max_position_embeddings == 64
    asked = Perplexity(file=jsonl, window=1024, stride=32).evaluate(models[0])
    own = Perplexity(file=jsonl, window=64, stride=32).evaluate(models[0])
    assert asked.main.value == own.main.value


def test_items_are_documents_and_empty_ones_are_none(jsonl, models):
    evaluator = Perplexity(file=jsonl)
    assert list(evaluator.evaluate(models[0]).measures[0].contributions) == [0, 1, 3]
    some = evaluator.evaluate(models[0], {"prose": [3, 1]}).measures[0]
    assert list(some.contributions) == [1, 3]
    with pytest.raises(EvaluationError, match="no text in document 2; there are 4, counted from"):
        evaluator.evaluate(models[0], [2])


def test_each_model_is_read_with_its_own_tokenizer(jsonl, models):
    evaluator = Perplexity(file=jsonl)
    first = evaluator.evaluate(models[0])
    assert evaluator.evaluate(models[1]) != first
    assert evaluator.evaluate(models[0]) == first


def test_nan_is_no_score(jsonl, models):
    nan = copy.deepcopy(models[0].model)
    with torch.no_grad():
        nan.lm_head.weight.fill_(float("nan"))
    with pytest.raises(EvaluationError, match="bits_per_byte is not a number"):
        Perplexity(file=jsonl).evaluate(LoadedModel(nan, models[0].tokenizer, "nan"))


def test_every_batch_is_preceded_by_a_tick(jsonl, models):
    ticks: list[int] = []
    Perplexity(file=jsonl, batch_size=1).evaluate(models[0], tick=lambda: ticks.append(1))
    assert len(ticks) >= 3


@given(lines=st.lists(st.text(st.sampled_from("abü \n")), max_size=30), block=st.integers(1, 20))
def test_blocks_are_the_text_in_pieces_of_whole_lines(session_folder, lines, block):
    text = "x" + "\n".join(lines)
    file = session_folder / "blocks.txt"
    file.write_bytes(text.encode())
    found = read_documents(file, field="text", block=block)
    assert "".join(found) == text
    assert all(part.endswith("\n") for part in found[:-1])
    assert len(found) == 1 or all(len(part.encode()) >= block for part in found)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", None, "a.txt: No such file or directory; expected a text or JSONL file"),
        ("a.txt", b"", "a.txt: no text in it"),
        ("a.txt", b"ab\xff", "a.txt: byte 2 is not UTF-8"),
        ("a.jsonl", b'{"text": "x"}\n{"text": \n', "a.jsonl:2: not JSON, Expecting value"),
        ("a.jsonl", b'{"prose": "x", "id": 1}\n', "a.jsonl:1: no text under 'text'; it has id, p"),
        ("a.jsonl", b"3\n", "a.jsonl:1: no text under 'text'; it has int"),
    ],
)
def test_a_file_without_texts_is_named(tmp_path, models, name, content, message):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(EvaluationError) as error:
        Perplexity(file=file).evaluate(models[0])
    assert message in str(error.value)


def test_settings_become_an_evaluator(tmp_path):
    settings = {"name": "perplexity", "file": str(tmp_path / "x.txt"), "goal": "min"}
    assert make_evaluator(settings) == Perplexity(file=tmp_path / "x.txt")
    with pytest.raises(RecipeError, match=r"prose\.goal: Input should be 'min'; found 'max'"):
        make_evaluator({**settings, "goal": "max"}, "prose")
