"""The whole way to a chain's last model, as recipes: one file for all, and one for each stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from textwrap import wrap

from evomerge.chain.folder import Chain
from evomerge.chain.winners import trial_of
from evomerge.errors import SearchError
from evomerge.evidence import evidence_of
from evomerge.export import Choice, Exported, chosen, export
from evomerge.export.extensions import draws_masks
from evomerge.export.heading import WIDTH, heading
from evomerge.export.multi import multi_trees, obstacle
from evomerge.recipe import AnyRecipe, Recipe
from evomerge.recipe.steps import SEPARATOR, renamed_tree
from evomerge.recipe.writing import dump_yaml

FOLLOWING = (
    "A chain of recipes, each of which may use what those above it make. To follow it: evomerge "
    "merge FILE MODEL, or mergekit-multi FILE --intermediate-dir SCRATCH --out-path MODEL."
)
# Several methods in one recipe, which mergekit does not know, in steps that it does.
UNFOLLOWED = "mergekit-multi cannot follow the recipe of stage {name}: {reason}."


@dataclass(frozen=True)
class Leg:
    """A stage on the way.

    Attributes:
        name: of the stage.
        step: what its recipe is called in a file of all: ``1-blend``.
        leaving: the trial that won it.
        model: where the model of that trial stands; None of the last one.
    """

    name: str
    step: str
    leaving: Exported
    model: Path | None


def legs(chain: Chain, choice: Choice) -> list[Leg]:
    """The stages whose models are in the last one, in order, that one last.

    Args:
        chain: whose last stage has begun.
        choice: of one trial of that stage.

    Raises:
        SearchError: the last stage has not begun, or no trial of it is feasible.
        StudyError: there is no such trial.
    """
    last = chain.config.last
    if last not in chain.begun:
        raise SearchError(
            f"{chain.run}: its last stage, {last}, has not begun; go on: evomerge resume "
            f"{chain.run}, or export another stage: evomerge export {chain.place(chain.begun[-1])}"
        )
    study = chain.study(last)
    (trial,) = chosen(study, choice)
    found = [Leg(last, chain.config.place(last), export(study, trial, evidence_of(study)), None)]
    for name, folder in reversed(chain.entered().items()):
        model = Path(folder)
        if any(model in _models(leg.leaving.recipe) for leg in found):
            before = chain.study(name)
            entered = trial_of(name, before, model)
            leaving = export(before, entered, evidence_of(before))
            found.insert(0, Leg(name, chain.config.place(name), leaving, model))
    return found


def all_in_one(chain: Chain, found: Sequence[Leg], *, today: date | None = None) -> str:
    """A file of all recipes that ``evomerge merge`` follows, and ``mergekit-multi`` if it can."""
    last = found[-1]
    study = chain.study(last.name)
    said = [FOLLOWING, *_origins(chain, found), *remarks(found)]
    day = today or date.today()
    head = heading(study, last.leaving.trial, said, evidence_of(study), day)
    steps = {str(leg.model): leg.step for leg in found if leg.model is not None}
    trees = [renamed_tree(tree, steps) for leg in found for tree in _trees(leg)]
    return f"{head}\n{SEPARATOR.join(map(dump_yaml, trees))}"


def one_by_one(found: Sequence[Leg], out: Path) -> Mapping[Path, str]:
    """A file beside ``out`` for each stage, to be merged in order."""
    places = {leg.name: out.with_name(f"{out.stem}-{leg.step}{out.suffix}") for leg in found}
    texts = {}
    for number, leg in enumerate(found, start=1):
        used = [each for each in found if each.model in _models(leg.leaving.recipe)]
        words = [f"Recipe {number} of {len(found)} of a chain."]
        words += [
            f"The winner of stage {each.name} is {each.model}. Where that is gone, this makes it "
            f"again: evomerge merge {places[each.name].absolute()} {each.model}"
            for each in used
        ]
        lines = [line for each in words for line in wrap(each, WIDTH, break_on_hyphens=False)]
        comment = "".join(f"# {line}\n" for line in lines)
        texts[places[leg.name]] = comment + leg.leaving.text
    return texts


def remarks(found: Sequence[Leg]) -> Iterator[str]:
    """What someone who gives the file of all to mergekit must know, a sentence each."""
    said = [remark for leg in found for remark in leg.leaving.remarks if "--multi" not in remark]
    yield from dict.fromkeys(said)
    for leg in found:
        reason = _unfollowed(leg.leaving.recipe)
        if reason:
            yield UNFOLLOWED.format(name=leg.name, reason=reason)


def _unfollowed(recipe: AnyRecipe) -> str:
    """Why a recipe of several methods is not written in steps; empty if it is, or has one."""
    if not isinstance(recipe, Recipe) or len(recipe.method_names()) == 1:
        return ""
    if draws_masks(recipe):
        return "it has several methods, and random masks that depend on the number of a layer"
    return obstacle(recipe) or ""


def _trees(leg: Leg) -> list[Mapping[str, object]]:
    """The documents that make the model of a stage, the last of which has its name."""
    recipe = leg.leaving.recipe
    if isinstance(recipe, Recipe) and len(recipe.method_names()) > 1 and not _unfollowed(recipe):
        *before, last = multi_trees(recipe, f"{leg.step}-")
    else:
        before, last = [], recipe.tree()
    return [*before, last if leg.model is None else {"name": leg.step, **last}]


def _origins(chain: Chain, found: Sequence[Leg]) -> Iterator[str]:
    """Where each recipe but the last comes from."""
    for leg in found[:-1]:
        yield f"{leg.step} is trial {leg.leaving.trial.number} of {chain.place(leg.name)}."
    there = [leg.name for leg in found]
    for name in chain.stages:
        if name not in there:
            yield f"Nothing of what stage {name} found is in this model."


def _models(recipe: AnyRecipe) -> list[Path]:
    return [Path(reference.path) for reference in recipe.references()]
