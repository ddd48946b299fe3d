"""What a command line asks of ``evomerge inspect --match``."""

from __future__ import annotations

from dataclasses import dataclass

from evomerge.errors import EvaluationError

# Over fewer tokens, chance alone would give units partners.
FEWEST_TOKENS, TOKENS = 512, 2048
# Both ends, and a place between them.
FEWEST_POINTS, POINTS = 3, 5


@dataclass(frozen=True)
class Pair:
    """What it says beside the first model, and what `Asked` has; None is what was not given.

    Attributes:
        other: the second model.
        base: what both were made from.
        tokens: how many they read.
        points: of the line between them.
    """

    other: str | None
    base: str | None
    tokens: int | None
    points: int | None

    def check_for_one(self) -> None:
        """Checks that nothing was given that takes two models.

        Raises:
            EvaluationError: something was.
        """
        options = {
            str(self.other): self.other,
            "--base": self.base,
            "--tokens": self.tokens,
            "--points": self.points,
        }
        for option, given in options.items():
            if given is not None:
                raise EvaluationError(f"{option}: is for the comparison of two models; add --match")

    def shares(self) -> tuple[float, ...]:
        """Of the second model, along the line.

        Raises:
            EvaluationError: they are too few.
        """
        points = POINTS if self.points is None else self.points
        if points < FEWEST_POINTS:
            raise EvaluationError(
                f"--points: found {points}; expected {FEWEST_POINTS} or more: both ends, and a "
                "place between them"
            )
        return tuple(number / (points - 1) for number in range(points))

    def read(self) -> int:
        """How many tokens the models read.

        Raises:
            EvaluationError: they are too few.
        """
        tokens = TOKENS if self.tokens is None else self.tokens
        if tokens < FEWEST_TOKENS:
            raise EvaluationError(
                f"--tokens: found {tokens}; expected {FEWEST_TOKENS} or more: over fewer, units "
                "have partners by chance"
            )
        return tokens
