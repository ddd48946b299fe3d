"""Promises of ``evomerge evaluate``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from evomerge.cli.evaluate import evaluate
from evomerge.errors import CheckpointError, EvaluationError, RecipeError
from evomerge.zoo.random_models import Options, random_siblings
from evomerge.zoo.small_tokenizers import word_tokenizer

TASK = """
task: mats
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/mats.jsonl}}, cache_dir: {folder}/cache}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{text}}}}"
doc_to_choice: [mat, cat]
doc_to_target: gold
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""


@pytest.fixture(scope="module")
def folder(module_folder) -> Path:
    """A base and an expert, a task, a text, and a scoring function."""
    options = Options(tokenizer=word_tokenizer(["the", "cat", "sat", "on", "mat"]))
    random_siblings(module_folder, count=1, options=options)
    rows = [{"text": "the cat sat on the", "gold": n % 2} for n in range(4)]
    (module_folder / "mats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (module_folder / "mats.yaml").write_text(TASK.format(folder=module_folder))
    (module_folder / "prose.txt").write_text("the cat sat on the mat\n")
    (module_folder / "mine.py").write_text(
        "def layers(model, tokenizer): return model.config.num_hidden_layers"
    )
    return module_folder


@pytest.fixture
def run(folder):
    """Runs the command on ``models`` of the folder, and gives what it wrote on standard output."""
    app = typer.Typer()
    app.command()(evaluate)

    def command(*options: object, models: tuple[str, ...] = ("base",)) -> str:
        arguments = [str(folder / model) for model in models] + [str(one) for one in options]
        result = CliRunner().invoke(app, ["--device", "cpu", *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        assert result.stderr == ""
        return result.stdout

    return command


def everything(folder: Path) -> list[object]:
    return [
        *("--tasks", "mats", "--include-path", folder, "--batch-size", 2),
        *("--perplexity", folder / "prose.txt", "--evaluator", f"{folder}/mine.py:layers"),
    ]


def test_several_models_stand_side_by_side(run, folder):
    lines = run(*everything(folder), models=("base", "expert_1")).splitlines()
    table = [line.split() for line in lines]
    assert table[0] == ["task", "metric", "better", "items", "base", "expert_1"]
    assert [row[:4] for row in table[1:]] == [
        ["mats", "acc", "higher", "4"],
        ["mats", "log_likelihood", "higher", "4"],
        ["mine", "layers", "higher", "1"],
        ["prose", "bits_per_byte", "lower", "1"],
    ]
    assert all(len(row) == 6 for row in table)
    assert table[3][4:] == ["2.0000", "2.0000"]


def test_json_holds_the_same_numbers_in_full(run, folder):
    found = json.loads(run(*everything(folder), "--form", "json", models=("base", "expert_1")))
    assert [Path(one["model"]).name for one in found["models"]] == ["base", "expert_1"]
    scores = {(one["task"], one["metric"]): one for one in found["models"][1]["scores"]}
    assert scores["mine", "layers"] == {
        "task": "mine",
        "metric": "layers",
        "filter": "none",
        "value": 2.0,
        "higher_is_better": True,
        "items": 1,
    }
    table = run(*everything(folder), models=("base", "expert_1"))
    assert f"{scores['prose', 'bits_per_byte']['value']:.4f}" in table


def test_options_reach_the_tasks(run, folder):
    options = ["--tasks", "mats", "--include-path", folder, "--limit", 3, "--form", "json"]
    (found,) = json.loads(run(*options))["models"]
    assert {one["items"] for one in found["scores"]} == {3}


def test_models_of_one_name_are_told_apart_by_their_paths(run, folder):
    (folder / "other").mkdir(exist_ok=True)
    twin = folder / "other" / "base"
    if not twin.exists():
        twin.symlink_to(folder / "base")
    heading = run("--perplexity", folder / "prose.txt", models=("base", "other/base")).split("\n")[
        0
    ]
    assert heading.split()[4:] == [str(folder / "base"), str(twin)]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ([], EvaluationError, "evaluate: nothing to score by; give --tasks, --evaluator or --perp"),
        (
            ["--tasks", "mats", "--limit", "-1"],
            RecipeError,
            "evaluate.limit: Input should be great",
        ),
        (["--tasks", "mats", "--batch-size", "few"], RecipeError, "evaluate.batch_size: "),
        (["--perplexity", "gone.txt"], EvaluationError, "gone.txt: No such file"),
        (["--evaluator", "gone.py:f"], EvaluationError, "gone.py: no such file"),
    ],
)
def test_wrong_options_are_answered_in_one_message(run, options, error, message):
    with pytest.raises(error) as raised:
        run(*options)
    assert message in str(raised.value)


def test_a_model_that_is_not_there_is_named(run, folder):
    with pytest.raises(CheckpointError, match="gone: no such folder"):
        run("--perplexity", folder / "prose.txt", models=("gone",))


def test_the_command_is_imported_without_the_libraries_it_uses():
    code = (
        "import sys, evomerge.cli.evaluate\n"
        "print([name for name in ('torch', 'transformers', 'lm_eval', 'pydantic', 'numpy')"
        " if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
