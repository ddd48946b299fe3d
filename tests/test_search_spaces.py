"""Every config in search_spaces/ is what its README says, and could begin at once."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest

from evomerge.config.chained import ChainConfig, read_either
from evomerge.config.preparing import Prepared, prepare
from evomerge.config.reading import Located
from evomerge.config.remarks import ENOUGH_ITEMS
from evomerge.recipe.adapters import recipe_in
from evomerge.zoo.layout import Zoo
from evomerge.zoo.random_models import Options, random_model, random_siblings
from evomerge.zoo.small_tokenizers import byte_tokenizer
from tests.checkpoint.peft_adapters import factors, hand_made

ROOT = Path(__file__).parent.parent
NAMES = sorted(path.name for path in (ROOT / "search_spaces").glob("*.yaml"))
# In a chain, a model of the zoo stands for what an earlier stage finds.
WINNER = "demo/zoo/winner"
POINTS = 30


def stages_of(name: str) -> list[str]:
    """The stages of a chain; one without a name of a search."""
    config = read_either(ROOT / "search_spaces" / name)
    return list(config.stages) if isinstance(config, ChainConfig) else [""]


SEARCHES = [(name, stage) for name in NAMES for stage in stages_of(name)]


@pytest.fixture(scope="module")
def repository(module_folder: Path) -> Path:
    """The folders that the configs speak of; models of the zoo are small ones that know nothing."""
    for name in ("search_spaces", "evaluators"):
        copytree(ROOT / name, module_folder / name)
    zoo = Zoo(module_folder / "demo" / "zoo")
    tokenizer = byte_tokenizer(["a text"], 262)
    options = Options(tokenizer=tokenizer, layers=4)
    base, made = random_siblings(module_folder / "made", count=4, options=options)
    places = [zoo.base, *zoo.experts.values(), module_folder / WINNER]
    for model, there in zip([base, *made], places, strict=True):
        copytree(model, there)
    random_model(zoo.deeper, options=replace(options, layers=6))
    for folder in zoo.adapters.values():
        hand_made(
            folder, factors("model.layers.1.self_attn.o_proj", options.hidden, options.hidden)
        )
    return module_folder


@pytest.fixture(params=NAMES, ids=lambda name: name.partition(".")[0])
def path(request: pytest.FixtureRequest, repository: Path) -> Path:
    return repository / "search_spaces" / request.param


@pytest.fixture(scope="module")
def prepared_once() -> dict[tuple[str, str], Prepared]:
    return {}


@pytest.fixture(params=SEARCHES, ids=lambda search: "-".join(filter(None, search)))
def prepared(
    request: pytest.FixtureRequest,
    repository: Path,
    prepared_once: dict[tuple[str, str], Prepared],
) -> Prepared:
    name, stage = request.param
    if request.param not in prepared_once:
        config = read_either(repository / "search_spaces" / name)
        if isinstance(config, ChainConfig):
            before = [*config.stages][: [*config.stages].index(stage)]
            config = config.stage(stage, dict.fromkeys(before, str(repository / WINNER)))
        prepared_once[request.param] = prepare(config)
    return prepared_once[request.param]


def question(path: Path) -> str:
    first = path.read_text("utf-8").splitlines()[0]
    assert first.startswith("# ")
    return first.removeprefix("# ")


def test_it_begins_with_a_question_that_the_readme_repeats(path: Path):
    assert question(path).endswith("?")
    readme = (path.parent / "README.md").read_text("utf-8")
    assert f"| [{path.name}]({path.name}) | {question(path)} |" in readme


def test_the_readme_lists_no_others():
    readme = (ROOT / "search_spaces" / "README.md").read_text("utf-8")
    assert sorted(re.findall(r"^\| \[(.+?)\]", readme, flags=re.MULTILINE)) == NAMES


def test_it_merges_models_of_the_zoo_into_a_run_of_its_name(path: Path, repository: Path):
    config = read_either(path)
    assert config.run.resolve() == (repository / "runs" / path.stem).resolve()
    located = config if isinstance(config, Located) else config.stage(next(iter(config.stages)))
    for alias in located.config.models:
        assert Path(located.reference(alias).path).parent == repository / "demo" / "zoo"


def test_every_point_is_a_recipe(prepared: Prepared):
    template, chance = prepared.template, random.Random(0)
    for _ in range(POINTS):
        point = template.space.decode([chance.random() for _ in range(len(template.space))])
        recipe = template.fill(point)
        assert recipe_in(recipe.tree()).digest() == recipe.digest()
        found = template.match(recipe)
        if template.codes:  # several points make one stack, and of long ones none may be found
            assert found is None or template.fill(found).digest() == recipe.digest()
        else:
            assert found == template.settle(point)


def test_it_searches_few_dimensions_from_known_points(prepared: Prepared):
    assert 2 <= len(prepared.template.space) <= 20
    labels = [start.label for start in prepared.starts]
    assert labels[0] in ("base", f"parent {next(iter(prepared.sources))}")
    assert any(start.point is not None for start in prepared.starts)
    first = prepared.new_optimizer().ask(0)
    assert prepared.template.fill(first).references()


def test_it_keeps_enough_items_back_and_gives_no_cause_for_remarks(prepared: Prepared):
    assert prepared.holdout.keys() == {name.partition(".")[0] for name in prepared.goals.weights}
    sizes = [each.sizes() for each in prepared.holdout.values()]
    assert None not in sizes
    assert all(sum(each.values()) >= ENOUGH_ITEMS for each in sizes if each)
    assert any(sizes)
    remarks = [each for each in prepared.remarks() if not each.startswith("optimizer: ")]
    assert remarks == []


def test_it_searches_and_judges_on_different_items(prepared: Prepared):
    for name, held in prepared.holdout.items():
        seen = prepared.evaluators[name].sizes()
        assert seen is not None
        assert seen.keys().isdisjoint(held.sizes())
