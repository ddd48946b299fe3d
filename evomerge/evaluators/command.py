"""A program of any kind, given the model's folder: it prints the score as JSON.

It runs in a process group of its own, which ends with the evaluation.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from evomerge.errors import EvaluationError
from evomerge.evaluators.base import Evaluator, Items, LoadedModel, Tick, evaluator, indices
from evomerge.evaluators.processes import Ended, Program, run
from evomerge.evaluators.returned import Returned
from evomerge.evaluators.scores import Scores

MODEL = "{model}"

# Where the program finds the indices of the items to score, a JSON list; unset for all.
ITEMS_VARIABLE = "EVOMERGE_ITEMS"


@evaluator("command")
@dataclass(frozen=True, kw_only=True)
class Command(Evaluator):
    """Scores a model by a program.

    The program prints a number, a list with a number for each item, or an object of names with
    either, in JSON: as all that it prints, or as the last line. If only some items are to be
    scored, the variable ``EVOMERGE_ITEMS`` lists their indices in rising order; it then prints a
    number for each of these, or for all.

    Attributes:
        command: the program and its arguments, a list or one line. ``{model}`` stands for the
            model's folder, which comes last if it stands nowhere. No shell reads the line.
        goal: whether its numbers are better high or low.
        metric: the name that counts, of those it prints; by default the first.
        cwd: the folder to run in; by default that of the configuration.
        deterministic: whether the same weights get the same numbers, which may then be recalled.
    """

    paths: ClassVar[tuple[str, ...]] = ("cwd",)
    apart: ClassVar[bool] = True

    command: str | list[str]
    goal: Literal["max", "min"] = "max"
    metric: str | None = None
    cwd: Path | None = None
    deterministic: bool = False

    def score(self, model: LoadedModel, items: Items | None, tick: Tick) -> Scores:
        """Runs the program once, on the model's folder.

        Raises:
            EvaluationError: the program does not start, fails, or prints no numbers.
        """
        wanted = indices(items, self._script)
        wanted = None if wanted is None else sorted(set(wanted))
        program = Program(
            self._call(str(model.written().absolute())),
            folder=self.cwd,
            environment={} if wanted is None else {ITEMS_VARIABLE: json.dumps(wanted)},
        )
        found = self._printed(run(program, tick))
        returned = Returned(
            where=self._script,
            task=Path(self._script).stem,
            higher_is_better=self.goal == "max",
            wanted=wanted,
            asked=None,
        )
        return returned.scores(found, "score", self.metric)

    @property
    def needs_folder(self) -> bool:
        """It does."""
        return True

    def check(self) -> None:
        """Looks the program and its working directory up.

        Raises:
            EvaluationError: there is no such program or folder.
        """
        if self.cwd is not None and not self.cwd.is_dir():
            raise EvaluationError(f"cwd: no folder {self.cwd}")
        program = self._words[0]
        place = Path(self.cwd or "", program) if "/" in program else program
        if shutil.which(place) is None:
            raise EvaluationError(
                f"command: no program {place}; give the path of one that may be executed, or the "
                "name of one on the PATH"
            )
        super().check()

    @classmethod
    def located(cls, settings: Mapping[str, object], folder: Path) -> dict[str, object]:
        """The program runs in ``folder`` unless told otherwise."""
        return super().located({"cwd": ".", **settings}, folder)

    @property
    def _words(self) -> Sequence[str]:
        words = shlex.split(self.command) if isinstance(self.command, str) else self.command
        if not words:
            raise EvaluationError("command: it is empty; give a program and its arguments")
        return words

    @property
    def _script(self) -> str:
        """The program, or the script that an interpreter is to run, which says more."""
        scripts = [word for word in self._words[1:2] if Path(word).suffix]
        return [self._words[0], *scripts][-1]

    def _call(self, folder: str) -> list[str]:
        filled = [word.replace(MODEL, folder) for word in self._words]
        return filled if filled != list(self._words) else [*filled, folder]

    def _printed(self, ended: Ended) -> object:
        where, last = self._script, f"; {ended.complaint}" if ended.complaint else ""
        if ended.status:
            how = f"ended by {ended.signal}" if ended.signal else f"exit status {ended.status}"
            raise EvaluationError(f"{where}: {how}{last}")
        text = ended.output.decode(errors="replace").strip()
        for candidate in (text, text.rpartition("\n")[2]):
            try:
                return json.loads(candidate)
            except json.JSONDecodeError:
                continue
        raise EvaluationError(
            f"{where}: it printed {text[-60:]!r}, which does not end with JSON; expected a "
            f"number, a list of them, or an object of names{last}"
        )
