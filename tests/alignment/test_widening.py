"""A narrower model becomes as wide as another, computes the same, and is brought to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from evomerge.aligners.base import Settings
from evomerge.aligners.pairs import align_sources, pair_of
from evomerge.aligners.proving import change_of
from evomerge.alignment.drawing import random_element
from evomerge.alignment.elements import Units, compose, invert
from evomerge.alignment.on_disk import layout_of_source
from evomerge.alignment.source import Aligned
from evomerge.alignment.writing import write_moved
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.errors import AlignmentError
from tests.alignment.kinds import DECLARED
from tests.stacks.families import made

TRANSPORT = Settings("optimal_transport")
STREAMS = ("llama", "mistral", "qwen2", "phi3")


def of_widths(folder: Path, kind: str, **config: object) -> Path:
    switches = {"phi": {"qk_layernorm": False}, "phi3": {"pad_token_id": 0}}
    return made(folder, kind, **{"eos_token_id": None, **switches.get(kind, {}), **config})


def neurons(kind: str, count: int) -> dict[str, object]:
    return {"n_inner" if kind == "gpt2" else "intermediate_size": count}


def two(folder: Path, kind: str, **wide: object) -> tuple[Path, Path]:
    narrow = of_widths(folder / "narrow", kind, **neurons(kind, 48))
    return narrow, of_widths(folder / "wide", kind, **{**neurons(kind, 48), **wide})


def same_shapes(one: Path, other: Path) -> bool:
    first, second = (load_file(folder / "model.safetensors") for folder in (one, other))
    return {n: t.shape for n, t in first.items()} == {n: t.shape for n, t in second.items()}


@pytest.mark.parametrize("kind", DECLARED.values())
def test_further_neurons_change_nothing(kind, tmp_path):
    narrow, wide = two(tmp_path, kind, **neurons(kind, 80))
    with open_checkpoint(str(narrow)) as source, open_checkpoint(str(wide)) as anchor:
        found = align_sources(source, anchor, TRANSPORT)
        assert write_moved(source, found.element, tmp_path / "out") <= 1e-5
        assert change_of(source, found.element) <= 1e-5
    assert same_shapes(tmp_path / "out", wide)
    assert {fit.units for fit in found.fits if fit.group == "neurons"} == {4 * 80}


@pytest.mark.parametrize("kind", STREAMS)
def test_a_wider_stream_changes_nothing(kind, tmp_path):
    """Its gains shrink by the root of the widths' ratio, the epsilon of its norms by the ratio."""
    narrow, wide = two(tmp_path, kind, hidden_size=40, **neurons(kind, 64), head_dim=8)
    with open_checkpoint(str(narrow)) as source, open_checkpoint(str(wide)) as anchor:
        element = align_sources(source, anchor, TRANSPORT).element
        assert element["residual"].gain == pytest.approx(np.sqrt(32 / 40))
        assert write_moved(source, element, tmp_path / "out") <= 1e-5
        assert change_of(source, element) <= 1e-5
        epsilon = source.config["rms_norm_eps"]
    assert same_shapes(tmp_path / "out", wide)
    with open_checkpoint(str(tmp_path / "out")) as written:
        assert written.config["hidden_size"] == 40
        assert written.config["rms_norm_eps"] == pytest.approx(epsilon * 32 / 40)


def test_in_float64_it_is_exact(tmp_path):
    narrow, wide = (
        of_widths(tmp_path / name, "llama", head_dim=8, dtype="float64", **sizes)
        for name, sizes in (("narrow", {}), ("wide", {"hidden_size": 48, "intermediate_size": 64}))
    )
    for folder in (narrow, wide):
        _as_float64(folder)
    with open_checkpoint(str(narrow)) as source, open_checkpoint(str(wide)) as anchor:
        element = align_sources(source, anchor, TRANSPORT).element
        assert write_moved(source, element, tmp_path / "out") <= 1e-10


