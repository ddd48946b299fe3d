"""The config.json of a merged model: its donor's, with what the merge changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evomerge.checkpoint.per_layer import OF_LAYERS, Config, LayerOrigin, restacked
from evomerge.dtypes import DType, dtype_name
from evomerge.families import Family

# transformers 4 writes the first, transformers 5 the second. The first is read by every release.
DTYPE_KEYS = ("torch_dtype", "dtype")


def text_config(config: Config) -> Config:
    """The part that describes the language model, which multimodal models nest."""
    nested = config.get("text_config")
    return nested if isinstance(nested, Mapping) else config


def merged_config(
    donor: Config,
    *,
    family: Family,
    layers: Sequence[tuple[Config, int]],
    vocabulary_size: int | None,
    dtype: DType,
    tied: bool,
) -> dict[str, object]:
    """The config.json of the output. Everything not named below is the donor's.

    Args:
        donor: config.json of the base, or of the first listed model.
        family: of all the models.
        layers: for every output layer, the config.json of the model it comes from and its number
            there. Sets the number of layers and whatever is stated layer by layer.
        vocabulary_size: rows of the written embedding; None leaves the donor's.
        dtype: that of the written weights.
        tied: whether the head was left out of the file because it is the embedding.

    Raises:
        MergeError: the config cannot describe this stack of layers.
    """
    origins = [LayerOrigin(text_config(config), layer) for config, layer in layers]
    changes: dict[str, object] = {family.layer_count: len(layers)}
    changes |= restacked(text_config(donor), origins)
    changes["tie_word_embeddings"] = tied
    if vocabulary_size is not None:
        changes["vocab_size"] = vocabulary_size
    written = dtype_name(dtype)
    result = {**donor, **_dtypes(donor, written)}
    if text_config(donor) is donor:
        return result | changes
    text = dict(text_config(donor))
    result["text_config"] = text | changes | _dtypes_if_stated(text, written)
    repeated = ("tie_word_embeddings", "vocab_size")
    return result | {key: changes[key] for key in repeated if key in donor and key in changes}


def apart_from_layers(config: Config) -> dict[str, object]:
    """A config.json without what it says of the number and the kinds of its layers."""
    rest = {key: value for key, value in config.items() if key not in OF_LAYERS}
    if text_config(config) is not config:
        rest["text_config"] = apart_from_layers(text_config(config))
    return rest


def with_token_ids(
    config: Config, moved: Mapping[int, int], roles: Mapping[str, int]
) -> dict[str, object]:
    """A config.json or generation_config.json for a vocabulary in which tokens have moved.

    Args:
        config: as it is for the old vocabulary. Keys ending in ``_token_id`` count, which hold
            a number, a list of numbers or null.
        moved: the new id of every old one whose token is still there.
        roles: what takes the place of a token that is not: ids by key, such as ``eos_token_id``.
            Without one the key becomes null.
    """
    result = dict(config)
    for key, value in config.items():
        if not key.endswith("_token_id") or not isinstance(value, list | int):
            continue
        old = value if isinstance(value, list) else [value]
        new = [moved[number] for number in old if number in moved]
        if not new and key in roles:
            new = [roles[key]]
        result[key] = (new or None) if isinstance(value, list) else next(iter(new), None)
    return result


def _dtypes(config: Config, name: str) -> dict[str, object]:
    return _dtypes_if_stated(config, name) or {DTYPE_KEYS[0]: name}


def _dtypes_if_stated(config: Config, name: str) -> dict[str, object]:
    return {key: name for key in DTYPE_KEYS if key in config}
