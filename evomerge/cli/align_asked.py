"""What the command line of ``evomerge align`` says, as settings of an alignment."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature

import yaml

from evomerge.aligners.base import Settings, aligners
from evomerge.errors import AlignmentError
from evomerge.recipe.align import option_in

# What brings several models to each other.
TOGETHER = "weight_matching"


def settings_of(
    method: str, given: Sequence[str], data: str | None, groups: str, seed: int
) -> Settings:
    """How to align.

    Args:
        method: the name of an aligner.
        given: its options, ``KEY=VALUE`` each, with values as in YAML.
        data: its option of that name.
        groups: what may be moved, separated by commas.
        seed: of all that is drawn.

    Raises:
        AlignmentError: there is no such aligner, option or group.
    """
    options = dict(map(_option, given))
    if data is not None:
        options["data"] = data
        _check_reads(method)
    names = [each.strip() for each in groups.split(",") if each.strip()]
    try:
        return Settings(method, names, seed, options)
    except AlignmentError as error:
        of_options = not str(error).startswith(("method:", "groups:"))
        raise AlignmentError(f"--{'set ' * of_options}{error}") from error


def check_way(count: int, to: str | None, together: bool, settings: Settings) -> None:
    """Refuses words that do not say what is brought to what.

    Raises:
        AlignmentError: naming the option that is missing, or one too many.
    """
    if to is None and not together:
        raise AlignmentError(
            "evomerge align: found neither --to nor --together; name a model with --to, or bring "
            "several to each other"
        )
    if to is not None and together:
        raise AlignmentError(
            "--together: found --to besides; models are brought to one that stays, or to each other"
        )
    if to is not None and count > 1:
        raise AlignmentError(
            f"--to: found {count} models to be moved; one is brought to another, several to each "
            "other: --together"
        )
    if together and (settings.method != TOGETHER or settings.options):
        raise AlignmentError(
            f"--method: {settings.method} brings one model to another; --together brings several "
            f"to each other, by {TOGETHER}"
        )


def _option(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise AlignmentError(f"--set {text}: expected KEY=VALUE")
    try:
        return key, option_in(yaml.safe_load(value))
    except (yaml.YAMLError, ValueError) as error:
        raise AlignmentError(f"--set {text}: {' '.join(str(error).split())}") from error


def _check_reads(method: str) -> None:
    if method in aligners and "data" not in signature(aligners[method]).parameters:
        reading = [name for name in aligners if "data" in signature(aligners[name]).parameters]
        raise AlignmentError(f"--data: {method} reads no text; these do: {', '.join(reading)}")
