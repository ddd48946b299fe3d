"""Promises of tied embeddings: merged once, and written once more only where a model has a head."""

from __future__ import annotations

import numpy as np
import pytest

from tests.merging.tiny import (
    EMBEDDING,
    HEAD,
    collected,
    llama,
    merged,
    model,
    plan_of,
    recipe,
    sliced,
    tuned,
)


@pytest.fixture
def models(tmp_path):
    """``(folder, tensors)`` of models with and without a head: ``models(tied=...)``."""

    def make(*, tied, seed, **config):
        tensors = llama(seed, tied=tied)
        name = f"{'tied' if tied else 'untied'}-{seed}"
        return model(tmp_path / name, tensors, **config), tensors

    return make


def test_tied_models_give_a_tied_model(models):
    (a, _), (b, _) = models(tied=True, seed=1), models(tied=True, seed=2)
    plan = plan_of(recipe("linear", a, b, weight=1))
    assert plan.tied
    assert HEAD not in collected(plan)


def test_untied_models_give_an_untied_model(models):
    (a, of_a), (b, of_b) = models(tied=False, seed=1), models(tied=False, seed=2)
    plan = plan_of(recipe("linear", a, b, weight=1))
    assert not plan.tied
    np.testing.assert_allclose(collected(plan)[HEAD], (of_a[HEAD] + of_b[HEAD]) / 2, atol=1e-6)


@pytest.mark.parametrize("tied_first", [True, False])
def test_in_a_mix_a_tied_model_lends_its_embedding(models, tied_first):
    pairs = [models(tied=True, seed=1), models(tied=False, seed=2)]
    folders = [folder for folder, _ in (pairs if tied_first else pairs[::-1])]
    plan = plan_of(recipe("linear", *folders, weight=1))
    assert not plan.tied
    found = collected(plan)
    (_, tied), (_, untied) = pairs
    np.testing.assert_allclose(found[HEAD], (tied[EMBEDDING] + untied[HEAD]) / 2, atol=1e-6)
    middle = (tied[EMBEDDING] + untied[EMBEDDING]) / 2
    np.testing.assert_allclose(found[EMBEDDING], middle, atol=1e-6)


@pytest.mark.parametrize("tied", [(False, True), (True, False), (False, False), (True, True)])
def test_a_stack_is_tied_only_if_both_its_ends_are(models, tied):
    (a, of_a), (b, of_b) = models(tied=tied[0], seed=1), models(tied=tied[1], seed=2)
    plan = plan_of(sliced("passthrough", [(a, 0, 1)], [(b, 1, 2)]))
    assert plan.tied == all(tied)
    found = collected(plan)
    np.testing.assert_array_equal(found[EMBEDDING], of_a[EMBEDDING])
    if not all(tied):
        np.testing.assert_array_equal(found[HEAD], of_b[EMBEDDING if tied[1] else HEAD])


def test_a_tied_base_lends_its_embedding_too(models, tmp_path):
    base, of_base = models(tied=True, seed=1)
    untied = tuned({**of_base, HEAD: of_base[EMBEDDING]}, seed=2)
    expert = model(tmp_path / "expert", untied)
    found = merged(recipe("task_arithmetic", expert, base=base, weight=0.5))
    expected = of_base[EMBEDDING] + 0.5 * (untied[HEAD] - of_base[EMBEDDING])
    np.testing.assert_allclose(found[HEAD], expected, atol=1e-6)


def test_filters_take_a_lent_embedding_for_a_head(models):
    (a, of_a), (b, of_b) = models(tied=True, seed=1), models(tied=False, seed=2)
    weight = [{"filter": "lm_head", "value": 3}, {"value": 1}]
    tree = recipe("linear", a, b)
    tree["models"][0]["parameters"] = {"weight": weight}
    tree["models"][1]["parameters"] = {"weight": 1}
    found = merged(tree)
    np.testing.assert_allclose(found[HEAD], (3 * of_a[EMBEDDING] + of_b[HEAD]) / 4, atol=1e-6)
    np.testing.assert_allclose(found[EMBEDDING], (of_a[EMBEDDING] + of_b[EMBEDDING]) / 2, atol=1e-6)


def test_a_copy_of_the_embedding_in_a_tied_file_is_not_a_head(models, tmp_path):
    # Some checkpoints hold both; transformers ties them on loading.
    tensors = llama(1)
    a = model(tmp_path / "both", tensors | {HEAD: tensors[EMBEDDING]}, tie_word_embeddings=True)
    plan = plan_of(recipe("passthrough", a))
    assert plan.tied
    assert HEAD not in collected(plan)


def test_the_head_has_noise_of_its_own(models):
    (a, of_a), (b, _) = models(tied=True, seed=1), models(tied=False, seed=2)
    tree = recipe("dare_linear", b, base=a, weight=1, density=0.5, rescale=False)
    found = merged(tree)
    dropped = {name: found[name] == of_a[EMBEDDING] for name in (EMBEDDING, HEAD)}
    assert not np.array_equal(dropped[EMBEDDING], dropped[HEAD])
