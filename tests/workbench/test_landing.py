"""Where the tensors of a checkpoint land: proven by marks, or refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.core_model_loading import Concatenate, Transpose, WeightConverter

from evomerge.checkpoint.reader import open_checkpoint
from evomerge.errors import MergeError
from evomerge.families import family_of
from evomerge.kernels.torch_arrays import to_torch
from evomerge.workbench import landing
from evomerge.workbench.landing import Landing, find_landing
from evomerge.zoo.random_models import FAMILIES, Options, random_model

LAYER = "model.layers.1."


def landed(folder: Path) -> tuple[PreTrainedModel, Landing]:
    with open_checkpoint(str(folder)) as checkpoint:
        infos = [checkpoint.info(name) for name in checkpoint.names()]
        family = family_of(checkpoint.config, checkpoint.names(), checkpoint.label)
    model = AutoModelForCausalLM.from_pretrained(folder)
    return model, find_landing(model, infos, family)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_every_element_is_where_it_is_said_to_be(tmp_path: Path, family: str, tied: bool):
    folder = random_model(tmp_path / "model", family, options=Options(tied=tied))
    model, places = landed(folder)
    state = model.state_dict()
    with open_checkpoint(str(folder)) as checkpoint:
        for name, runs in places.items():
            stored = to_torch(checkpoint.load(name)).reshape(-1)
            assert sum(run.count for run in runs) == stored.numel()
            for run in runs:
                found = state[run.target].reshape(-1)[run.at : run.at + run.count]
                assert torch.equal(found, stored[run.first : run.first + run.count]), name


def test_fused_experts_are_found_one_by_one(tmp_path: Path):
    """Gate and up stand one above the other in a layer's tensor of all experts."""
    _, places = landed(random_model(tmp_path / "model", "mixtral"))
    width = 32 * 48
    root = f"{LAYER}block_sparse_moe.experts."
    for expert in range(4):
        for number, part in enumerate(("w1", "w3")):
            (run,) = places[f"{root}{expert}.{part}.weight"]
            assert run.target == f"{LAYER}mlp.experts.gate_up_proj"
            assert run.at == (2 * expert + number) * width


def test_buffers_of_old_checkpoints_land_nowhere(tmp_path: Path):
    options = Options(tied=True, original=True)
    _, places = landed(random_model(tmp_path / "model", "gpt2", options=options))
    nowhere = [name for name, runs in places.items() if not runs]
    assert nowhere == ["h.0.attn.bias", "h.1.attn.bias"]
    assert places["h.0.ln_1.bias"][0].target == "transformer.h.0.ln_1.bias"


@pytest.mark.parametrize(
    ("sources", "targets", "operation"),
    [
        ("self_attn.q_proj.weight", "self_attn.q_proj.weight", Transpose(0, 1)),
        (
            ["self_attn.k_proj.weight", "self_attn.v_proj.weight"],
            "self_attn.q_proj.weight",
            Concatenate(dim=1),
        ),
    ],
    ids=["transposed", "side by side"],
)
def test_what_is_scattered_is_refused_by_name(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sources: str | list[str],
    targets: str,
    operation: object,
):
    converter = WeightConverter(sources, targets, operations=[operation])
    monkeypatch.setattr(landing, "get_model_conversion_mapping", lambda _: [converter])
    with pytest.raises(MergeError, match=r"model\.layers\.0\.self_attn\.[qk]_proj\.weight"):
        landed(random_model(tmp_path / "model"))


def test_what_nothing_lands_in_is_refused_by_name(tmp_path: Path):
    folder = random_model(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(folder)
    with open_checkpoint(str(folder)) as checkpoint:
        family = family_of(checkpoint.config, checkpoint.names(), checkpoint.label)
        infos = [checkpoint.info(name) for name in checkpoint.names() if "up_proj" not in name]
    with pytest.raises(MergeError, match=r"layers\.0\.mlp\.up_proj\.weight: .* 0 of its 1536"):
        find_landing(model, infos, family)
