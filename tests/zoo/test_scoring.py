"""Scores say what a model would answer, exactly."""

from __future__ import annotations

from math import log2

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, log_softmax

from evomerge.zoo.models import POSITIONS, new_model
from evomerge.zoo.scoring import IGNORED, bits_per_byte, encode, hidden_states, score
from evomerge.zoo.small_tokenizers import byte_tokenizer
from evomerge.zoo.tasks import SKILLS, Item, items

TOKENIZER = byte_tokenizer((), 260)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return new_model(TOKENIZER, layers=1)


@pytest.mark.parametrize("skill", SKILLS)
def test_targets_are_the_answers_and_nothing_else(skill: str):
    some = items(skill, "watch", 5)
    tokens, targets = encode(TOKENIZER, some)
    for item, row, wanted in zip(some, tokens, targets, strict=True):
        assert TOKENIZER.decode(wanted[wanted != IGNORED]) == item.answer
        assert TOKENIZER.decode(row[row != TOKENIZER.pad_token_id]) == item.prompt + item.answer


def test_padding_does_not_change_a_score(model: nn.Module):
    some = [item for skill in SKILLS for item in items(skill, "watch", 3)]
    alone = [score(model, TOKENIZER, [item]).log_likelihood for item in some]
    together = score(model, TOKENIZER, some).log_likelihood
    assert together == pytest.approx(sum(alone) / len(alone), rel=1e-5)


def test_an_answer_is_right_only_as_a_whole_and_with_its_end():
    item = Item("sum 123+4 =", " 127\n")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        taught = new_model(TOKENIZER, layers=1)
    tokens, targets = encode(TOKENIZER, [item])
    optimizer = torch.optim.AdamW(taught.parameters(), lr=1e-2)
    for _ in range(20):
        states, wanted = hidden_states(taught, tokens, targets)
        cross_entropy(taught.lm_head(states), wanted).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert score(taught, TOKENIZER, [item]).accuracy == 1
    for answer in (" 128\n", " 127.", "x127\n"):
        assert score(taught, TOKENIZER, [Item(item.prompt, answer)]).accuracy == 0
    assert score(taught, TOKENIZER, [item, Item(item.prompt, " 128\n")]).accuracy == 0.5


@torch.no_grad()
def test_log_likelihood_by_hand(model: nn.Module):
    tokens = TOKENIZER("up a = A", add_special_tokens=False, return_tensors="pt").input_ids
    chances = log_softmax(model(tokens).logits[0], dim=-1)
    by_hand = sum(float(chances[at - 1, tokens[0, at]]) for at in (6, 7))
    assert score(model, TOKENIZER, [Item("up a =", " A")]).log_likelihood == pytest.approx(by_hand)


def test_a_model_that_knows_nothing_needs_the_bits_of_its_vocabulary(model: nn.Module):
    uniform = new_model(TOKENIZER, layers=1)
    nn.init.zeros_(uniform.get_input_embeddings().weight)
    text = "x" * (2 * POSITIONS + 5)
    assert bits_per_byte(uniform, TOKENIZER, [text]) == pytest.approx(log2(260), rel=1e-5)
    assert bits_per_byte(uniform, TOKENIZER, ["é"]) == pytest.approx(log2(260), rel=1e-5)
