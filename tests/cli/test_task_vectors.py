"""Promises of ``evomerge task-vectors``."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from evomerge.cli.completion import completions
from evomerge.cli.task_vectors_shown import MOST_PAIRS, shown
from evomerge.inspection.task_vectors import Part, TaskVectors
from evomerge.recipe import Recipe
from evomerge.zoo.random_models import fine_tuned
from tests.checkpoint.peft_adapters import factors, hand_made
from tests.cli.bad_input import change_tensors
from tests.cli.bad_input_task_vectors import BAD_TASK_VECTORS
from tests.cli.test_errors import documented, listing, said


def halved(name: str, share: float) -> None:
    """A model in which every number is that share of the base's."""
    fine_tuned(Path(name), Path("base").resolve(), noise=0.0)
    change_tensors(Path(name), lambda tensors: tensors.update(scaled(tensors, share)))


def scaled(tensors: dict[str, np.ndarray], share: float) -> dict[str, np.ndarray]:
    return {name: array * np.float32(share) for name, array in tensors.items()}


def test_norms_and_cosines_are_told_part_by_part(work, evomerge):
    halved("half", 0.5)
    halved("more", 1.25)
    code, out, err = evomerge("task-vectors", "base", "half", "more")
    assert (code, err) == (0, "")
    norms, cosines, pairs = (block.splitlines() for block in out.split("\n\n"))
    assert norms[0] == "Norms of task vectors, as shares of that of base, by layer"
    assert norms[1].split() == ["layer", "parameters", "norm", "of", "base", "half", "more"]
    rows = {name: rest for name, *rest in map(str.split, norms[2:])}
    assert list(rows) == ["before", "0", "1", "after", "whole"]
    assert sum(int(row[0]) for row in list(rows.values())[:-1]) == int(rows["whole"][0]) == 4144
    assert {tuple(row[2:]) for row in rows.values()} == {("0.500", "0.250")}
    assert [line.split() for line in cosines[1:]] == [
        ["half", "more"],
        ["half", "1.000", "-1.000"],
        ["more", "-1.000", "1.000"],
    ]
    assert [line.split() for line in pairs[:3]] == [
        ["Cosines", "by", "layer"],
        ["layer", "half,", "more"],
        ["before", "-1.000"],
    ]


def test_one_model_has_no_angles(work, evomerge):
    _, out, _ = evomerge("task-vectors", "base", "maths", "--by", "kind")
    assert "osine" not in out
    names = [line.split()[0] for line in out.splitlines()[2:]]
    assert names == ["embeddings", "attention", "mlp", "norms", "head", "whole"]


def test_as_json_all_numbers_are_there(work, evomerge):
    hand_made(Path("lora"), factors("model.layers.0.self_attn.q_proj", 16, 16))
    words = ["task-vectors", "base", "maths", "base+lora", "--by", "tensor", "--form", "json"]
    code, out, err = evomerge(*words)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["base"], found["models"]) == ("base", ["maths", "base+lora"])
    squares = np.sum([np.square(part["norms"]) for part in found["parts"]], axis=0)
    np.testing.assert_allclose(found["whole"]["norms"], np.sqrt(squares))
    changed = [part["name"] for part in found["parts"] if part["norms"][1]]
    assert changed == ["model.layers.0.self_attn.q_proj.weight"]
    untouched = next(part for part in found["parts"] if part["name"].startswith("model.norm"))
    assert untouched["cosines"][1] == [None, None]
    assert set(untouched) == {
        "name", "parameters", "base_norm", "norms", "relative", "cosines"
    }  # fmt: skip


def test_a_folder_may_have_a_plus_in_its_name(work, evomerge):
    Path("c++").symlink_to("base")
    assert evomerge("task-vectors", "c++", "maths")[0] == 0


def test_a_picture_is_drawn_beside_the_text(work, evomerge):
    image = pytest.importorskip("PIL.Image", reason="pictures need the report extra")
    words = ["task-vectors", "base", "maths", "code"]
    plain = evomerge(*words)
    assert evomerge(*words, "--picture", "vectors.png") == plain
    with image.open("vectors.png") as picture:
        assert picture.format == "PNG"


def many(count: int) -> TaskVectors:
    """As many models, of which the last stands at a right angle to the others in layer 0."""
    inner = np.full((count, count), 0.5) + 0.5 * np.eye(count)
    inner[-1, :-1] = inner[:-1, -1] = 0.0
    part, idle = Part("0", 1, 1.0, inner), Part("1", 1, 1.0, np.zeros((count, count)))
    whole = Part("whole", 2, 2.0, inner)
    return TaskVectors("base", tuple(f"m{number}" for number in range(count)), whole, (part, idle))


def test_of_many_pairs_the_text_has_the_extremes_and_the_picture_all():
    _, _, pairs = shown(many(5), "layer")
    lines = [line.split() for line in pairs.text.splitlines()]
    assert lines[1:4] == [
        ["layer", "lowest", "mean", "highest"],
        ["0", "0.000", "0.300", "0.500"],
        ["1"],
    ]
    assert "10 pairs" in pairs.text
    assert pairs.figure.columns[:2] == ["m0, m1", "m0, m2"]
    assert pairs.figure.values == [
        [0.5, 0.5, 0.5, 0.0, 0.5, 0.5, 0.0, 0.5, 0.0, 0.0],
        [None] * 10,
    ]


def test_as_many_pairs_as_fit_have_a_column_each():
    _, _, pairs = shown(many(4), "layer")
    assert len(pairs.figure.columns) == MOST_PAIRS
    assert all(pair in pairs.text for pair in pairs.figure.columns)


def test_nothing_slow_is_loaded(work):
    program = (
        "import sys\nfrom evomerge.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "sys.exit(' '.join({'torch', 'transformers', 'PIL'} & set(sys.modules)) or None)"
    )
    words = [sys.executable, "-c", program, "task-vectors", "base", "maths"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_a_verb_with_a_dash_is_completed():
    assert completions(["task"]) == ["task-vectors"]
    assert completions(["task-vectors", "base", "--by", ""]) == ["layer", "kind", "tensor"]


def test_the_recipes_of_the_page_can_be_read(tmp_path):
    """They negate and combine task vectors of the zoo, each from the same base."""
    page = Path(__file__).parents[2] / "docs" / "task-vectors.md"
    recipes = re.findall(r"^```yaml\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(recipes) == 2
    for text in recipes:
        (tmp_path / "recipe.yaml").write_text(text)
        recipe = Recipe.read(tmp_path / "recipe.yaml")
        assert recipe.method_title() == "task_arithmetic"
        assert str(recipe.base_model) == "demo/zoo/base"
        assert any(entry.parameters["weight"] < 0 for entry in recipe.models)


@pytest.mark.parametrize("title", BAD_TASK_VECTORS)
def test_what_is_refused(title, work, evomerge):
    words = BAD_TASK_VECTORS[title]()
    before = listing(work)
    code, out, err = evomerge(*words)
    assert said(err, work) == documented()[title]
    assert (code, out) == (2, "")
    assert listing(work) == before
