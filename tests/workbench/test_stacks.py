"""Stacks of layers: cast without loading, sharing the memory of the models they come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
import torch

from evomerge.dtypes import FLOAT32
from evomerge.errors import MergeError
from evomerge.evaluators.base import LoadedModel, make_evaluator
from evomerge.families import FAMILIES
from evomerge.families import Family as FamilyFacts
from evomerge.recipe import ModelReference, Recipe
from evomerge.stacks import Hop, slices_of
from evomerge.workbench import Settings, Workbench, memory_plan, mould
from evomerge.workbench.resident import Resident
from evomerge.zoo.random_models import Options, random_model
from evomerge.zoo.small_tokenizers import word_tokenizer
from tests.checkpoint.peft_adapters import trained
from tests.workbench.benches import WORDS, assert_same, bench, exported, recipe, siblings

STACKED = [
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "gpt2",
    "gpt_neox",
    "gemma2",
    "gemma3",
    "olmo2",
    "mixtral",
]
NAMES = {
    "llama": "Llama",
    "mistral": "Mistral",
    "qwen2": "Qwen2",
    "qwen3": "Qwen3",
    "gpt2": "GPT-2",
    "gpt_neox": "GPT-NeoX",
    "gemma2": "Gemma 2",
    "gemma3": "Gemma 3",
    "olmo2": "OLMo 2",
    "mixtral": "Mixtral",
}


def facts(family: str) -> FamilyFacts:
    return next(each for each in FAMILIES if each.name == NAMES[family])


def stack(*hops: tuple, anchor: Path | str | None = None, family: str = "llama", **keys) -> Recipe:
    """Passthrough of hops: model, layer and, if any, scale."""
    made = tuple(Hop(ModelReference.of(model), *rest) for model, *rest in hops)
    first = made[0].model if anchor is None else ModelReference.of(anchor)
    slices = slices_of(made, first, facts(family))
    return Recipe.from_tree({"merge_method": "passthrough", "slices": slices} | keys)


def deep(folder: Path, family: str = "llama", **options) -> Path:
    """A model of three layers, of the width and vocabulary of `siblings`."""
    settings = Options(layers=3, tokenizer=word_tokenizer(WORDS), **options)
    return random_model(folder, family, seed=7, options=settings)


def addresses(loaded: LoadedModel) -> dict[str, int]:
    state = loaded.model.state_dict()
    return {name: tensor.untyped_storage().data_ptr() for name, tensor in state.items()}


def held(workbench: Workbench) -> list[Resident]:
    return [each for each in workbench._sources.values() if isinstance(each, Resident)]


def of_sources(workbench: Workbench) -> set[int]:
    """Where the tensors of the models in memory begin."""
    return {pair[1].ctypes.data for source in held(workbench) for pair in source._arrays.values()}


def written(loaded: LoadedModel, **how) -> list[int]:
    """What the model says after three tokens, greedily."""
    prompt = torch.tensor([[5, 9, 3]])
    settings = {"do_sample": False, "max_new_tokens": 6, "eos_token_id": None, "pad_token_id": 0}
    with torch.no_grad():
        return loaded.model.generate(prompt, **settings, **how)[0].tolist()


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A call for each model that transformers loads for a workbench."""
    calls: list[object] = []

    def counting(load: Callable[..., object], *given: object) -> object:
        calls.append(given)
        return load(*given)

    monkeypatch.setattr(mould, "load", partial(counting, mould.load))
    return calls


TIED = {"gpt2", "gemma2", "gemma3"}


FIRST = {"tied": True, "original": True}
VARIANTS = [
    *(pytest.param(family, {"tied": family in TIED}, id=family) for family in STACKED),
    pytest.param("llama", {"tied": True, "dtype": "bfloat16"}, id="llama tied, of 16 bits"),
    pytest.param("gpt2", FIRST, id="first gpt2"),
    pytest.param("gpt_neox", FIRST | {"tied": False}, id="first gpt_neox"),
]


