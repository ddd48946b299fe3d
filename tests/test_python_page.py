"""The programs of docs/python.md run, in order, as they stand there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from numpy.linalg import svd
from safetensors.numpy import load_file

import evomerge
from evomerge.evidence import best_of
from tests.search.tiny_runs import family

TEXT = (Path(__file__).parent.parent / "docs" / "python.md").read_text("utf-8")
DOCUMENTS = 30
NAMES = ("base", "words", "sums")
MODULE = "model.layers.0.self_attn.q_proj"


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the page speaks of, and the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    for alias, folder in family(tmp_path / "made").items():
        Path(folder).rename(tmp_path / "models" / alias)
    for name, word in (("search", "plus"), ("holdout", "times")):
        lines = [json.dumps({"text": f"{n} {word} {n}"}) for n in range(DOCUMENTS)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_its_programs_run(there: Path, capsys: pytest.CaptureFixture[str]):
    names: dict[str, object] = {}
    exec(compile("\n".join(blocks()), "docs/python.md", "exec"), names)
    printed = capsys.readouterr().out
    study = evomerge.Study.open("runs/first")
    best = best_of(study)
    # What it says of the trials, of the finalists, to the watcher, and of the items.
    assert f"\n{best.number} {best.stage} " in printed
    assert " against " in printed
    assert "search ended: the budget of 15 trials is spent" in printed
    assert "prose search bits_per_byte {0: " in printed
    assert len(study.stage("search")) == 15
    # What it leaves: the model of the best trial of the first budget, as transformers opens it.
    written = load_file(there / "merged" / "model.safetensors")
    first = names["best"].recipe  # type: ignore[attr-defined]
    for name, tensor in evomerge.tensors(evomerge.Recipe.from_tree(first)):
        assert (written[name] == tensor.numpy()).all()
    live = names["model"].state_dict()  # type: ignore[attr-defined]
    assert all((live[name].numpy() == array).all() for name, array in written.items())
    assert len(names["tokenizer"]) == 262  # type: ignore[arg-type]

    # And the adapter of both models: the average of what of each matrix it says was kept.
    both = load_file("adapters/both/adapter_model.safetensors")
    base, *tuned = (load_file(f"models/{name}/model.safetensors") for name in NAMES)
    up, down = (both[f"base_model.model.{MODULE}.lora_{part}.weight"] for part in "BA")
    parts = [svd(model[f"{MODULE}.weight"] - base[f"{MODULE}.weight"]) for model in tuned]
    expected = sum((u[:, :8] * s[:8]) @ v[:8] for u, s, v in parts) / 2
    assert up @ down == pytest.approx(expected, abs=1e-6)
    values = parts[1][1] ** 2
    kept = names["taken"].kept[MODULE]  # type: ignore[attr-defined]
    assert kept == pytest.approx(values[:8].sum() / values.sum(), rel=1e-4)


def test_its_table_is_the_table_of_contents():
    named = set(re.findall(r"^\| `evomerge\.(\w+)", TEXT, flags=re.MULTILINE))
    assert named == set(evomerge.__all__)
