"""A zoo is built once, whole, the same every time, and only where it may be."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from evomerge.checkpoint.output import lock
from evomerge.errors import MissingExtra, OutputError
from evomerge.zoo import Budget, Zoo, build, building, family
from evomerge.zoo.tasks import SKILLS

TINY = Budget(base_steps=10, expert_steps=2, adapter_steps=2, bare_steps=1, rows=4)


@pytest.fixture(scope="module")
def zoo(module_folder: Path) -> Zoo:
    return build(module_folder / "zoo", budget=TINY)


@pytest.fixture
def copy(zoo: Zoo, tmp_path: Path) -> Zoo:
    shutil.copytree(zoo.folder, tmp_path / "zoo")
    return Zoo(tmp_path / "zoo")


def models(zoo: Zoo) -> list[Path]:
    return [zoo.base, *zoo.experts.values(), zoo.sibling, zoo.deeper, zoo.other_vocabulary]


def contents(zoo: Zoo) -> dict[str, bytes]:
    return {
        file.relative_to(zoo.folder).as_posix(): file.read_bytes()
        for file in zoo.folder.rglob("*")
        if file.is_file()
    }


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.arange(4, 24)[None]).logits


def test_every_model_loads_with_its_tokenizer(zoo: Zoo):
    for folder in models(zoo):
        model, found = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
        assert not any(found.values()), found
        tokenizer = AutoTokenizer.from_pretrained(folder)
        assert len(tokenizer) == model.config.vocab_size
        assert tokenizer.decode(tokenizer("rev añb =\n").input_ids) == "rev añb =\n"
        assert model.dtype == torch.float32


def test_adapters_load_on_the_base_and_change_it(zoo: Zoo):
    for folder in zoo.adapters.values():
        base = AutoModelForCausalLM.from_pretrained(zoo.base)
        before = logits(base)
        with pytest.warns(FutureWarning, match="is_gradient_checkpointing"):
            adapted = PeftModel.from_pretrained(base, folder)
        assert not logits(adapted).equal(before)


def test_members_differ_as_they_should(zoo: Zoo):
    base, *others = (AutoModelForCausalLM.from_pretrained(folder) for folder in models(zoo))
    reverse, upper, sums, sibling, deeper, other = others
    for expert in (reverse, upper, sums, sibling):
        assert expert.config.to_diff_dict() == base.config.to_diff_dict()
        assert not logits(expert).equal(logits(base))
    assert deeper.config.num_hidden_layers > base.config.num_hidden_layers
    assert other.config.vocab_size != base.config.vocab_size


def test_items_and_documents_are_there(zoo: Zoo):
    for skill in (*SKILLS, "prose"):
        for split, least in {"search": 40, "holdout": 100}.items():
            lines = zoo.data(skill, split).read_text("utf-8").splitlines()
            keys = {"text"} if skill == "prose" else {"prompt", "answer"}
            assert len(lines) >= least
            assert all(json.loads(line).keys() == keys for line in lines)


def test_a_second_call_changes_nothing_and_loads_nothing(zoo: Zoo):
    program = (
        "import sys; from evomerge.zoo import Budget, build\n"
        f"build({str(zoo.folder)!r}, budget={TINY!r})\n"
        "assert not {'torch', 'transformers', 'peft'} & set(sys.modules)"
    )
    before = {file: file.stat().st_mtime_ns for file in zoo.folder.rglob("*")}
    subprocess.run([sys.executable, "-c", program], check=True)
    assert before == {file: file.stat().st_mtime_ns for file in zoo.folder.rglob("*")}


def test_a_seed_gives_the_same_bits_whatever_is_interrupted(
    zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Each build gets one save further than the one before, and is interrupted in the next."""
    made: list[set[str]] = []
    save = family.save

    def interrupted_save(model: object, tokenizer: object, folder: Path) -> None:
        saved.append(folder)
        if len(saved) > 1:
            (folder / "half.safetensors").touch()
            raise KeyboardInterrupt
        save(model, tokenizer, folder)

    monkeypatch.setattr(family, "save", interrupted_save)
    for _ in models(zoo):
        saved: list[Path] = []
        try:
            build(tmp_path, budget=TINY)
        except KeyboardInterrupt:
            assert not Zoo(tmp_path).manifest.exists()
        made.append({folder.name for folder in tmp_path.iterdir()})
        assert not list(tmp_path.rglob("*.tmp")) + list(tmp_path.rglob("half*"))
    assert all(len(after - before) >= 1 for before, after in itertools.pairwise(made))
    assert contents(Zoo(tmp_path)) == contents(zoo)