@pytest.mark.parametrize(("family", "options"), VARIANTS)
def test_stacks_are_their_exports_and_are_not_loaded(
    tmp_path: Path, family: str, options: dict, loads: list[object]
):
    """Repeated, reordered, of models of several depths, scaled; with a merge before and between."""
    base, first, second = siblings(tmp_path / "models", family, **options)
    third = deep(tmp_path / "deep", family, **options)
    made = partial(stack, anchor=base, family=family)
    merged = recipe("ties", base, [first, second], weight=[0.3, 0.7], density=0.6)
    plain = made((first, 1), (first, 1), (third, 2), (second, 0), (first, 1))
    scaled = made((first, 0), (second, 1, 0.8), (second, 1, 1.5), (third, 1))
    asked = [merged, plain, scaled]
    expected = [exported(each, tmp_path / f"out{i}") for i, each in enumerate(asked)]
    with bench([base, first, second, third]) as workbench:
        for number in (0, 1, 2, 0, 1):
            assert_same(workbench.build(asked[number]), expected[number])
        for number in (2, 1):
            cached = written(workbench.build(asked[number]))
            assert cached == written(workbench.build(asked[number]), use_cache=False)
            assert cached == written(expected[number])
    assert len(loads) == 1


def test_layers_of_a_kind_that_was_not_there_are_cast_too(tmp_path: Path, loads: list[object]):
    """Gemma 3 has frequencies for each kind of its layers: a window's, and those of the whole."""
    base, first, _ = siblings(tmp_path / "models", "gemma3")
    made = partial(stack, anchor=base, family="gemma3")
    asked = [made((first, 0), (base, 0)), made((first, 1), (first, 1), (base, 1), (base, 0))]
    with bench([base, first]) as workbench:
        for number, each in enumerate(asked):
            assert_same(workbench.build(each), exported(each, tmp_path / str(number)))
    assert len(loads) == 1


def test_layers_with_tensors_that_were_not_there_are_loaded_once(
    tmp_path: Path, loads: list[object]
):
    """Layers without experts, in a model of experts whose config names them."""
    tokenizer = word_tokenizer(WORDS)
    models = [
        random_model(tmp_path / f"m{n}", "qwen3_moe", seed=n, options=Options(tokenizer=tokenizer))
        for n in range(2)
    ]
    dense = dense_copy(models[1], tmp_path / "dense")
    hops = [[(models[0], 0), (models[0], 1)], [(models[0], 0), (dense, 1)], [(dense, 1)] * 3]
    asked = [stack(*each, anchor=models[0]) for each in hops]
    with bench([models[0], dense]) as workbench:
        for number, each in enumerate([*asked, asked[0]]):
            assert_same(workbench.build(each), exported(each, tmp_path / f"out{number}"))
    assert len(loads) == 2


