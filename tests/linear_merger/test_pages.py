"""What docs/alignment.md and examples/README.md say of LinearMerger is so."""

from __future__ import annotations

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from evomerge.errors import LinearMergerError
from evomerge.linear_merger import (
    Asymmetric,
    Examples,
    LinearMerger,
    Training,
    Zeros,
    align_by_activations,
    align_to_anchor,
    average,
    mean_loss,
    with_masks,
)
from evomerge.linear_merger.masks import MASKS
from tests.linear_merger.networks import network, noise

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "alignment.md").read_text("utf-8").partition("## LinearMerger")[2]
EXAMPLES = (ROOT / "examples" / "README.md").read_text("utf-8").partition("## Fuse, then")[0]


def tied() -> nn.Module:
    table, head = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)
    head.weight = table.weight
    return nn.Sequential(table, head)


def soft() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.Softmax(-1), nn.Linear(8, 3))


def masked(seed: int) -> nn.Module:
    return with_masks(network(0, 6, 8, 3), Asymmetric(seed=seed))


BAD_INPUT = {
    "a size below 1": lambda: LinearMerger(0, 4),
    "an unknown mask": lambda: LinearMerger(4, 4, "uper"),
    "a share of all or nothing": lambda: Zeros(share=1),
    "a scale of nothing": lambda: Asymmetric(scale=0),
    "a share of one input": lambda: LinearMerger(1, 4, name="gate"),
    "a name that is no linear layer": lambda: with_masks(network(0, 6, 8, 3), {"1": "upper"}),
    "a tied weight": lambda: with_masks(tied()),
    "fixed parts that differ": lambda: average([masked(0), masked(1)]),
    "sizes that differ": lambda: average([network(0, 6, 8, 3), network(0, 6, 9, 3)]),
    "targets that would be broadcast": lambda: mean_loss(
        network(0, 6, 1), Examples(noise(0, 16, 6), noise(1, 16)), mse_loss
    ),
    "an anchor form of masked networks": lambda: align_to_anchor([masked(0)], masked(0)),
    "fewer inputs than a layer has units": lambda: align_by_activations(
        [network(0, 6, 8, 3)], network(0, 6, 8, 3), noise(0, 7, 6)
    ),
    "units that do what is not finite": lambda: align_by_activations(
        [network(0, 6, 8, 3)], network(0, 6, 8, 3), torch.full((9, 6), torch.inf)
    ),
    "an unknown statistic": lambda: align_by_activations(
        [network(0, 6, 8, 3)], network(0, 6, 8, 3), noise(0, 9, 6), statistic="corelation"
    ),
    "a network that is not plain": lambda: align_to_anchor([soft()], soft()),
}


def rows(text: str) -> dict[str, str]:
    """The second cell of each row of the tables in a text, by the first."""
    return dict(re.findall(r"^\| (.+?) \| (.+?) \|", text, flags=re.MULTILINE))


@pytest.mark.parametrize("title", BAD_INPUT)
def test_what_is_refused_is_refused_in_these_words(title: str):
    with pytest.raises(LinearMergerError) as caught:
        BAD_INPUT[title]()
    lines = [line.strip() for line in str(caught.value).splitlines()]
    assert lines == re.findall(r"`(.+?)`", rows(PAGE)[title])


def test_every_row_of_refusals_is_tested():
    table = PAGE.partition("| bad input |")[2]
    assert set(rows(table)) == {*BAD_INPUT}


def test_its_masks_are_those_that_there_are():
    named = re.findall(r"^\| `(\w+)`(?:, the default)?: `(.+?)`", PAGE, flags=re.MULTILINE)
    assert {name for name, _ in named} == set(MASKS)
    for name, call in named:
        made = eval(call, {kind.__name__: kind for kind in MASKS.values()})
        assert made == MASKS[name]()


def test_its_program_runs(capsys: pytest.CaptureFixture[str]):
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(program, "docs/alignment.md", "exec"), names)
    assert float(capsys.readouterr().out.removeprefix("barrier ")) < 0.2
    merged, asked = names["merged"], names["asked"]
    kinds = {type(module) for module in merged.modules()}
    assert nn.Linear in kinds
    assert LinearMerger not in kinds
    assert mean_loss(merged, asked) < 0.2


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with courses of one epoch."""
    spec = spec_from_file_location("linear_merger_example", ROOT / "examples" / "linear_merger.py")
    module = module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, spec.name, module)
    spec.loader.exec_module(module)
    for name in ("SHALLOW", "DEEP"):
        monkeypatch.setattr(module, name, Training(epochs=1, rate=3e-3))
    return module


def test_the_example_makes_the_tables_of_its_page(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    threads = torch.get_num_threads()
    example.main(["--pairs", "1", "--picture", str(tmp_path / "curves.png")])
    torch.set_num_threads(threads)
    printed = capsys.readouterr().out
    assert list(rows(printed)) == list(rows(EXAMPLES))
    heads = re.findall(r"^\| .*\n(?=\|---)", printed, flags=re.MULTILINE)
    assert heads
    assert all(head in EXAMPLES for head in heads)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
