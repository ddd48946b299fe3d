"""The files beside the weights that a merged model takes over from one of its parents."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

TOKENIZER = "tokenizer.json"
SETTINGS = "tokenizer_config.json"
SPECIAL_TOKENS = "special_tokens_map.json"
GENERATION = "generation_config.json"

# What goes with any vocabulary.
BESIDE = (
    SPECIAL_TOKENS,
    "chat_template.jinja",
    "chat_template.json",
    "additional_chat_templates/*.jinja",
)
# The vocabulary itself, in the forms of several generations of tokenizers.
_VOCABULARY = (
    TOKENIZER,
    SETTINGS,
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "*.tiktoken",
    "tekken.json",
)


def copy_tokenizer(donor: Path, out: Path) -> None:
    """Copies all files of a tokenizer, chat templates included. There may be none.

    Raises:
        OSError: a file cannot be read or written.
    """
    copy_files(donor, out, (*_VOCABULARY, *BESIDE))


def copy_generation_config(donor: Path, out: Path) -> None:
    """Copies generation_config.json, if there is one.

    Raises:
        OSError: the file cannot be read or written.
    """
    copy_files(donor, out, (GENERATION,))


def copy_files(donor: Path, out: Path, patterns: Iterable[str]) -> None:
    """Copies what the patterns find, contents only: the cache of the hub holds links.

    Raises:
        OSError: a file cannot be read or written.
    """
    for pattern in patterns:
        for file in sorted(donor.glob(pattern)):
            target = out / file.relative_to(donor)
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, target)
