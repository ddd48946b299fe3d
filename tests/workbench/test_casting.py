"""A model that was loaded tells what others of its kind are, and where their tensors land."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from evomerge.checkpoint.reader import open_checkpoint
from evomerge.checkpoint.tensors import TensorInfo
from evomerge.dtypes import FLOAT32
from evomerge.evaluators.base import LoadedModel
from evomerge.families import Family, family_of
from evomerge.workbench.landing import Landing, Run, find_landing
from evomerge.workbench.live import Live
from evomerge.workbench.places import Place, places_of
from evomerge.workbench.renumbering import habits_of, landing_by, together
from evomerge.workbench.shells import Caster, equal, give_memory
from evomerge.zoo.random_models import FAMILIES, Options, random_model

LLAMA = family_of({"architectures": ["LlamaForCausalLM"]}, [], "")


def read(folder: Path) -> tuple[PreTrainedModel, list[TensorInfo], Family, dict]:
    with open_checkpoint(str(folder)) as checkpoint:
        infos = [checkpoint.info(name) for name in checkpoint.names()]
        family = family_of(checkpoint.config, checkpoint.names(), checkpoint.label)
        config = dict(checkpoint.config)
    return AutoModelForCausalLM.from_pretrained(folder).eval(), infos, family, config


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_other_depths_are_told_as_they_are_found(tmp_path: Path, family: str, tied: bool):
    """By the landing that is proven of each, and by the model that is loaded of each."""
    shallow, deep = (
        read(random_model(tmp_path / str(n), family, options=Options(layers=n, tied=tied)))
        for n in (2, 3)
    )
    model, infos, facts, _ = shallow
    habits = habits_of(find_landing(model, infos, facts), infos, facts)
    loaded, infos, _, config = deep
    assert landing_by(habits, infos, facts) == find_landing(loaded, infos, facts)
    caster = replace(Caster.like(model), path=loaded.config.name_or_path)
    shell = caster.shell(config)
    assert equal(shell, loaded)
    assert all(tensor.is_meta for tensor in shell.state_dict().values())
    assert not any(buffer.is_meta for _, buffer in shell.named_non_persistent_buffers())


def info(name: str, *shape: int) -> TensorInfo:
    return TensorInfo(name, shape, FLOAT32)


def whole(target: str, size: int) -> list[Run]:
    return [Run(0, size, target, 0)]


UP = "model.layers.{}.mlp.up_proj.weight"
TWO = [info(UP.format(layer), 2, 3) for layer in (0, 1)]
ALIKE: Landing = {each.name: whole(each.name, 6) for each in TWO}
HABITS = habits_of(ALIKE, TWO, LLAMA)


def test_what_lands_alike_in_all_layers_is_known_of_any():
    asked = info(UP.format(7), 2, 3)
    assert landing_by(HABITS, [asked], LLAMA) == {asked.name: whole(asked.name, 6)}


@pytest.mark.parametrize(
    "asked",
    [info(UP.format(1), 3, 3), info("model.layers.0.mlp.down_proj.weight", 2, 3)],
    ids=["another shape", "another name"],
)
def test_what_was_not_seen_is_not_known(asked: TensorInfo):
    assert landing_by(HABITS, [*TWO, asked], LLAMA) is None
    seen = habits_of({asked.name: whole(asked.name, asked.size)}, [asked], LLAMA)
    both = landing_by(together(HABITS, seen), [*TWO, asked], LLAMA)
    assert both == {**ALIKE, asked.name: whole(asked.name, asked.size)}


@pytest.mark.parametrize(
    "second",
    [[Run(0, 3, TWO[1].name, 3), Run(3, 3, TWO[1].name, 0)], whole(TWO[0].name, 6), []],
    ids=["in another order", "in another layer", "nowhere"],
)
def test_what_depends_on_the_layer_is_not_known(second: list[Run]):
    odd = habits_of({TWO[0].name: ALIKE[TWO[0].name], TWO[1].name: second}, TWO, LLAMA)
    for habits in (odd, together(HABITS, odd), together(odd, HABITS)):
        assert landing_by(habits, TWO, LLAMA) is None


def test_a_shell_that_differs_in_anything_is_not_the_model(tmp_path: Path):
    model, _, _, config = read(random_model(tmp_path / "model", "gemma3"))
    caster = Caster.like(model)
    assert equal(caster.shell(config), model)

    def differs(shell: PreTrainedModel) -> bool:
        return not equal(shell, model)

    assert differs(
        caster.shell(config | {"num_hidden_layers": 1, "layer_types": ["full_attention"]})
    )
    assert differs(caster.shell(config | {"dtype": "bfloat16"}))
    assert differs(caster.shell(config | {"tie_word_embeddings": True}))
    assert differs(caster.shell(config | {"rms_norm_eps": 1e-5}))
    assert differs(caster.shell(config).train())
    frequencies = caster.shell(config)
    next(iter(frequencies.named_non_persistent_buffers()))[1].mul_(1 + 1e-6)
    assert differs(frequencies)
    generation = caster.shell(config)
    generation.generation_config.max_length = 7
    assert differs(generation)


def test_a_shell_with_memory_is_on_the_device_with_nothing_in_it(tmp_path: Path):
    model, _, _, config = read(random_model(tmp_path / "m", options=Options(tied=True)))
    shell = Caster.like(model).shell(config)
    shapes = give_memory(shell, "cpu")
    places = places_of(shell, shapes)
    assert sum(tensor.numel() for tensor in shell.state_dict().values()) == 0
    assert not any(parameter.is_meta for parameter in shell.parameters())
    assert places["lm_head.weight"] is places["model.embed_tokens.weight"]
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            places[name].own().copy_(tensor.reshape(-1))
    tokens = torch.arange(8)[None]
    with torch.no_grad():
        assert torch.equal(shell(tokens).logits, model(tokens).logits)


@pytest.mark.parametrize(
    ("place", "landed", "shared"),
    [
        (torch.empty(2, 3), whole("up", 6), True),
        (torch.empty(6), whole("up", 6), True),
        (torch.empty(2, 3, device="meta"), whole("up", 6), False),
        (torch.empty(2, 3, dtype=torch.bfloat16), whole("up", 6), False),
        (torch.empty(4, 3), [Run(0, 6, "up", 6)], False),
        (torch.empty(2, 3), [Run(0, 3, "up", 3), Run(3, 3, "up", 0)], False),
        (torch.empty(2, 3), [], False),
    ],
    ids=["whole", "flat", "elsewhere", "another type", "a part", "in pieces", "nowhere"],
)
def test_what_is_a_whole_parameter_in_main_memory_can_be_shared(
    place: torch.Tensor, landed: list[Run], shared: bool
):
    tensor = info("up", 2, 3)
    loaded = LoadedModel(torch.nn.Module(), None, "")
    live = Live(loaded, {"up": landed}, {"up": Place(place, place.shape)})
    assert live.can_share(tensor) == shared
    if shared:
        array = np.arange(6, dtype=np.float32).reshape(2, 3)
        live.share(tensor, array)
        assert place.data_ptr() == array.ctypes.data
        assert place.flatten().tolist() == [0, 1, 2, 3, 4, 5]
        live.write(tensor, 0, np.zeros((2, 3), np.float32))
        assert not place.any()
        assert array.ravel().tolist() == [0, 1, 2, 3, 4, 5]
        live.close()
        assert place.numel() == 0
