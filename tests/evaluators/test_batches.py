"""Promises of batches that are laid out once: the answers of lm-eval's own loop, bit for bit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_eval.models.huggingface import HFLM

from evomerge.errors import EvaluationError
from evomerge.evaluators.harness.batches import ANY_ORDER, Batches, Sums
from evomerge.evaluators.harness.language_model import KEPT_SETS, ResidentLM

TOKENS = st.integers(0, 16)
# Few tokens and short answers, so that requests often share all but their last token; contexts
# beyond the model's 64 tokens, so that some are cut.
SHORT = st.lists(st.integers(0, 2), min_size=1, max_size=3)
CONTEXT = SHORT | st.lists(TOKENS, min_size=1, max_size=90)
PAIRS = st.lists(st.tuples(CONTEXT, SHORT | st.lists(TOKENS, min_size=1, max_size=60)), min_size=1)


@settings(max_examples=60)
@given(pairs=PAIRS, batch_size=st.integers(1, 5))
def test_answers_are_those_of_lm_eval(models, pairs, batch_size):
    loaded = models[0]
    theirs = HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=batch_size)
    encoded = [(("", ""), context, answer) for context, answer in pairs]
    batches = Batches(
        encoded, batch_size=batch_size, context=theirs.max_length, device=theirs.device
    )
    expected = theirs._loglikelihood_tokens(encoded, disable_tqdm=True)
    assert batches.answers(theirs._model_call) == expected
    assert batches.answers(theirs._model_call) == expected


def test_an_answer_that_cannot_be_scored_is_quoted(models):
    def lay_out(context: list[int], answer: list[int]) -> None:
        pair = (("what now?", " this"), context, answer)
        Batches([pair], batch_size=1, context=8, device=torch.device("cpu"))

    with pytest.raises(EvaluationError, match=r"the answer ' this' to 'what now\?' has no tok"):
        lay_out([1], [])
    with pytest.raises(EvaluationError, match="9 tokens; the model reads 8"):
        lay_out([1], [1] * 9)


def test_a_set_of_requests_is_laid_out_once_and_few_are_kept(models, monkeypatch):
    from lm_eval.api.instance import Instance

    made: list[object] = []
    monkeypatch.setattr(
        "evomerge.evaluators.harness.language_model.Batches",
        lambda *args, **kwargs: made.append(args) or Batches(*args, **kwargs),
    )
    model = ResidentLM(models[0], batch_size=2)
    sets = [
        [Instance("loglikelihood", {}, ("the cat", " sat"), 0, ("t", 0, 1))]
        for _ in range(KEPT_SETS + 1)
    ]
    first = model.loglikelihood(sets[0])
    assert model.loglikelihood(sets[0]) == first
    assert len(made) == 1
    for requests in sets:
        assert model.loglikelihood(requests) == first
    assert len(made) == len(sets)
    model.loglikelihood(sets[0])
    assert len(made) == len(sets) + 1


@settings(max_examples=100)
@given(
    lengths=st.lists(st.integers(1, 70), min_size=1, max_size=60),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16, torch.float64]),
    longest=st.sampled_from([None, ANY_ORDER, 20]),
)
def test_sums_of_pieces_are_those_of_each_piece_alone(lengths, dtype, longest):
    sums = Sums(lengths, torch.device("cpu"), longest=longest)
    vector = (3 * torch.randn(sum(lengths), generator=torch.Generator().manual_seed(0))).to(dtype)
    assert sums.of(vector) == [float(piece.sum()) for piece in torch.split(vector, lengths)]