def test_a_watcher_can_interrupt(tmp_path: Path):
    def interrupt(_stage: str, _done: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "zoo", budget=TINY, progress=interrupt)
    assert not list((tmp_path / "zoo").rglob("*.safetensors"))


def test_what_is_missing_is_built_again_and_what_a_killed_build_left_goes(copy: Zoo):
    before = contents(copy)
    shutil.rmtree(copy.adapters["sums"])
    left = copy.folder / "adapters" / ".sums.0123abcd.tmp"
    left.mkdir()
    (left / "adapter_model.safetensors").write_bytes(b"half")
    told: list[float] = []
    build(copy.folder, budget=TINY, progress=lambda _stage, done: told.append(done))
    assert contents(copy) == before
    assert told[-1] == 1


def test_another_seed_gives_another_zoo(zoo: Zoo, tmp_path: Path):
    other = build(tmp_path, seed=1, budget=TINY)
    assert (other.base / "model.safetensors").read_bytes() != (
        zoo.base / "model.safetensors"
    ).read_bytes()
    assert other.data("sums", "holdout").read_bytes() == zoo.data("sums", "holdout").read_bytes()


def test_a_build_leaves_the_process_as_it_was(copy: Zoo):
    shutil.rmtree(copy.experts["sums"])
    state, threads, bars = torch.get_rng_state(), torch.get_num_threads(), logging._tqdm_active
    build(copy.folder, budget=TINY)
    assert torch.get_rng_state().equal(state)
    assert torch.get_num_threads() == threads
    assert logging._tqdm_active == bars


@pytest.mark.parametrize("setting", [{"seed": 3, "budget": TINY}, {"budget": Budget()}])
def test_a_zoo_of_another_origin_is_refused(zoo: Zoo, setting: dict[str, object]):
    before = contents(zoo)
    with pytest.raises(OutputError, match=r"holds a zoo of (seed|budget) .* was asked for"):
        build(zoo.folder, **setting)
    assert contents(zoo) == before


def test_a_folder_of_somebody_elses_is_refused_and_kept(tmp_path: Path):
    (tmp_path / "diary.txt").write_text("dear me")
    with pytest.raises(OutputError, match="exists and is not a zoo; name a new or empty folder"):
        build(tmp_path, budget=TINY)
    assert [file.name for file in tmp_path.iterdir()] == ["diary.txt"]
    with pytest.raises(OutputError, match="is a file; name a folder"):
        build(tmp_path / "diary.txt", budget=TINY)


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_text("")])
def test_a_damaged_zoo_is_told_and_not_mended(copy: Zoo, damage):
    file = copy.sibling / "config.json"
    damage(file)
    with pytest.raises(OutputError, match=rf"config\.json: has 0 bytes.*delete {copy.sibling}"):
        build(copy.folder, budget=TINY)


def test_two_builds_at_once_are_refused(copy: Zoo):
    shutil.rmtree(copy.deeper)
    descriptor = os.open(copy.mark, os.O_RDWR)
    try:
        assert lock(descriptor)
        with pytest.raises(OutputError, match="is being built by another process"):
            build(copy.folder, budget=TINY)
    finally:
        os.close(descriptor)


def test_a_missing_peft_is_said_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(building, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'evomerge\[zoo\]'"):
        build(tmp_path / "zoo", budget=TINY)
    assert not (tmp_path / "zoo").exists()
