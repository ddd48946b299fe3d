"""A search without models: a template of three dimensions, an optimizer that forgets nothing."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from evomerge.goals import Goals, Outcome, read_goals
from evomerge.methods.base import merge_methods
from evomerge.optimizers.base import Exhausted
from evomerge.recipe import Recipe
from evomerge.searching import Budget, Runner, Search, Start, run_starts, warm_up
from evomerge.space import ChoiceDimension, FloatDimension, Space
from evomerge.study import Header, Study
from evomerge.trial import Failure, ItemTable, Point, Result, Score

GOALS = read_goals("sums")
SPACE = Space(
    (
        ChoiceDimension("merge_method", ("linear", "ties")),
        FloatDimension("models[words].parameters.weight", -0.5, 1.5),
        FloatDimension("models[words].parameters.density", 0.1, 1.0),
    )
)
METHOD, WEIGHT, DENSITY = SPACE.names


class TinyTemplate:
    """Linear reads no density."""

    space = SPACE
    methods = merge_methods
    codes = ()

    def fill(self, point: Point) -> Recipe:
        parameters = {"weight": point[WEIGHT]}
        if point[METHOD] == "ties":
            parameters["density"] = point[DENSITY]
        tree = {
            "merge_method": point[METHOD],
            "base_model": "base",
            "models": [{"model": "words", "parameters": parameters}],
        }
        return Recipe.from_tree(tree)

    def settle(self, point: Point) -> Point:
        inert = {DENSITY: SPACE.middle()[DENSITY]} if point[METHOD] == "linear" else {}
        return {**point, **inert}


class Chain:
    """Proposes points that depend on the seed and on all that it was ever told, in order."""

    def __init__(self, seed: int, most: int | None = None) -> None:
        self.told: list[tuple[int, str]] = []
        self._state = f"{seed}"
        self._most = most

    def warm(self, point: Point, outcome: Outcome) -> None:
        self._state += f"warm {dict(point)} {outcome}"

    def ask(self, number: int) -> Point:
        if number == self._most:
            raise Exhausted("it has proposed all it can")
        digest = blake2b(f"{self._state} {number}".encode(), digest_size=12).digest()
        unit = [int.from_bytes(digest[i : i + 4], "little") / 2**32 for i in (0, 4, 8)]
        return SPACE.decode(unit)

    def tell(self, number: int, point: Point, outcome: Outcome) -> None:
        assert number == len(self.told)
        self.told.append((number, str(outcome)))
        self._state += f"{number} {dict(point)} {outcome}"

    def recall(self, number: int, point: Point) -> Point | None:
        return self.ask(number)


def score(recipe: Recipe) -> Result:
    """Best at a weight of 0.7; what is negative breaks."""
    weight = float(recipe.models[0].parameters["weight"])
    if weight < 0:
        return Result(failure=Failure("error", "negative"), seconds={"merge": 0.5})
    value = 1 - (weight - 0.7) ** 2
    table = ItemTable("sums", "sums", "acc", "none", "mean", 1.0, {0: value, 1: value})
    return Result({"sums": Score(value, True, 2)}, (table,), None, {"merge": 1.0, "evaluate": 2.0})


def starts() -> list[Start]:
    point = {METHOD: "linear", WEIGHT: 0.5, DENSITY: 0.55}
    plain = Recipe.from_tree({"merge_method": "passthrough", "models": [{"model": "base"}]})
    scored = Result({"sums": Score(0.1, True, 2)})
    return [
        Start("base", plain, None, scored),
        Start("corner uniform", TinyTemplate().fill(point), point),
    ]


def new_study(run: Path, **covers: object) -> Study:
    header = Header.make({"objectives": "sums", "seed": 3, "lookahead": 1, **covers})
    return Study.create(run, header, config="{}\n", environment={})


def run(
    study: Study,
    budget: Budget,
    *,
    optimizer: Chain | None = None,
    lookahead: int = 1,
    scorer=score,
    goals: Goals = GOALS,
    recalls: bool = True,
    accept_drift: bool = False,
) -> str:
    """All of a search: what it starts from, and then its trials."""
    runner = Runner(study, scorer, recalls=recalls)
    recorded = run_starts(runner, starts())
    optimizer = optimizer or Chain(3)
    warm_up(optimizer, recorded, goals)
    search = Search(TinyTemplate(), optimizer, goals, lookahead, accept_drift=accept_drift)
    return search.run(runner, budget)
