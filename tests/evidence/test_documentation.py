"""What docs/evidence.md says is so: its words and numbers are those of the code."""

from __future__ import annotations

import re
from math import sqrt
from pathlib import Path

from evomerge.config.document import Config
from evomerge.evidence import Limits
from evomerge.evidence.simplify import RISK
from evomerge.evidence.verdicts import (
    FEWEST,
    GAIN,
    LEVEL,
    NO_GAIN,
    NO_VERDICT,
    TOO_FEW,
    WORSE,
)
from evomerge.statistics.bootstrap import DRAWS
from evomerge.statistics.power import POWER, detectable
from evomerge.statistics.swaps import SWAPS

PAGE = Path(__file__).parents[2] / "docs" / "evidence.md"
TEXT = " ".join(PAGE.read_text("utf-8").split())


def test_its_words_are_all_there_are():
    rows = re.findall(r"^\| `(.+?)` \|", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    assert rows == [GAIN, NO_GAIN, WORSE, TOO_FEW, NO_VERDICT]


def test_its_numbers_are_those_of_the_code():
    for said in (
        f"`finalists: {Config.model_fields['finalists'].default}`",
        f"is held at {100 * LEVEL:g} %",
        f'a false "gain" at {100 * LEVEL:g} %',
        f"fewer than {FEWEST}",
        f"at random, {SWAPS:,} times",
        f"bootstrap: {DRAWS:,} times",
        f"with a chance of {100 * POWER:g} %",
        f"with {100 * (1 - RISK):g} % confidence",
        f"less than `tolerance` ({Limits.tolerance:g}".replace("0.", "."),
        f"at most {Limits.steps} trials",
    ):
        assert said in TEXT, said


def test_its_rule_of_thumb_holds():
    assert "500 items that are right or wrong, of which two models differ on 15 %" in TEXT
    error = sqrt(0.15 - 0.05**2) / sqrt(500)
    assert 0.045 < detectable(error, LEVEL) < 0.05
    assert abs(detectable(error, LEVEL) / detectable(error / sqrt(16), LEVEL) - 4) < 1e-9