def test_where_a_shell_is_not_the_model_every_shape_is_loaded(
    tmp_path: Path, models: list[Path], loads: list[object], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(mould, "equal", lambda shell, loaded: False)
    asked = [stack(*[(models[1], 1)] * count) for count in (1, 2, 1)]
    with bench(models) as workbench:
        for number, each in enumerate(asked):
            assert_same(workbench.build(each), exported(each, tmp_path / str(number)))
    assert len(loads) == 3


def dense_copy(model: Path, folder: Path) -> Path:
    """The model with one feed-forward block instead of experts in its last layer."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(model)
    config.mlp_only_layers = [1]
    torch.manual_seed(1)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    word_tokenizer(WORDS).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def models(module_folder: Path) -> list[Path]:
    return siblings(module_folder / "models")


def random_stack(models: Sequence[Path], random: Random, scales: Sequence[float] = ()) -> Recipe:
    hops = [
        (random.choice(models), random.randrange(2), *random.sample(scales, bool(scales)))
        for _ in range(random.randint(1, 7))
    ]
    return stack(*hops, anchor=models[0])


def test_what_is_copied_is_not_copied(models: list[Path]):
    """Every tensor of a stack is a source's; two hops of one layer are two modules, one memory."""
    with bench(models) as workbench:
        found = workbench.build(stack((models[1], 0), (models[1], 0), (models[2], 1)))
        assert workbench.merged == 0
        assert set(addresses(found).values()) <= of_sources(workbench)
        first, again, other = found.model.model.layers
        assert [layer.self_attn.layer_idx for layer in (first, again, other)] == [0, 1, 2]
        one, two = first.mlp.up_proj.weight, again.mlp.up_proj.weight
        assert one is not two
        assert one.data_ptr() == two.data_ptr() != other.mlp.up_proj.weight.data_ptr()


def test_a_scaled_hop_owns_what_is_scaled(models: list[Path]):
    with bench(models) as workbench:
        found = workbench.build(stack((models[1], 0), (models[1], 0, 0.5)))
        own = {n for n, at in addresses(found).items() if at not in of_sources(workbench)}
    layer = "model.layers.1."
    assert own == {f"{layer}self_attn.o_proj.weight", f"{layer}mlp.down_proj.weight"}
    assert workbench.merged == 2


def test_a_source_alone_is_not_copied_either(models: list[Path]):
    """Also where its tensors stand beside merged ones: here only the second layer is merged."""
    with bench(models) as workbench:
        found = workbench.build(recipe("passthrough", None, models[:1]))
        assert set(addresses(found).values()) <= of_sources(workbench)
        sources = [{"model": str(model), "layer_range": [1, 2]} for model in models]
        first = {"model": str(models[0]), "layer_range": [0, 1]}
        mixed = Recipe.from_tree(
            {
                "merge_method": "linear",
                "parameters": {"weight": 0.5},
                "slices": [
                    {"sources": [first], "merge_method": "passthrough", "parameters": {}},
                    {"sources": sources},
                ],
            }
        )
        places = addresses(workbench.build(mixed))
        shared = {name for name, at in places.items() if at in of_sources(workbench)}
    assert {name for name in places if ".layers.0." in name} <= shared
    assert not any(".layers.1." in name for name in shared)


def test_no_candidate_writes_to_a_source(models: list[Path]):
    """Fifty in turn: what was shared is merged next, in the same model, and the other way round."""
    random = Random(3)
    two = partial(stack, (models[1], 1), (models[2], 1), anchor=models[0])
    kinds: list[Callable[[], Recipe]] = [
        lambda: recipe("passthrough", None, models[:1]),
        lambda: recipe("linear", None, models, weight=[random.random() for _ in models]),
        two,
        lambda: recipe("passthrough", None, models[:1], scale=random.random()),
        lambda: random_stack(models, random),
        lambda: recipe("passthrough", None, [random.choice(models)]),
        lambda: recipe("ties", models[0], models[1:], weight=random.random(), density=0.5),
        lambda: random_stack(models, random, (0.5, 1.0, 1.25)),
    ]
    with bench(models) as workbench:
        workbench.build(kinds[1]())
        before = [{n: each.load(n).tobytes() for n in each.names()} for each in held(workbench)]
        found, shared = [], []
        for number in range(50):
            found.append(workbench.build(kinds[number % len(kinds)]()))
            shared.append(bool(set(addresses(found[-1]).values()) & of_sources(workbench)))
        after = [{n: each.load(n).tobytes() for n in each.names()} for each in held(workbench)]
    turns = [
        (was, is_now)
        for (one, was), (other, is_now) in pairwise(zip(found, shared, strict=True))
        if one.model is other.model
    ]
    assert min(turns.count((True, False)), turns.count((False, True))) > 5
    assert before == after


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_memory_stays_flat_over_many_stacks(tmp_path: Path):
    """Two hundred of up to seven layers; to copy ten would take more than the limit."""
    models = siblings(tmp_path, hidden=96)
    random = Random(1)
    with bench(models) as workbench:
        for _ in range(30):
            workbench.build(random_stack(models, random))
        before = resident_bytes()
        for _ in range(200):
            workbench.build(random_stack(models, random))
        assert resident_bytes() - before < 4 << 20


def test_of_a_stack_that_was_left_nothing_is_kept(models: list[Path]):
    with bench(models) as workbench:
        left = workbench.build(stack((models[1], 0, 0.5), (models[2], 1))).model
        workbench.build(stack((models[1], 0)))
        assert sum(tensor.nbytes for tensor in left.state_dict().values()) == 0


def test_nan_in_what_is_shared_is_refused_each_time(tmp_path: Path, models: list[Path]):
    from safetensors.torch import load_file, save_file

    bad = deep(tmp_path / "bad")
    weights = load_file(bad / "model.safetensors")
    weights["model.layers.2.mlp.up_proj.weight"][3, 5] = torch.inf
    save_file(weights, bad / "model.safetensors", {"format": "pt"})
    good, broken = stack((bad, 0), (bad, 1)), stack((bad, 0), (bad, 2))
    with bench([*models, bad]) as workbench:
        for number in range(2):
            with pytest.raises(MergeError, match=r"layers\.2\.mlp\.up_proj\.weight: bad holds NaN"):
                workbench.build(broken)
            assert_same(workbench.build(good), exported(good, tmp_path / f"out{number}"))
    settings = Settings(device="cpu", resident=True, allow_nan=True)
    with bench([*models, bad], settings) as workbench:
        found = workbench.build(broken)
        assert found.model.model.layers[1].mlp.up_proj.weight.isinf().any()
        assert set(addresses(found).values()) <= of_sources(workbench)


@pytest.mark.parametrize(
    ("stored", "keys", "shared"),
    [
        ("float32", {"dtype": "bfloat16"}, False),
        ("float32", {"dtype": "bfloat16", "out_dtype": "float32"}, False),
        ("bfloat16", {"dtype": "float32", "out_dtype": "bfloat16"}, True),
        ("float16", {}, True),
    ],
)
def test_only_numbers_of_the_same_type_are_shared(
    tmp_path: Path, stored: str, keys: dict, shared: bool
):
    models = siblings(tmp_path / "models", dtype=stored)
    asked = stack((models[1], 1), (models[2], 1), (models[1], 0), **keys)
    with bench(models) as workbench:
        found = workbench.build(asked)
        assert_same(found, exported(asked, tmp_path / "out"))
        common = set(addresses(found).values()) & of_sources(workbench)
    assert bool(common) == shared


def test_what_is_read_from_disk_is_not_shared(tmp_path: Path, models: list[Path]):
    asked = stack((models[1], 1), (models[2], 1), (models[1], 0))
    with bench(models, Settings(device="cpu", resident=False, threads=2)) as workbench:
        found = workbench.build(asked)
        assert workbench.merged == len(workbench.plan(asked).tensors)
        assert_same(found, exported(asked, tmp_path / "out"))


@pytest.mark.parametrize("stored", ["float32", "bfloat16"])
def test_layers_with_an_adapter(tmp_path: Path, stored: str):
    """What it changes is computed in float32: shared where the model has that type too."""
    base, first, _ = siblings(tmp_path / "models", dtype=stored)
    adapter = trained(tmp_path / "lora", base, r=2, target_modules=["up_proj"])
    adapted = f"{base}+{adapter}"
    asked = stack((adapted, 1), (first, 0), (adapted, 1), anchor=base)
    with bench([base, first, adapted]) as workbench:
        found = workbench.build(asked)
        assert_same(found, exported(asked, tmp_path / "out"))
        assert workbench.merged == (0 if stored == "float32" else 2)


def test_a_stack_in_a_new_vocabulary(tmp_path: Path):
    """Its embedding is made for this set of models, all else is as in any other."""
    speakers = [
        random_model(tmp_path / f"m{n}", seed=n, options=Options(tokenizer=word_tokenizer(words)))
        for n, words in enumerate([WORDS, [*WORDS[::-1], "more"]])
    ]
    hops = [(speakers[0], 1), (speakers[1], 1), (speakers[0], 1)]
    union = {"tokenizer_source": "union"}
    asked = [
        recipe("linear", None, speakers, weight=0.5, **union),
        stack(*hops, **union),
        stack(*hops[:2], anchor=speakers[0], **union),
    ]
    with bench(speakers) as workbench:
        for number, each in enumerate(asked):
            found = workbench.build(each)
            assert_same(found, exported(each, tmp_path / f"out{number}"))
        layers = {n: at for n, at in addresses(found).items() if ".layers." in n}
        assert set(layers.values()) <= of_sources(workbench)


@pytest.mark.parametrize("stored", ["float32", "bfloat16", "float16"])
def test_zeros_keep_their_signs(tmp_path: Path, stored: str):
    """To be multiplied by 1 is to be copied, in a folder as in memory."""
    from safetensors.torch import load_file, save_file

    model = deep(tmp_path / "model", dtype=stored)
    weights = load_file(model / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    weights[name][::2] = -0.0
    save_file(weights, model / "model.safetensors", {"format": "pt"})
    asked = recipe("passthrough", None, [model], scale=1.0)
    with bench([model]) as workbench:
        ours = workbench.build(asked).model.state_dict()[name]
        assert workbench.merged == 0
        theirs = exported(asked, tmp_path / "out").model.state_dict()[name]
    assert ours.signbit().equal(weights[name].signbit())
    assert theirs.signbit().equal(weights[name].signbit())


@pytest.mark.parametrize("family", ["llama", "gpt2", "mixtral"])
@pytest.mark.parametrize("scale", [1.0, 0.8])
def test_the_plan_of_the_memory_is_what_is_taken(tmp_path: Path, family: str, scale: float):
    base, first, _ = siblings(tmp_path / "models", family)
    asked = stack((first, 1), (first, 1, scale), (base, 0), anchor=base, family=family)
    references = [ModelReference.of(model) for model in (base, first)]
    planned = memory_plan(references, asked, Settings(device="cpu", resident=True))
    with bench([base, first]) as workbench:
        loaded = workbench.build(asked)
        tensors = loaded.model.state_dict().values()
        own = [t for t in tensors if t.untyped_storage().data_ptr() not in of_sources(workbench)]
    assert planned.model == sum(tensor.nbytes for tensor in tensors)
    assert planned.own == sum(tensor.nbytes for tensor in own)
    assert bool(planned.own) == (family == "mixtral" or scale != 1.0)
    assert f"beside {planned.shared / 1e9:.2f} GB of the models'" in str(planned)
    streamed = replace(planned, resident=False)
    assert streamed.own == planned.model
    assert streamed.needed - planned.needed == planned.shared - planned.sources


def test_a_model_alone_does_not_stand_for_a_search(models: list[Path]):
    """It is scored first, and shares everything; the merges that follow do not."""
    references = [ModelReference.of(model) for model in models]
    alone = memory_plan(references, recipe("passthrough", None, models[:1]), Settings(device="cpu"))
    assert alone.own == alone.model > 0
    elsewhere = memory_plan(references, stack((models[0], 0)), Settings(device="cuda"))
    assert elsewhere.own == elsewhere.model == elsewhere.shared == 0


COSTS = ("parameters", "bytes", "layers", "kv_cache_bytes")


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3", "mixtral"])
def test_a_stack_costs_what_its_export_costs(tmp_path: Path, family: str):
    base, first, _ = siblings(tmp_path / "models", family, tied=family == "gpt2")
    asked = stack((first, 1), (first, 1), (base, 0), (first, 1), anchor=base, family=family)
    cost = make_evaluator({"name": "cost", "metric": "parameters"})
    with bench([base, first]) as workbench:
        ours = cost.evaluate(workbench.build(asked))
        theirs = cost.evaluate(exported(asked, tmp_path / "out"))
    assert [(m.metric, m.value) for m in ours.measures] == [
        (m.metric, m.value) for m in theirs.measures
    ]
    assert [measure.metric for measure in ours.measures] == list(COSTS)


def test_repeated_layers_cost_each_time(models: list[Path]):
    """Four layers of one: 7 matrices and 2 norms each, beside embedding, head and last norm."""
    cost = make_evaluator({"name": "cost", "metric": "parameters"})
    with bench(models) as workbench:
        found = cost.evaluate(workbench.build(stack(*[(models[1], 1)] * 4)))
    width, inner, tokens = 32, 48, len(word_tokenizer(WORDS))
    layer = 2 * width * width + 2 * width * width // 2 + 3 * width * inner + 2 * width
    parameters = 4 * layer + 2 * tokens * width + width
    keys_and_values = 4 * 2 * 2 * 8 * FLOAT32.itemsize
    assert [measure.value for measure in found.measures] == [
        parameters,
        parameters * FLOAT32.itemsize,
        4,
        keys_and_values,
    ]
