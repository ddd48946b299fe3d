"""A model in memory, as lm-eval asks it: its answers, without the work that any model would repeat.

Token ids and batches depend on the requests and the tokenizer alone. They are made once, however
often the weights change; the answers are those of lm-eval's `HFLM`, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from torch import Tensor
from transformers import PreTrainedModel

from evomerge.evaluators.base import LoadedModel, Tick, no_tick
from evomerge.evaluators.harness.batches import Answer, Batches, EncodedPair

# Sets of requests whose batches are kept: a search asks for the same few subsets over and over.
KEPT_SETS = 8


class ResidentLM(HFLM):  # type: ignore[misc]  # lm-eval has no types
    """Answers requests by a `LoadedModel`, whose weights may change between two calls.

    Attributes:
        tick: called before each batch.
    """

    def __init__(self, loaded: LoadedModel, batch_size: int | str) -> None:
        """``batch_size`` requests go into a forward pass, or ``auto``."""
        super().__init__(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=batch_size)
        self.tick: Tick = no_tick
        self._token_ids: dict[tuple[str, bool | None, int | None], list[int]] = {}
        # By the requests' identities, with the requests, which thereby stay alive and themselves.
        self._kept: dict[tuple[int, ...], tuple[Batches, Sequence[Instance]]] = {}
        self._latest: Batches | None = None

    def turns_to(self, loaded: LoadedModel) -> bool:
        """Whether it answers by this model from now on, and what it keeps holds for it too.

        That is so if the model differs in weights and layers alone, and has the same tokenizer.
        """
        found = loaded.model
        if self.model is found and self.tokenizer is loaded.tokenizer:
            return True
        before, length = self.model, self.max_length
        if (
            self.tokenizer is not loaded.tokenizer
            or type(before) is not type(found)
            or self.device != found.device
            or self.batch_size == "auto"  # was found by trial, of that model
        ):
            return False
        self._take(found)
        if self.max_length == length:
            return True
        self._take(before)
        return False

    def _take(self, model: PreTrainedModel) -> None:
        self._model, self._config, self.pretrained = model, model.config, model

    def tok_encode(
        self,
        string: str,
        add_special_tokens: bool | None = None,
        left_truncate_len: int | None = None,
        **kwargs: object,
    ) -> list[int]:
        """The token ids of ``string``."""
        key = (string, add_special_tokens, left_truncate_len)
        if key not in self._token_ids:
            self._token_ids[key] = super().tok_encode(*key, **kwargs)
        return list(self._token_ids[key])

    def loglikelihood(
        self, requests: Sequence[Instance], disable_tqdm: bool = True
    ) -> list[Answer]:
        """The log-likelihood of each request's answer, and whether it is the greedy one."""
        key = tuple(map(id, requests))
        if key in self._kept:
            return self._kept[key][0].answers(self._model_call)
        answers = super().loglikelihood(requests, disable_tqdm=disable_tqdm)
        if self._latest is not None:
            self._kept[key] = (self._latest, requests)
            self._latest = None
        if len(self._kept) > KEPT_SETS:
            self._kept.pop(next(iter(self._kept)))
        return answers

    def _loglikelihood_tokens(
        self,
        requests: Sequence[EncodedPair],
        disable_tqdm: bool = True,  # noqa: ARG002  rolling requests always ask for a bar
        override_bs: int | None = None,
    ) -> list[Answer]:
        if override_bs is not None or self.batch_size == "auto":
            return super()._loglikelihood_tokens(requests, True, override_bs)
        self._latest = Batches(
            requests, batch_size=self.batch_size, context=self.max_length, device=self.device
        )
        return self._latest.answers(self._model_call)

    def _model_call(self, inps: Tensor, *_: object, **__: object) -> Tensor:
        self.tick()
        with torch.inference_mode():  # HFLM has a cache filled that nobody reads
            return self.model(inps, use_cache=False).logits

    def _model_generate(self, *args: object, **kwargs: object) -> Tensor:
        self.tick()
        return super()._model_generate(*args, **kwargs)
