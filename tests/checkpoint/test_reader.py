"""Promises of the reader: the right bytes for any rows, and one clear error for a bad folder."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from math import prod

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from safetensors.torch import load_file, save_file

from evomerge.checkpoint import tensor_file
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.checkpoint.tensor_file import TensorFile
from evomerge.dtypes import BFLOAT16, FLOAT32, SAFETENSORS
from evomerge.errors import CheckpointError
from evomerge.zoo.random_models import Options, random_model
from tests.checkpoint.safetensors_files import entry, write, write_index, write_model, write_raw

SINGLE = "model.safetensors"
A, B = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
SHARDS = {"a": A, "b": B}


def values(shape, dtype=FLOAT32, seed=0):
    numbers = np.random.default_rng(seed).integers(0, 2, size=shape)
    return np.asarray(numbers).astype(dtype)


def arrays():
    return {"a": values((6, 4)), "b": values((5,), BFLOAT16, seed=1)}


def error_of(folder):
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(str(folder))
    return str(caught.value)


# What is read


@given(
    code=st.sampled_from(sorted(SAFETENSORS)),
    shape=array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=7),
    data=st.data(),
)
def test_any_rows_of_any_tensor_are_as_in_the_array(tmp_path_factory, code, shape, data):
    array = values(shape, SAFETENSORS[code])
    folder = tmp_path_factory.mktemp("model")
    file = TensorFile(write(folder / SINGLE, {"before": values(3), "it": array}))
    np.testing.assert_array_equal(file.load("it"), array, strict=True)
    if shape:
        # More than two axes count as a matrix of the last axis' rows.
        matrix = array.reshape(prod(shape[:-1]), shape[-1]) if len(shape) > 2 else array
        cut = data.draw(st.slices(len(matrix)))
        np.testing.assert_array_equal(file.load("it", cut), matrix[cut], strict=True)
        picks = st.lists(st.integers(0, len(matrix) - 1)) if len(matrix) else st.just([])
        picked = np.array(data.draw(picks), np.int64)
        np.testing.assert_array_equal(file.load("it", picked), matrix[picked], strict=True)
    file.close()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("shard_bytes", [None, 5_000])
def test_a_real_model_reads_as_safetensors_reads_it(tmp_path, dtype, shard_bytes):
    options = Options(dtype=dtype, shard_bytes=shard_bytes, layers=3)
    folder = random_model(tmp_path / "model", "qwen2", options=options)
    files = list(folder.glob("*.safetensors"))
    assert len(files) > 3 if shard_bytes else len(files) == 1
    expected = {name: tensor for file in files for name, tensor in load_file(file).items()}
    with open_checkpoint(str(folder)) as model:
        assert model.names() == tuple(sorted(expected))
        assert model.config["model_type"] == "qwen2"
        assert model.label == "model"
        assert model.folder == model.path == folder
        for name, tensor in expected.items():
            info = model.info(name)
            assert (info.name, info.shape, info.dtype.name) == (name, tuple(tensor.shape), dtype)
            assert model.load(name).tobytes() == tensor.view(torch.uint8).numpy().tobytes()


def test_rows_land_in_the_buffer_that_is_given(tmp_path):
    folder = write_model(tmp_path / "model", arrays())
    with open_checkpoint(str(folder)) as model:
        buffer = np.empty((2, 4), FLOAT32)
        assert model.load("a", slice(3, 5), out=buffer) is buffer
        np.testing.assert_array_equal(buffer, arrays()["a"][3:5])


@pytest.mark.parametrize(
    "buffer", [np.empty((3, 4), "f4"), np.empty((2, 4), "f8"), np.empty((2, 8), "f4")[:, ::2]]
)
def test_a_buffer_of_another_kind_is_refused(tmp_path, buffer):
    with (
        open_checkpoint(str(write_model(tmp_path / "model", arrays()))) as model,
        pytest.raises(ValueError, match="expected a contiguous float32"),
    ):
        model.load("a", slice(2), out=buffer)


@pytest.mark.parametrize("rows", [[6], [-1], [0, 100]])
def test_rows_that_are_not_there_are_refused(tmp_path, rows):
    with (
        open_checkpoint(str(write_model(tmp_path / "model", arrays()))) as model,
        pytest.raises(IndexError, match="a has rows 0 to 5"),
    ):
        model.load("a", np.array(rows))


def test_rows_of_a_scalar_and_rows_that_are_not_indices_are_refused(tmp_path):
    folder = write_model(tmp_path / "model", {"one": values(()), "many": values(4)})
    with open_checkpoint(str(folder)) as model:
        with pytest.raises(ValueError, match="scalar"):
            model.load("one", slice(1))
        with pytest.raises(ValueError, match="1-d array of integers"):
            model.load("many", np.array([True, False, True, True]))


def test_a_read_that_stops_short_goes_on(tmp_path, monkeypatch):
    """Linux reads at most 2 GiB at a time, and less when a signal comes."""
    preadv = os.preadv
    monkeypatch.setattr(
        tensor_file.os, "preadv", lambda file, buffers, at: preadv(file, [buffers[0][:7]], at)
    )
    with open_checkpoint(str(write_model(tmp_path / "model", arrays()))) as model:
        np.testing.assert_array_equal(model.load("a"), arrays()["a"])


def test_many_threads_read_one_model(tmp_path):
    array = values((512, 64), seed=3)
    folder = write_model(tmp_path / "model", {"a": array})
    cuts = [slice(start, start + 7) for start in range(512)]
    with open_checkpoint(str(folder)) as model, ThreadPoolExecutor(8) as pool:
        for cut, rows in zip(cuts, pool.map(lambda cut: model.load("a", cut), cuts), strict=True):
            np.testing.assert_array_equal(rows, array[cut])


def test_closing_twice_does_nothing(tmp_path):
    model = open_checkpoint(str(write_model(tmp_path / "model", arrays())))
    model.close()
    model.close()


def test_a_forgotten_model_closes_its_files(tmp_path):
    def opened():
        return len(os.listdir("/proc/self/fd"))

    before = opened()
    open_checkpoint(str(write_model(tmp_path / "model", arrays(), SHARDS)))
    assert opened() == before


def test_a_refused_model_leaves_no_file_open(tmp_path):
    folder = write_model(tmp_path / "model", arrays(), SHARDS)
    write_raw(folder / B, {"b": {}})
    before = len(os.listdir("/proc/self/fd"))
    error_of(folder)
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_unknown_tensor_is_named_with_the_nearest(tmp_path):
    arrays = {"model.norm.weight": values(4)}
    with (
        open_checkpoint(str(write_model(tmp_path / "model", arrays))) as model,
        pytest.raises(CheckpointError, match=r"model: unknown tensor 'norm.weight'; did you mean"),
    ):
        model.load("norm.weight")


# Which files are read


def test_the_single_file_is_preferred_to_an_index_and_to_pickles(tmp_path):
    folder = write_model(tmp_path / "model", {"a": values(3)})
    write_index(folder, {"b": "missing.safetensors"})
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    with open_checkpoint(str(folder)) as model:
        assert model.names() == ("a",)


def test_one_file_under_another_name_is_read(tmp_path):
    folder = write_model(tmp_path / "model", arrays())
    (folder / SINGLE).rename(folder / "weights.safetensors")
    write(folder / "adapter_model.safetensors", {"lora": values(2)})
    with open_checkpoint(str(folder)) as model:
        assert model.names() == ("a", "b")


@pytest.mark.parametrize("files", [[A], [A, B], ["x.safetensors", "y.safetensors"]])
def test_shards_without_their_index_are_refused(tmp_path, files):
    folder = write_model(tmp_path / "model", {})
    (folder / SINGLE).unlink()
    for file in files:
        write(folder / file, {file: values(2)})
    message = error_of(folder)
    assert "model.safetensors.index.json: missing, but the folder has" in message
    assert files[0] in message


# What is not a model


def test_an_empty_folder_is_called_empty(tmp_path):
    assert error_of(tmp_path) == f"{tmp_path}: an empty folder; expected a model"


def test_a_folder_without_config_is_not_a_model(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    assert error_of(tmp_path) == f"{tmp_path}: not a model: it has no config.json"


def test_a_folder_without_weights_says_what_was_expected(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert "no weights; expected model.safetensors or model.safetensors.index" in error_of(tmp_path)


def test_an_adapter_is_not_a_model(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    assert error_of(tmp_path).startswith(f"{tmp_path}: a LoRA adapter, not a model; name the model")
    assert error_of(tmp_path).endswith(f"MODEL+{tmp_path}")


@pytest.mark.parametrize(
    "file", ["pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "consolidated.00.pth"]
)
def test_pickles_are_refused_with_the_command_that_converts_them(tmp_path, file):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / file).write_bytes(b"")
    message = error_of(tmp_path)
    assert message.startswith(f"{tmp_path / file}: a pickle")
    assert "AutoModelForCausalLM.from_pretrained" in message
    assert "safe_serialization=True" in message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{\n "a": 1,\n "b" 2}', "line 3, column 6: not valid JSON"),
        ("", "line 1, column 1: not valid JSON"),
        ("[1]", "holds a list; expected an object"),
        ('{"a": 1, "a": 2}', "'a' stands there twice"),
        ("[" * 100_000, "not usable JSON: nested too deeply"),
    ],
)
def test_a_corrupt_config_is_named_with_its_line(tmp_path, text, reason):
    folder = write_model(tmp_path / "model", arrays())
    (folder / "config.json").write_text(text)
    assert error_of(folder).startswith(f"{folder / 'config.json'}: {reason}")


def test_a_config_that_is_not_text_is_named(tmp_path):
    folder = write_model(tmp_path / "model", arrays())
    (folder / "config.json").write_bytes(b'{"\xff"}')
    assert error_of(folder) == f"{folder / 'config.json'}: not text: byte 2 is not UTF-8"


# Indices


@pytest.mark.parametrize("file", ["../secret.safetensors", "/etc/passwd", "sub/../../x", "C:\\x"])
def test_an_index_that_points_outside_its_folder_is_refused(tmp_path, file):
    folder = write_model(tmp_path / "model", arrays(), SHARDS)
    write(tmp_path / "secret.safetensors", {"a": values(3)})
    write_index(folder, {"a": file})
    message = error_of(folder)
    assert f"a: {file!r} lies outside the folder" in message
    assert message.startswith(str(folder / "model.safetensors.index.json"))


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path):
    folder = write_model(tmp_path / "model", arrays(), SHARDS)
    (folder / A).rename(tmp_path / "elsewhere.safetensors")
    (folder / A).symlink_to(tmp_path / "elsewhere.safetensors")
    assert f"a: '{A}' lies outside the folder" in error_of(folder)


def test_a_link_within_the_folder_and_a_link_to_the_folder_are_followed(tmp_path):
    folder = write_model(tmp_path / "model", arrays(), SHARDS)
    (folder / A).rename(folder / "first.safetensors")
    (folder / A).symlink_to("first.safetensors")
    (tmp_path / "link").symlink_to(folder)
    with open_checkpoint(str(tmp_path / "link")) as model:
        np.testing.assert_array_equal(model.load("a"), arrays()["a"])


def test_a_missing_shard_is_named_with_a_tensor(tmp_path):
    folder = write_model(tmp_path / "model", arrays(), SHARDS)
    (folder / B).unlink()
    assert error_of(folder).startswith(f"{folder / B}: missing; ")
    assert error_of(folder).endswith("says it holds b")


def test_a_tensor_missing_from_its_shard_is_named(tmp_path):
    folder = write_model(tmp_path / "model", arrays(), SHARDS)
    write_index(folder, {**SHARDS, "c": B})
    assert error_of(folder) == f"{folder / B}: has no c; model.safetensors.index.json says it has"


def test_a_tensor_missing_from_the_index_is_named(tmp_path):
    folder = write_model(tmp_path / "model", arrays(), SHARDS)
    write(folder / B, {"b": values(2), "c": values(3)})
    assert error_of(folder) == (
        f"{folder / B}: c: in the file but not in model.safetensors.index.json"
    )


def test_a_tensor_in_two_shards_is_named_with_both(tmp_path):
    folder = write_model(tmp_path / "model", arrays(), SHARDS)
    write(folder / B, arrays())
    assert error_of(folder) == f"{folder}: a: in {A} and {B}; expected once"


@pytest.mark.parametrize("index", [{}, {"weight_map": {}}, {"weight_map": []}, {"weight_map": 3}])
def test_an_index_without_a_map_is_refused(tmp_path, index):
    folder = write_model(tmp_path / "model", arrays(), SHARDS)
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    message = error_of(folder)
    assert message.startswith(str(folder / "model.safetensors.index.json"))
    assert "'weight_map'" in message


# Damaged files


def test_a_file_cut_short_is_named_with_the_tensor_it_ends_in(tmp_path):
    folder = write_model(tmp_path / "model", arrays())
    content = (folder / SINGLE).read_bytes()
    (folder / SINGLE).write_bytes(content[:-3])
    assert error_of(folder).startswith(f"{folder / SINGLE}: b: the file is cut short")


@pytest.mark.parametrize("size", [0, 5, 40])
def test_a_file_cut_short_in_its_header_is_named(tmp_path, size):
    folder = write_model(tmp_path / "model", arrays())
    (folder / SINGLE).write_bytes((folder / SINGLE).read_bytes()[:size])
    assert error_of(folder).startswith(f"{folder / SINGLE}: not a safetensors file, or cut short")


def test_a_file_cut_short_while_it_is_open_is_named_with_the_tensor(tmp_path):
    folder = write_model(tmp_path / "model", arrays())
    with open_checkpoint(str(folder)) as model:
        os.truncate(folder / SINGLE, 100)
        with pytest.raises(CheckpointError, match="safetensors: b: the file ends inside this"):
            model.load("b")


def test_a_page_of_html_is_no_safetensors_file(tmp_path):
    folder = write_model(tmp_path / "model", arrays())
    (folder / SINGLE).write_text("<html>" * 100)
    assert "not a safetensors file" in error_of(folder)


FLOAT = entry(values(2))


@pytest.mark.parametrize(
    ("header", "data", "reason"),
    [
        (b'{"a": }', 0, "header: line 1, column 7: not valid JSON"),
        (b"[]", 0, "header: holds a list"),
        (b'{"a": 1, "a": 2}', 0, "header: 'a' stands there twice"),
        ({"a": 3}, 0, "a: the header says 3; expected dtype, shape and data_offsets"),
        ({"a": {**FLOAT, "shape": [-2]}}, 8, "a: the header says"),
        ({"a": {**FLOAT, "shape": [2.0]}}, 8, "a: the header says"),
        ({"a": {**FLOAT, "data_offsets": [8]}}, 8, "a: the header says"),
        ({"a": {**FLOAT, "dtype": "F4"}}, 8, "a: element type F4 is not supported; readable: BOOL"),
        ({"a": {**FLOAT, "shape": [3]}}, 8, r"a: takes 8 bytes in the file; F32 of shape \(3,\)"),
        ({"a": FLOAT, "b": {**FLOAT, "data_offsets": [4, 12]}}, 12, "b: overlaps the tensor"),
        ({"a": FLOAT, "b": {**FLOAT, "data_offsets": [12, 20]}}, 20, "b: follows a hole"),
        ({"a": FLOAT}, 11, "3 bytes follow the last tensor"),
        ({"a": {**FLOAT, "shape": [2**40], "data_offsets": [0, 2**42]}}, 8, "a: the file is cut"),
    ],
)
def test_a_corrupt_header_is_refused_with_file_and_tensor(tmp_path, header, data, reason):
    folder = write_model(tmp_path / "model", {})
    write_raw(folder / SINGLE, header, b"\0" * data)
    with pytest.raises(CheckpointError, match=rf"model\.safetensors: {reason}"):
        open_checkpoint(str(folder))


def test_a_header_that_claims_gigabytes_is_not_read(tmp_path):
    folder = write_model(tmp_path / "model", {})
    with (folder / SINGLE).open("wb") as file:
        file.write((10**9).to_bytes(8, "little"))
        file.truncate(2 * 10**9)
    assert "the header would take 1000000000" in error_of(folder)


@given(st.binary(max_size=64), st.integers(0, 200))
def test_whatever_happens_to_a_file_the_error_is_ours(tmp_path_factory, noise, position):
    folder = write_model(tmp_path_factory.mktemp("model"), arrays())
    content = bytearray((folder / SINGLE).read_bytes())
    content[position : position + len(noise)] = noise
    (folder / SINGLE).write_bytes(content)
    try:
        model = open_checkpoint(str(folder))
    except CheckpointError:
        return
    with model:
        for name in model.names():
            assert model.load(name).shape == model.info(name).shape


def test_what_cannot_be_opened_or_read_is_named(tmp_path):
    folder = write_model(tmp_path / "model", arrays())
    (folder / SINGLE).unlink()
    (folder / SINGLE).symlink_to("blob that was deleted")
    assert error_of(folder) == f"{folder / SINGLE}: cannot be read: No such file or directory"
    (folder / SINGLE).unlink()
    (folder / "x.safetensors").mkdir()
    assert error_of(folder) == f"{folder / 'x.safetensors'}: cannot be read: Is a directory"


def test_the_library_reads_what_we_think_is_sound(tmp_path):
    save_file({"a": torch.ones(3, 2), "none": torch.ones(0, 5)}, tmp_path / "x.safetensors")
    file = TensorFile(tmp_path / "x.safetensors")
    assert file.load("none").shape == (0, 5)
    assert file.load("a").sum() == 6
    file.close()
