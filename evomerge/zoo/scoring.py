"""How well a model in memory does on items and documents, by plain torch."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel
from transformers import PreTrainedTokenizerFast as Tokenizer

from evomerge.zoo.tasks import Item

# Targets that do not count, by torch's convention.
IGNORED = -100


class Score(NamedTuple):
    """Means over items.

    Attributes:
        accuracy: the share whose greedy continuation is the whole answer, in [0, 1].
        log_likelihood: of the answer, in nats.
    """

    accuracy: float
    log_likelihood: float


def encode(tokenizer: Tokenizer, items: Sequence[Item]) -> tuple[Tensor, Tensor]:
    """Token ids and targets, ``(items, tokens)`` each.

    The target at a position is the token there, if it belongs to an answer. Padding comes last.
    """
    prompts = _token_ids(tokenizer, [item.prompt for item in items])
    whole = _token_ids(tokenizer, [item.prompt + item.answer for item in items])
    tokens = pad_sequence(whole, batch_first=True, padding_value=tokenizer.pad_token_id)
    targets = pad_sequence(whole, batch_first=True, padding_value=IGNORED)
    asked = torch.tensor([len(prompt) for prompt in prompts])[:, None]
    return tokens, targets.masked_fill(torch.arange(tokens.shape[1]) < asked, IGNORED)


def _token_ids(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Tensor]:
    return [torch.tensor(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]


def hidden_states(model: PreTrainedModel, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The last states from which targets are predicted, ``(targets, hidden)``, and the targets."""
    states = model.get_decoder()(input_ids=tokens, use_cache=False).last_hidden_state[:, :-1]
    counts = targets[:, 1:] != IGNORED
    return states[counts], targets[:, 1:][counts]


@torch.inference_mode()
def score(model: PreTrainedModel, tokenizer: Tokenizer, items: Sequence[Item]) -> Score:
    """Scores ``model`` on ``items``, in one forward pass."""
    tokens, targets = encode(tokenizer, items)
    states, wanted = hidden_states(model, tokens, targets)
    chances = log_softmax(model.get_output_embeddings()(states).float(), dim=-1)
    of_item = (targets[:, 1:] != IGNORED).nonzero()[:, 0]
    wrong = torch.zeros(len(items)).index_add(0, of_item, (chances.argmax(-1) != wanted).float())
    likelihood = chances.gather(-1, wanted[:, None]).sum()
    return Score(float((wrong == 0).double().mean()), float(likelihood) / len(items))


@torch.inference_mode()
def bits_per_byte(model: PreTrainedModel, tokenizer: Tokenizer, documents: Sequence[str]) -> float:
    """How many bits a byte of ``documents`` costs; each window is read without what precedes it."""
    width = model.config.max_position_embeddings - 1
    nats = 0.0
    for document in documents:
        tokens = torch.tensor(tokenizer(document, add_special_tokens=False)["input_ids"])
        for window in tokens.split(width):
            inputs = torch.cat([torch.tensor([tokenizer.bos_token_id]), window[:-1]])
            logits = model(input_ids=inputs[None], use_cache=False).logits[0]
            nats += float(cross_entropy(logits.float(), window, reduction="sum"))
    return nats / sum(len(document.encode()) for document in documents) / log(2)
