"""Teaches small models: answers to items, and running text. On one thread of the CPU.

How many threads share a sum decides how it is rounded; with one, all machines of a kind agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from random import Random
from statistics import fmean

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import PreTrainedModel
from transformers import PreTrainedTokenizerFast as Tokenizer

from evomerge.zoo.courses import Course
from evomerge.zoo.crew import Tick
from evomerge.zoo.scoring import encode, hidden_states, score
from evomerge.zoo.tasks import draw, items
from evomerge.zoo.text import training_text

# Tokens in a window of text, its start included.
WINDOW = 128

WARM_UP = 10

# Of the running average of the weights: the last 20 steps count most. It takes the place of
# lowering the rate, which needs to know beforehand when the course will end.
MEMORY = 0.95

# Steps between two looks at the watched items, and how many there are of each skill.
EVERY, WATCHED = 10, 100

# A skill that is already known is still practised a little.
LEAST_PRACTICE = 0.1


@dataclass(frozen=True)
class Lessons:
    """Draws what one step is about.

    Attributes:
        tokenizer: the model's own.
        random: where the draws come from.
    """

    tokenizer: Tokenizer
    random: Random

    def answers(self, course: Course, practice: Mapping[str, float]) -> tuple[Tensor, Tensor]:
        """Token ids and targets, ``(rows, tokens)`` each; the mix of skills is ``practice``."""
        skills = self.random.choices(list(practice), list(practice.values()), k=course.rows)
        return encode(self.tokenizer, [draw(skill, "train", self.random) for skill in skills])

    def windows(self, course: Course) -> Tensor:
        """``(windows, tokens)`` from anywhere in the text, each behind a start token."""
        text, width = self._text, WINDOW - 1
        starts = [self.random.randrange(len(text) - width) for _ in range(course.windows)]
        beginning = torch.tensor([self.tokenizer.bos_token_id])
        return torch.stack([torch.cat([beginning, text[at : at + width]]) for at in starts])

    @cached_property
    def _text(self) -> Tensor:
        return torch.tensor(self.tokenizer(training_text(), add_special_tokens=False)["input_ids"])


def teach(model: PreTrainedModel, lessons: Lessons, course: Course, tick: Tick) -> None:
    """Trains the weights of ``model`` that are not frozen, in place."""
    practice = dict.fromkeys(course.skills, 1.0)
    for step in _steps(model, lessons, course, practice):
        tick(step / course.steps)


def educate(model: PreTrainedModel, lessons: Lessons, course: Course, tick: Tick) -> None:
    """Trains ``model`` to the competence of ``course``, in place; it ends up with averaged weights.

    A skill is practised the more, the less of it is known.
    """
    practice = dict.fromkeys(course.skills, 1.0)
    watched = {skill: items(skill, "watch", WATCHED) for skill in course.skills}
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(MEMORY))
    for step in _steps(model, lessons, course, practice):
        average.update_parameters(model)
        tick(step / course.steps)
        if step % EVERY:
            continue
        known = {
            skill: score(average.module, lessons.tokenizer, watched[skill]).accuracy
            for skill in course.skills
        }
        practice |= {skill: 1 - share + LEAST_PRACTICE for skill, share in known.items()}
        if course.competence is not None and fmean(known.values()) >= course.competence:
            break
    model.load_state_dict(average.module.state_dict())


def _steps(
    model: PreTrainedModel, lessons: Lessons, course: Course, practice: Mapping[str, float]
) -> Iterator[int]:
    """Takes the steps of a course, and gives the number of each, from 1, when it is done."""
    torch.set_num_threads(1)  # of this thread's operations
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = AdamW(weights, lr=course.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    for step in range(1, course.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = course.rate * min(1.0, step / WARM_UP)
        if course.rows:
            _answer_loss(model, *lessons.answers(course, practice)).backward()
        if course.windows:
            _text_loss(model, lessons.windows(course)).backward()
        clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        yield step


def _answer_loss(model: PreTrainedModel, tokens: Tensor, targets: Tensor) -> Tensor:
    """Mean over the tokens of the answers alone, in nats."""
    states, wanted = hidden_states(model, tokens, targets)
    return cross_entropy(model.get_output_embeddings()(states), wanted)


def _text_loss(model: PreTrainedModel, tokens: Tensor) -> Tensor:
    """Mean over all tokens but the first of each window, in nats."""
    logits = model(input_ids=tokens, use_cache=False).logits[:, :-1]
    return cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
