"""Promises of docs/alignment.md: its aligners and their options are those that there are."""

from __future__ import annotations

import re
from inspect import Parameter, signature
from pathlib import Path

import pytest

from evomerge.aligners.base import aligners

PAGE = (Path(__file__).parents[2] / "docs" / "alignment.md").read_text("utf-8")


def rows() -> dict[str, str]:
    """What the table of aligners says of the options of each."""
    table = PAGE.partition("## Aligners")[2].partition("\n\n**")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) ?\| ", table, flags=re.MULTILINE))


def written(option: Parameter) -> str:
    """An option and its default, as YAML has them."""
    default = option.default
    shown = str(default).lower() if isinstance(default, bool) else default
    return f"`{option.name}:`" if default is None else f"`{option.name}: {shown}`"


def test_its_aligners_are_those_that_there_are():
    assert sorted(rows()) == list(aligners)


@pytest.mark.parametrize("name", sorted(aligners))
def test_options_stand_there_with_their_defaults(name):
    options = [o for o in signature(aligners[name]).parameters.values() if o.name != "setup"]
    assert rows()[name] == ", ".join(map(written, options))
