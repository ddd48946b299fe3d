"""What a command line asks of ``evomerge inspect --layers``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evomerge.cli.tables import Form
from evomerge.errors import EvaluationError


@dataclass(frozen=True)
class Asked:
    """What it says beside the model or the recipe.

    Attributes:
        against: a second model, whose streams are compared with those of the first.
        lm_eval: keys of that evaluator, for lesions.
        functions: scoring functions, for lesions.
        text: what the models read; None is what comes with Python.
        picture: where to draw what was found; None draws nothing.
        device: where the models run.
        form: how results are written.
    """

    against: str | None
    lm_eval: Mapping[str, object]
    functions: Sequence[str]
    text: Path | None
    picture: Path | None
    device: str
    form: Form

    def check_for_headers(self) -> None:
        """Checks that nothing was given that takes a running model.

        Raises:
            EvaluationError: something was.
        """
        for option in (*self._of_models(), *self._of_all()):
            raise EvaluationError(f"{option}: says how to look at layers; add --layers")

    def check_for_stack(self) -> None:
        """Checks that nothing was given that a stack has no use for.

        Raises:
            EvaluationError: something was.
        """
        for option in self._of_models():
            raise EvaluationError(
                f"{option}: is for the layers of a model; of a recipe, --layers shows the seams: "
                "leave it out"
            )

    def check_for_pair(self) -> None:
        """Checks that nothing was given that a pair of models has no use for.

        Raises:
            EvaluationError: something was.
        """
        for option in self._of_models():
            raise EvaluationError(
                f"{option}: says how to look at layers, not at a match; leave it out"
            )

    def _of_models(self) -> list[str]:
        options = {
            "--against": self.against is not None,
            "--tasks": bool(self.lm_eval["task"]),
            "--evaluator": bool(self.functions),
        }
        return [option for option, given in options.items() if given]

    def _of_all(self) -> list[str]:
        options = {"--text": self.text is not None, "--picture": self.picture is not None}
        return [option for option, given in options.items() if given]