def _as_float64(folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).save_pretrained(folder)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "phi3"])
def test_a_narrow_copy_is_found_in_a_wide_model(kind, tmp_path):
    """The wide one has the narrow one's neurons, moved along all symmetries, among zeros."""
    narrow, wide = two(tmp_path, kind, **neurons(kind, 80))
    with open_checkpoint(str(narrow)) as source, open_checkpoint(str(wide)) as anchor:
        padding = pair_of(source, anchor).padding
        planted = compose(random_element(layout_of_source(anchor), 0), padding)
        write_moved(source, planted, tmp_path / "copy")
        with open_checkpoint(str(tmp_path / "copy")) as copy:
            found = align_sources(source, copy, TRANSPORT)
        assert min(fit.after for fit in found.fits) > 1 - 1e-6
        write_moved(source, found.element, tmp_path / "out")
    first, second = (load_file(tmp_path / n / "model.safetensors") for n in ("copy", "out"))
    for name, tensor in first.items():
        np.testing.assert_allclose(second[name], tensor, atol=1e-5)


def test_what_was_widened_can_be_narrowed_again(tmp_path):
    narrow, wide = two(tmp_path, "phi3", hidden_size=48, intermediate_size=64, head_dim=8)
    with open_checkpoint(str(narrow)) as source, open_checkpoint(str(wide)) as anchor:
        element = align_sources(source, anchor, TRANSPORT).element
        write_moved(source, element, tmp_path / "out")
    with open_checkpoint(str(tmp_path / "out")) as written:
        write_moved(written, invert(element), tmp_path / "back")
    first, second = (load_file(f / "model.safetensors") for f in (narrow, tmp_path / "back"))
    for name, tensor in first.items():
        np.testing.assert_allclose(second[name], tensor, atol=1e-5)


def test_it_is_read_as_it_is_written(tmp_path):
    narrow, wide = two(tmp_path, "llama", hidden_size=48, intermediate_size=64, head_dim=8)
    with open_checkpoint(str(narrow)) as source, open_checkpoint(str(wide)) as anchor:
        pair = pair_of(source, anchor)
        element = align_sources(source, anchor, TRANSPORT).element
        write_moved(source, element, tmp_path / "out")
        layout = layout_of_source(source)
        read = Aligned(source, layout, lambda: element, exact=False, padding=pair.padding)
        for name, tensor in load_file(tmp_path / "out" / "model.safetensors").items():
            assert read.info(name).shape == tensor.shape
            assert np.array_equal(read.load(name), tensor)
            if tensor.ndim > 1:
                assert np.array_equal(read.load(name, slice(3, 9)), tensor[3:9])
        assert read.config["hidden_size"] == 48


def test_units_by_hand():
    """Two units come to the second and third of three places, and back."""
    wider = Units(np.array([0, 1, -1]), np.ones(3), 0.5)
    turned = Units(np.array([2, 1, 0]), np.array([1.0, -2.0, 4.0]))
    whole = turned.after(wider)
    assert whole.order.tolist() == [-1, 1, 0]
    assert whole.scales.tolist() == [1.0, -2.0, 4.0]
    back = whole.inverse()
    assert back.order.tolist() == [2, 1]
    assert back.scales.tolist() == [0.25, -0.5]
    assert (whole.gain, back.gain) == (0.5, 2.0)


REFUSED = {
    "gemma": "residual: has 32 units, wide 48 units; no zeros can be added there to such models",
    "qwen3": "residual: has 32 units, wide 48 units; no zeros can be added there to such models",
    "gemma2": "residual: has 32 units, wide 48 units; no zeros can be added there to such models",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_streams_that_cannot_be_wider_are_refused(kind, tmp_path):
    narrow, wide = two(tmp_path, kind, hidden_size=48, head_dim=8)
    with (
        open_checkpoint(str(narrow)) as source,
        open_checkpoint(str(wide)) as anchor,
        pytest.raises(AlignmentError, match=REFUSED[kind]),
    ):
        align_sources(source, anchor, TRANSPORT)


def test_other_aligners_name_the_one_that_can(tmp_path):
    narrow, wide = two(tmp_path, "llama", intermediate_size=64)
    with open_checkpoint(str(narrow)) as source, open_checkpoint(str(wide)) as anchor:
        with pytest.raises(AlignmentError, match="48 units, wide 64 units; it takes optimal_trans"):
            align_sources(source, anchor, Settings())
        with pytest.raises(AlignmentError, match="48 units; align the narrower model to the wider"):
            align_sources(anchor, source, TRANSPORT)
