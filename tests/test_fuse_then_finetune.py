"""The parts of examples/fuse_then_finetune.py, on models that know nothing; and its page."""

from __future__ import annotations

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch

from evomerge.zoo.courses import Budget
from evomerge.zoo.models import load, new_model, save
from evomerge.zoo.small_tokenizers import byte_tokenizer
from evomerge.zoo.tasks import SKILLS

ROOT = Path(__file__).parent.parent
NAME = "fuse_then_finetune"
PAGE = (ROOT / "examples" / "README.md").read_text("utf-8").partition("## Fuse, then fine-tune")[2]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with a few items a step and a few to answer."""
    spec = spec_from_file_location(NAME, ROOT / "examples" / f"{NAME}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, NAME, module)
    spec.loader.exec_module(module)
    for name, value in (("ROWS", 4), ("HELD_OUT", 3), ("WEIGHTS", (0.5, 1.0))):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module, "Budget", lambda: Budget(expert_steps=1))
    return module


@pytest.fixture(scope="module")
def zoo(module_folder: Path) -> Path:
    """Four models of random weights."""
    tokenizer = byte_tokenizer((), 260)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name in ("base", *SKILLS):
            save(new_model(tokenizer), tokenizer, module_folder / name)
    return module_folder


def test_the_merge_is_the_base_and_a_share_of_each_difference(example, zoo: Path, tmp_path: Path):
    merged = load(example.merge(zoo, 0.25, tmp_path / "merged")).state_dict()
    base, *experts = (load(zoo / name).state_dict() for name in ("base", *SKILLS))
    for name, weight in merged.items():
        expected = base[name] + sum(0.25 * (each[name] - base[name]) for each in experts)
        assert torch.allclose(weight, expected, atol=1e-6)


@pytest.mark.parametrize("to_start", [True, False])
def test_decay_leads_to_zero_or_to_the_start(example, zoo: Path, to_start: bool):
    model = load(zoo / "base")
    start = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1.0)
    for _ in range(3):
        example.Decay(2.0, to_start=to_start).pull(model, start, 0.1)
    left = (1 - 0.2) ** 3
    for name, weight in model.named_parameters():
        expected = start[name] + left if to_start else left * (start[name] + 1)
        assert torch.allclose(weight, expected, atol=1e-6)


def test_decay_to_zero_is_that_of_adamw(example, zoo: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(example, "WARM_UP", 1)
    ours, theirs = load(zoo / "base"), load(zoo / "base")
    for _ in example.train(ours, 3, 0, example.Decay(5.0)):
        pass
    made = torch.optim.AdamW
    monkeypatch.setattr(
        torch.optim, "AdamW", lambda *given, **keys: made(*given, **{**keys, "weight_decay": 5.0})
    )
    for _ in example.train(theirs, 3, 0):
        pass
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_both_starts_see_the_same_items(example, zoo: Path):
    one, other = (example.course(zoo / "base", 2, (0, 2), 5) for _ in range(2))
    assert one == other
    assert len(one) == 2
    assert [len(each) for each in one] == [len(SKILLS)] * 2


def test_the_script_makes_the_tables_of_its_page(
    example, zoo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", [NAME, str(zoo), "--steps", "4", "--seeds", "2"])
    example.main()
    printed = capsys.readouterr().out
    assert printed.startswith("The merge: task arithmetic with weight ")
    assert rows(printed.replace("7 steps |", "340 steps |")) == rows(PAGE)


def rows(text: str) -> list[str]:
    """What the rows of its tables are about."""
    found = re.findall(r"^\| (.*?) \|", text, flags=re.MULTILINE)
    return [each for each in found if not each.startswith("-")]
