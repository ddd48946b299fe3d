"""Promises of the workbench: it merges what changed, survives what fails, and does not grow."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from shutil import copytree

import pytest
import torch
from safetensors.torch import load_file, save_file

from evomerge.errors import EvaluationError, EvomergeError, MergeError, RecipeError
from evomerge.evaluators.loading import load_model
from evomerge.merging.plan import plan_merge
from evomerge.methods import sparsify
from evomerge.recipe import ModelReference, Recipe
from evomerge.workbench import Settings, Workbench
from evomerge.workbench.live import Live
from tests.workbench.benches import CPU, assert_same, bench, exported, logits, recipe, siblings


@pytest.fixture(scope="module")
def models(module_folder: Path) -> list[Path]:
    return siblings(module_folder / "models", dtype="bfloat16")


def ties(models: list[Path], weight: object = 0.5, density: object = 0.5, **rest) -> Recipe:
    return recipe("ties", models[0], models[1:], weight=weight, density=density, **rest)


def filtered(mlp: float) -> list:
    return [{"filter": "mlp", "value": mlp}, {"value": 0.5}]


def test_only_what_changed_is_merged(models: list[Path]):
    shared = {"merge_method": "linear", "models": [{"model": str(m)} for m in models[1:]]}
    with bench(models) as workbench:
        first = Recipe.from_tree(shared | {"parameters": {"weight": filtered(0.5)}})
        workbench.build(first)
        everything = len(workbench.plan(first).tensors)
        assert workbench.merged == everything
        workbench.build(first)
        assert workbench.merged == 0
        # Scaled for all models alike, normalised weights are the same, but nobody promised that.
        workbench.build(Recipe.from_tree(shared | {"parameters": {"weight": filtered(0.4)}}))
        assert workbench.merged == 6  # three matrices in each of two layers
        workbench.build(Recipe.from_tree(shared | {"parameters": {"weight": 0.4}}))
        assert workbench.merged == everything - 6


@pytest.mark.parametrize(
    "change",
    [
        {"density": 0.6},
        {"lambda": 1.1},
        {"weight": -0.0},
        {"merge_method": "dare_ties"},
    ],
    ids=str,
)
def test_whatever_decides_a_tensor_has_it_merged_again(models: list[Path], change: dict):
    tree = {
        "merge_method": "ties",
        "base_model": str(models[0]),
        "models": [{"model": str(m)} for m in models[1:]],
        "parameters": {"weight": 0.0, "density": 0.5},
    }
    changed = tree | {k: v for k, v in change.items() if k in tree}
    given = {k: v for k, v in change.items() if k not in tree}
    changed["parameters"] = tree["parameters"] | given
    with bench(models) as workbench:
        workbench.build(Recipe.from_tree(tree))
        workbench.build(Recipe.from_tree(changed))
        assert workbench.merged == len(workbench.plan(Recipe.from_tree(changed)).tensors)


@pytest.mark.parametrize(
    ("method", "density", "drawn"),
    [
        ("ties", 0.5, False),
        ("dare_ties", 0.5, True),
        ("dare_linear", [1.0, 0.0], False),
        ("della", [1.0, 0.5], True),
    ],
    ids=str,
)
def test_a_new_seed_has_merged_again_only_what_draws(
    tmp_path: Path, models: list[Path], method: str, density: object, drawn: bool
):
    def asked(seed: int) -> Recipe:
        given = {"epsilon": 0.2} if method == "della" else {}
        base, *others = models
        return recipe(method, base, others, weight=0.5, density=density, seed=seed, **given)

    with bench(models) as workbench:
        workbench.build(asked(1))
        everything = workbench.merged
        found = workbench.build(asked(7))
        assert workbench.merged == (everything if drawn else 0)
        assert_same(found, exported(asked(7), tmp_path / "out"))


def test_the_model_is_the_same_object(models: list[Path]):
    with bench(models) as workbench:
        first = workbench.build(ties(models, 0.3))
        before = logits(first)
        second = workbench.build(ties(models, 0.9))
        assert second.model is first.model
        assert not second.model.training
        assert not any(parameter.requires_grad for parameter in second.model.parameters())
        assert not logits(first).equal(before)


def damaged(model: Path, folder: Path) -> Path:
    """A copy with NaN in one tensor of the second layer."""
    copytree(model, folder)
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][3, 5] = torch.nan
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "streamed"])
def test_after_a_failure_the_next_candidate_is_right(
    tmp_path: Path, models: list[Path], resident: bool
):
    base, first, second = models
    bad = damaged(second, tmp_path / "bad")
    good = ties(models, 0.4)
    broken = ties([base, first, bad], 0.8)
    settings = Settings(device="cpu", resident=resident, threads=2)
    with bench([*models, bad], settings) as workbench:
        workbench.build(good)
        for _ in range(2):  # each time: only what was found finite is not looked at again
            with pytest.raises(MergeError, match=r"up_proj\.weight: bad holds NaN"):
                workbench.build(broken)
        assert_same(workbench.build(good), exported(good, tmp_path / "good"))
        assert workbench.merged > 0


def test_nan_passes_where_it_is_let_through(tmp_path: Path, models: list[Path]):
    bad = damaged(models[1], tmp_path / "bad")
    settings = Settings(device="cpu", resident=True, allow_nan=True)
    with bench([*models, bad], settings) as workbench:
        found = workbench.build(recipe("linear", None, [models[2], bad], weight=0.5))
        assert logits(found).isnan().any()


def test_an_interrupt_leaves_nothing_half_done(
    tmp_path: Path, models: list[Path], monkeypatch: pytest.MonkeyPatch
):
    before, after = ties(models, 0.2), ties(models, 0.7)
    whole, calls = Live.whole, []

    def interrupted(self: Live, info: object) -> object:
        calls.append(info)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return whole(self, info)

    with bench(models) as workbench:
        workbench.build(before)
        monkeypatch.setattr(Live, "whole", interrupted)
        with pytest.raises(KeyboardInterrupt):
            workbench.build(after)
        monkeypatch.setattr(Live, "whole", whole)
        assert_same(workbench.build(before), exported(before, tmp_path / "before"))


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (lambda m: recipe("slerp", m[0], m[1:], t=0.5), RecipeError),
        (lambda m: recipe("linear", None, m[1:], weight=[0.5, -0.5]), RecipeError),
        (lambda m: recipe("ties", m[0], m[1:], weight=1, chat_template="none"), RecipeError),
        (lambda m: recipe("ties", m[0], m[1:], wieght=1), RecipeError),
    ],
    ids=["too many models", "weights cancel", "no such template", "no such parameter"],
)
def test_impossible_recipes_are_refused_as_in_a_merge(
    tmp_path: Path, models: list[Path], asked: object, kind: type[EvomergeError]
):
    good = ties(models, 0.4)
    with bench(models) as workbench:
        workbench.build(good)
        with pytest.raises(kind) as ours:
            workbench.build(asked(models))
        with pytest.raises(kind) as theirs:
            exported(asked(models), tmp_path / "out")
        assert str(ours.value) == str(theirs.value)
        workbench.build(good)
        assert workbench.merged == 0


def test_a_model_that_is_not_here_is_named(models: list[Path]):
    with bench(models[:2]) as workbench, pytest.raises(RecipeError, match="expert_2 is not on"):
        workbench.plan(ties(models))


def test_missing_models_are_refused_and_what_was_opened_is_closed(
    tmp_path: Path, models: list[Path]
):
    with pytest.raises(EvomergeError, match="nowhere"):
        bench([models[0], tmp_path / "nowhere"])


def test_plans_are_those_of_a_merge(models: list[Path]):
    asked = ties(models, [0.2, 0.9])
    with bench(models) as workbench:
        ours, theirs = workbench.plan(asked), plan_merge(asked)
    assert [t.info for t in ours.tensors] == [t.info for t in theirs.tensors]
    assert [t.parameters for t in ours.tensors] == [t.parameters for t in theirs.tensors]


def counting(fold: Callable[..., object], calls: list[object], *given: object) -> object:
    calls.append(given)
    return fold(*given)


def test_inputs_are_surveyed_once(models: list[Path], monkeypatch: pytest.MonkeyPatch):
    """Magnitudes are counted for the first candidate, whichever method of the family it is."""
    counted: list[object] = []
    fold = sparsify.count_magnitudes
    monkeypatch.setattr(sparsify, "count_magnitudes", partial(counting, fold, counted))
    with bench(models) as workbench:
        workbench.build(ties(models, 0.4))
        tensors = len(workbench.plan(ties(models)).tensors)
        assert len(counted) == tensors
        workbench.build(ties(models, 0.7, 0.3))
        asked = recipe("breadcrumbs", models[0], models[1:], weight=0.5, density=0.7, gamma=0.02)
        workbench.build(asked)
        assert len(counted) == tensors
        workbench.build(ties([models[1], models[0], models[2]], 0.4))  # from another base
        assert len(counted) == 2 * tensors


def test_l1_norms_of_a_known_mask_are_remembered(
    models: list[Path], monkeypatch: pytest.MonkeyPatch
):
    asked: list[object] = []
    for name in ("magnitude_sums", "both_magnitude_sums"):
        fold = getattr(sparsify, name)
        monkeypatch.setattr(sparsify, name, partial(counting, fold, asked))

    def dare(weight: float, density: float, seed: int) -> int:
        before = len(asked)
        given = {"weight": weight, "density": density, "seed": seed}
        workbench.build(recipe("dare_ties", models[0], models[1:], **given))
        return len(asked) - before

    with bench(models) as workbench:
        tensors = dare(0.3, 0.5, 1)
        assert tensors == len(workbench.plan(ties(models)).tensors)
        assert dare(0.6, 0.5, 1) == 0
        assert dare(0.6, 0.4, 1) == tensors
        assert dare(0.6, 0.4, 2) == tensors
        assert dare(0.7, 0.5, 1) == 0


def test_a_folder_of_the_candidate_is_written_when_asked_for(tmp_path: Path, models: list[Path]):
    bad = damaged(models[2], tmp_path / "bad")
    with bench([*models, bad]) as workbench:
        first = workbench.build(ties(models, 0.3))
        folder = first.written()
        assert first.written() == folder
        assert_same(first, load_model(folder, device="cpu"))
        second = workbench.build(ties(models, 0.9))
        assert not folder.exists()
        assert_same(second, load_model(second.written(), device="cpu"))
        with pytest.raises(MergeError, match="NaN"):
            workbench.build(ties([models[0], models[1], bad], 0.5))
        with pytest.raises(EvaluationError, match="merge failed"):
            second.written()


def test_fingerprints_are_of_the_weights(models: list[Path], tmp_path: Path):
    copied = Path(copytree(models[0], tmp_path / "copy"))
    with bench([*models, copied]) as workbench:
        found = workbench.fingerprints()
    by_path = {reference.path: hash_ for reference, hash_ in found.items()}
    assert by_path[str(copied)] == by_path[str(models[0])]
    assert len(set(by_path.values())) == 3


def test_closing_frees_the_weights_that_others_hold(models: list[Path]):
    workbench = bench(models)
    held = workbench.build(ties(models)).model
    workbench.close()
    workbench.close()
    assert sum(tensor.nbytes for tensor in held.state_dict().values()) == 0


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_nothing(tmp_path: Path, models: list[Path], threads: int):
    asked = recipe("dare_ties", models[0], models[1:], weight=0.5, density=0.5)
    with bench(models, Settings(device="cpu", resident=True, threads=threads)) as workbench:
        assert_same(workbench.build(asked), exported(asked, tmp_path / "out"))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_memory_stays_flat_over_many_candidates(models: list[Path]):
    """Ever new densities and seeds, of two methods."""

    def build(numbers: range) -> None:
        for number in numbers:
            density = 0.2 + 0.7 * number / 300
            method = ("ties", "dare_ties")[number % 2]
            given = {"weight": 0.5, "density": density, "seed": number}
            workbench.build(recipe(method, models[0], models[1:], **given))

    with Workbench([ModelReference.of(m) for m in models], CPU) as workbench:
        build(range(140))  # by now, all that is remembered of a tensor has been replaced once
        before = resident_bytes()
        build(range(140, 300))
        assert resident_bytes() - before < 4 << 20
