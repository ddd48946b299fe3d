"""What an adapter does to each tensor of its model, worked out from names and shapes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from evomerge.checkpoint.adapter_changes import Change, LowRank
from evomerge.checkpoint.adapter_config import AdapterConfig
from evomerge.checkpoint.adapter_names import Names
from evomerge.checkpoint.adapter_parts import Base, Tensors
from evomerge.errors import AdapterError

# What PEFT calls the factors of a linear layer, those of an embedding, and what goes with them.
_FACTORS = (("lora_A.weight", "lora_B.weight"), ("lora_embedding_A", "lora_embedding_B"))
_BIAS = "lora_B.bias"
_MAGNITUDE = "lora_magnitude_vector"
# As it is called in memory, and in files that transformers can read as well as PEFT.
_IN_MEMORY = f"{_MAGNITUDE}.weight"
_TOKENS = "token_adapter.trainable_tokens_delta"
_PARTS = (*_FACTORS[0], *_FACTORS[1], _BIAS, _MAGNITUDE, _IN_MEMORY, _TOKENS)
_KEY = re.compile(rf"^(.+)\.({'|'.join(map(re.escape, _PARTS))})$")
_PREFIX = "base_model.model."
_WRAPPED = ".base_layer."

# Families whose layers are transformers' Conv1D, stored (in, out), and what is not a layer.
CONV1D = frozenset({"gpt2", "openai-gpt", "imagegpt", "decision_transformer"})
_HEADS = ("lm_head", "score", "classifier")

# Rows compared at a time: a few megabytes.
_BLOCK_ROWS = 1024
_LISTED = 3  # names in a message


def plan_changes(file: Tensors, config: AdapterConfig, checkpoint: Base) -> dict[str, Change]:
    """The tensors an adapter changes, by their names in the merged model.

    Raises:
        AdapterError: a tensor of the adapter has no counterpart, or another shape than it.
    """
    plan = _Plan(file, config, checkpoint)
    modules: dict[str, dict[str, str]] = {}
    parameters: dict[str, str] = {}
    for key in sorted(file.tensors):
        bare = key.removeprefix(_PREFIX)
        if found := _KEY.match(bare):
            part = _MAGNITUDE if found[2] == _IN_MEMORY else found[2]
            modules.setdefault(found[1], {})[part] = key
        else:
            parameters[bare] = key
    plan.untie(parameters)
    for parameter, key in parameters.items():
        plan.replace(parameter, key)
    for module, parts in modules.items():
        plan.adapt(module, parts)
    plan.check_all_used()
    return plan.changes


class _Plan:
    """The changes found so far, and the tensors of the adapter that found no counterpart."""

    def __init__(self, file: Tensors, config: AdapterConfig, checkpoint: Base) -> None:
        self.changes: dict[str, Change] = {}
        self._unused: list[str] = []
        self._file = file
        self._config = config
        self._checkpoint = checkpoint
        self._names = Names(checkpoint)

    def untie(self, parameters: dict[str, str]) -> None:
        """Decides whether a tied head stays tied, given the parameters saved as a whole.

        It does not if head or embedding was trained in a copy of its own (``modules_to_save``),
        unless both were and are equal. Any other saved matrix is the one that they share.
        """
        if not parameters or (tie := self._names.tie) is None:
            return
        head = next((p for p in parameters if self._names.is_head(_unwrapped(p))), None)
        embedding = next(
            (p for p in parameters if self._names.find(_unwrapped(p)) == tie.embedding), None
        )
        if head and embedding and self._same(parameters[head], parameters[embedding]):
            del parameters[head]
        elif any(p and self._config.saves(p.rpartition(".")[0]) for p in (head, embedding)):
            self._change(tie.head, tie.embedding)
        elif head and embedding:
            raise self._error(
                f"holds a {head} and a {embedding} that differ, but "
                f"{self._checkpoint.label} has one matrix for both"
            )

    def replace(self, parameter: str, key: str) -> None:
        """Takes over a parameter that was trained as a whole."""
        if (name := self._target(_unwrapped(parameter))) is None:
            self._unused.append(key)
            return
        change = self._change(name)
        self._check_shape(key, self._file.tensors[key].shape, change)
        change.replacement = key

    def adapt(self, module: str, parts: Mapping[str, str]) -> None:
        """Takes over the parts PEFT has put into one module."""
        weight = self._target(f"{module}.weight")
        bias = self._target(f"{module}.bias") if _BIAS in parts else None
        if weight is None or (_BIAS in parts and bias is None):
            self._unused.extend(parts.values())
            return
        change = self._change(weight)
        for factors in _FACTORS:
            if not parts.keys().isdisjoint(factors):
                self._add_product(module, parts, factors, change)
        if _MAGNITUDE in parts or (self._config.decomposed and change.low_rank):
            self._set_magnitude(module, parts.get(_MAGNITUDE), change)
        if bias is not None:
            self._add_bias(bias, module, parts[_BIAS])
        if _TOKENS in parts:
            self._set_tokens(module, parts[_TOKENS], change)

    def check_all_used(self) -> None:
        """Raises an AdapterError that names what found no counterpart."""
        if self._unused:
            listed = ", ".join(self._unused[:_LISTED])
            more = f" and {len(self._unused) - _LISTED} more" * (len(self._unused) > _LISTED)
            raise self._error(
                f"{listed}{more}: no such tensor in {self._checkpoint.label}; "
                f"{self._remedy('the adapter must have been trained on this model')}"
            )

    def _add_product(
        self, module: str, parts: Mapping[str, str], factors: tuple[str, str], change: Change
    ) -> None:
        for part, other in (factors, factors[::-1]):
            if part not in parts:
                raise self._error(f"{module}: has {other} but no {part}; the file is incomplete")
        down, up = (parts[part] for part in factors)
        (rank, *inputs), (*outputs, up_rank) = (self._file.tensors[key].shape for key in (down, up))
        expected = self._config.rank_of(module)
        if not rank == up_rank == expected:
            raise self._error(
                f"{module}: its factors have ranks {rank} and {up_rank}; "
                f"adapter_config.json says {expected}"
            )
        normal, turned = (*outputs, *inputs), (*inputs, *outputs)
        transposed = factors == _FACTORS[1] or (
            change.info.shape == turned and (turned != normal or self._is_conv1d(module))
        )
        self._check_shape(module, turned if transposed else normal, change)
        self._warn_of_tie(module, change)
        change.low_rank.append(LowRank(down, up, self._config.scaling_of(module), transposed))

    def _warn_of_tie(self, module: str, change: Change) -> None:
        """Head and embedding are trained apart and merged as one, which PEFT warns of too."""
        if self._names.is_vocabulary(change.info.name) and self._names.tie:
            tie = self._names.tie
            if tie.head not in self.changes:
                warnings.warn(
                    f"{self._file.path}: {module}: {tie.head} and {tie.embedding} are one matrix, "
                    "so both change, though the adapter was trained with only one of them changed",
                    UserWarning,
                    stacklevel=2,
                )

    def _is_conv1d(self, module: str) -> bool:
        """Whether a square matrix is stored as (in, out)."""
        kind = self._checkpoint.config.get("model_type")
        return not module.endswith(_HEADS) and (kind in CONV1D or self._config.fan_in_fan_out)

    def _set_magnitude(self, module: str, key: str | None, change: Change) -> None:
        if key is None or not self._config.decomposed or len(change.low_rank) != 1:
            raise self._error(
                f"{module}: use_dora is {self._config.decomposed}, the module has "
                f"{'a' if key else 'no'} {_MAGNITUDE} and {len(change.low_rank)} product(s) "
                "change its matrix; DoRA takes exactly one of each"
            )
        axis = 1 if change.low_rank[0].transposed else 0
        if self._file.tensors[key].shape != (change.info.shape[axis],):
            raise self._error(
                f"{key}: has shape {self._file.tensors[key].shape}; expected "
                f"({change.info.shape[axis]},)"
            )
        change.magnitude = key

    def _add_bias(self, name: str, module: str, key: str) -> None:
        change = self._change(name)
        self._check_shape(key, self._file.tensors[key].shape, change)
        change.added.append((key, self._config.scaling_of(module)))

    def _set_tokens(self, module: str, key: str, change: Change) -> None:
        indices = self._config.tokens_of(module)
        rows, *row = self._file.tensors[key].shape
        if rows != len(indices) or change.low_rank or change.tokens:
            raise self._error(
                f"{key}: {rows} token(s); adapter_config.json names {len(indices)}, and no other "
                "change of the embedding can be combined with them"
            )
        self._check_shape(key, (change.info.shape[0], *row), change)
        if not all(0 <= index < change.info.shape[0] for index in indices):
            raise self._error(
                f"{key}: {self._checkpoint.label} has {change.info.shape[0]} tokens; the adapter "
                f"changes token {max(indices)}"
            )
        change.tokens = (key, indices)

    def _target(self, parameter: str) -> str | None:
        """The tensor a parameter is, by its name in the merged model."""
        name = self._names.find(parameter)
        if name is None and (tie := self._names.tie) and self._names.is_head(parameter):
            return tie.head if tie.head in self.changes else tie.embedding
        return name

    def _change(self, name: str, source: str | None = None) -> Change:
        """The change of a tensor, which starts as ``source`` if it is not in the checkpoint."""
        if name not in self.changes:
            info = replace(self._checkpoint.info(source or name), name=name)
            self.changes[name] = Change(info, source or name)
        return self.changes[name]

    def _check_shape(self, what: str, shape: tuple[int, ...], change: Change) -> None:
        if shape == change.info.shape:
            return
        found = f"{what}: made for a tensor of shape {shape}; {self._checkpoint.label} has"
        if shape[1:] == change.info.shape[1:] and self._names.is_vocabulary(change.source):
            raise self._error(
                f"{found} {change.info.shape[0]} tokens. Adapters that add tokens are not "
                "supported; resize the model with transformers and merge the adapter with PEFT"
            )
        raise self._error(
            f"{found} {change.info.shape}; {self._remedy('expected the model it was trained on')}"
        )

    def _same(self, one: str, other: str) -> bool:
        """Whether two tensors of the adapter hold the same values."""
        info = self._file.tensors[one]
        if info.shape != self._file.tensors[other].shape:
            return False
        blocks = (slice(at, at + _BLOCK_ROWS) for at in range(0, info.shape[0], _BLOCK_ROWS))
        return all(
            np.array_equal(self._file.load(one, rows), self._file.load(other, rows))
            for rows in blocks
        )

    def _remedy(self, text: str) -> str:
        return f"{text}, {self._config.base}" if self._config.base else text

    def _error(self, message: str) -> AdapterError:
        return AdapterError(f"{self._file.path}: {message}")


def _unwrapped(parameter: str) -> str:
    """The parameter of a module that PEFT has put into another."""
    return parameter.replace(_WRAPPED, ".")
