"""Log-likelihoods of answers, in batches that are laid out once and run for every model.

`HFLM._loglikelihood_tokens` sorts, groups and pads its requests on each call, normalises over the
vocabulary at every position, and reads each answer off on its own. Here the layout, taken from the
same `Collator`, is kept; only the positions that answers stand at are normalised, and a batch is
read off at once. The arithmetic on each number is the same, so the answers are equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lm_eval.models.utils import Collator
from torch import Tensor
from torch.nn.functional import log_softmax

from evomerge.errors import EvaluationError

EncodedPair = tuple[tuple[str, str], list[int], list[int]]  # (context, answer), and their token ids
Answer = tuple[float, bool]  # log-likelihood in nats, and whether greedy decoding gives the answer
Forward = Callable[[Tensor], Tensor]  # token ids (rows, length) -> logits (rows, length, tokens)

# So many numbers have one sum, in whatever order they are added.
ANY_ORDER = 2


@dataclass(frozen=True)
class Batch:
    """Some rows of token ids, and where in their logits the answers are read.

    Attributes:
        inputs: token ids ``(rows, length)``, filled up with zeros on the right.
        rows: of each needed distribution over the vocabulary, ``(places,)``.
        positions: of each needed distribution, ``(places,)``.
        tokens: the answers' tokens, one answer after the other, ``(tokens,)``.
        probable: the place that gives each token's probability, ``(tokens,)``.
        greedy: the place whose likeliest token each is compared with, ``(tokens,)``.
        lengths: the number of tokens of each answer.
    """

    inputs: Tensor
    rows: Tensor
    positions: Tensor
    tokens: Tensor
    probable: Tensor
    greedy: Tensor
    lengths: tuple[int, ...]

    def read(self, forward: Forward) -> tuple[Tensor, Tensor]:
        """Of each token its log-likelihood, and whether it is the likeliest: ``(tokens,)`` each."""
        log_probabilities = log_softmax(forward(self.inputs)[self.rows, self.positions], dim=-1)
        agree = log_probabilities.argmax(dim=-1)[self.greedy] == self.tokens
        return log_probabilities[self.probable, self.tokens], agree


class Batches:
    """The layout of one list of requests."""

    def __init__(
        self, pairs: Sequence[EncodedPair], *, batch_size: int, context: int, device: torch.device
    ) -> None:
        """``context`` is the most tokens that the model reads; longer prompts lose their start."""
        _refuse_unscorable(pairs, context)
        self._order = Collator(
            pairs, sort_fn=_longest_first, group_by="contexts", group_fn=_up_to_last_token
        )
        # Taking an answer out of the collator's groups also tells it the order of the answers.
        self._batches = [
            _lay_out([_Row(pair, self._order, context) for pair in chunk], device)
            for chunk in self._order.get_batched(n=batch_size)
        ]
        lengths = [length for batch in self._batches for length in batch.lengths]
        self._sums = Sums(lengths, device, longest=None if device.type == "cpu" else ANY_ORDER)

    def answers(self, forward: Forward) -> list[Answer]:
        """One for each request, in the requests' order."""
        read = [batch.read(forward) for batch in self._batches]
        if not read:
            return []
        of_tokens, agree = (torch.cat(parts) for parts in zip(*read, strict=True))
        exact = np.logical_and.reduceat(agree.cpu().numpy(), self._sums.starts)
        found = zip(self._sums.of(of_tokens), exact.tolist(), strict=True)
        return self._order.get_original(list(found))


class Sums:
    """Sums of consecutive pieces of a vector, equal to the bit to `Tensor.sum` of each piece.

    Pieces of one length are summed together, along an axis. On a CPU that adds in the order in
    which a vector is added; elsewhere it need not.
    """

    def __init__(
        self, lengths: Sequence[int], device: torch.device, *, longest: int | None
    ) -> None:
        """``lengths`` are those of the pieces, above 0; those beyond ``longest`` stay alone."""
        self.starts = np.cumsum((0, *lengths[:-1]))
        self._lengths = list(lengths)
        by_length: dict[int, list[int]] = {}
        for piece, length in enumerate(lengths):
            if longest is None or length <= longest:
                by_length.setdefault(length, []).append(piece)
        self._together = [
            (pieces, torch.tensor(self.starts[pieces][:, None] + np.arange(length), device=device))
            for length, pieces in by_length.items()
        ]
        together = {piece for pieces in by_length.values() for piece in pieces}
        self._alone = [piece for piece in range(len(lengths)) if piece not in together]

    def of(self, vector: Tensor) -> list[float]:
        """One for each piece, in their order."""
        found = np.empty(len(self._lengths))
        for pieces, places in self._together:
            found[pieces] = vector[places].sum(dim=-1).double().cpu().numpy()
        if self._alone:
            parts = torch.split(vector, self._lengths)
            sums = torch.stack([parts[piece].sum() for piece in self._alone])
            found[self._alone] = sums.double().cpu().numpy()
        return found.tolist()


class _Row:
    """One row of a batch, and the answers that are read from it: those that differ in one token."""

    def __init__(self, pair: EncodedPair, order: Collator, context: int) -> None:
        texts, prompt, longest = pair
        nothing = torch.empty(1, 1, 1)
        group = order.get_cache(req_str=texts, cxt_toks=prompt, cont_toks=longest, logits=nothing)
        self.inputs = torch.tensor((prompt + longest)[-(context + 1) :][:-1])
        self.places = len(longest)
        self.answers = [tokens for _, tokens, _ in group]


def _lay_out(rows: Sequence[_Row], device: torch.device) -> Batch:
    length = max(len(row.inputs) for row in rows)
    inputs = torch.zeros(len(rows), length, dtype=torch.long)
    where: list[tuple[int, int]] = []
    read: list[tuple[int, int, int]] = []
    lengths: list[int] = []
    for number, row in enumerate(rows):
        end = len(row.inputs)
        inputs[number, :end] = row.inputs
        first = len(where)
        where += [(number, position) for position in range(end - row.places, end)]
        for answer in row.answers:
            # Where answers of one row differ in length, which takes a pair split at two places,
            # HFLM reads probabilities from the first place on but compares with the last ones.
            late = first + row.places - len(answer)
            read += [(token, first + i, late + i) for i, token in enumerate(answer)]
            lengths.append(len(answer))
    row_numbers, positions = torch.tensor(where, device=device).T
    tokens, probable, greedy = torch.tensor(read, device=device).T
    return Batch(
        inputs.to(device), row_numbers, positions, tokens, probable, greedy, tuple(lengths)
    )


def _longest_first(pair: EncodedPair) -> tuple[int, tuple[int, ...]]:
    tokens = pair[1] + pair[2]
    return -len(tokens), tuple(tokens)


def _up_to_last_token(pair: EncodedPair) -> list[int]:
    return pair[1] + pair[2][:-1]


def _refuse_unscorable(pairs: Sequence[EncodedPair], context: int) -> None:
    for (prompt, answer), before, tokens in pairs:
        if not before or not tokens:
            raise EvaluationError(
                f"the answer {answer!r} to {prompt[-60:]!r} has no tokens of its own to score"
            )
        if len(tokens) > context:
            raise EvaluationError(
                f"the answer {answer[:60]!r}… has {len(tokens)} tokens; the model reads {context}"
            )
