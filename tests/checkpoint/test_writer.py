"""Promises of the writer: a whole model or none, byte for byte, at the speed of memory."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub.serialization import split_state_dict_into_shards_factory
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file

from evomerge.checkpoint.shards import INDEX, plan_shards
from evomerge.checkpoint.tensors import TensorInfo
from evomerge.checkpoint.writer import FolderWriter
from evomerge.dtypes import BFLOAT16, FLOAT32, INT64, SAFETENSORS
from evomerge.errors import OutputError

Usage = namedtuple("Usage", "total used free")


def tensors_of(arrays):
    return [TensorInfo(name, a.shape, a.dtype) for name, a in arrays.items()]


def write_model(out, arrays, *, shard_bytes=10**9, force=False):
    with FolderWriter(out, tensors_of(arrays), shard_bytes=shard_bytes, force=force) as writer:
        for name, array in arrays.items():
            writer.write(name, 0, array)
        (writer.folder / "config.json").write_text("{}")
        writer.commit()


def write_half_a_model(out, arrays, error, *, force=False):
    """Fails as a run fails: after some tensors and small files."""
    with FolderWriter(out, tensors_of(arrays), shard_bytes=300, force=force) as writer:
        writer.write("layers.0.weight", 0, arrays["layers.0.weight"])
        (writer.folder / "config.json").write_text("{}")
        raise error


def everything_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def loaded(folder):
    arrays = {}
    for file in folder.glob("*.safetensors"):
        arrays |= load_file(file)
    return arrays


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {f"layers.{i}.weight": rng.standard_normal((8, 4)).astype(np.float32) for i in range(5)}


# -- What is written is what was given ------------------------------------------------------


@pytest.mark.parametrize("shard_bytes", [1, 128, 300, 10**9])
def test_what_was_written_is_read_back_by_safetensors(tmp_path, arrays, shard_bytes):
    write_model(tmp_path / "out", arrays, shard_bytes=shard_bytes)
    back = loaded(tmp_path / "out")
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)


@pytest.mark.parametrize("code", sorted(SAFETENSORS))
def test_every_element_type_comes_back_with_its_bits(tmp_path, code):
    dtype = SAFETENSORS[code]
    bits = np.arange(24, dtype=np.uint8) % 2
    array = bits.view(np.bool_) if dtype == np.bool_ else bits.view(dtype)
    write_model(tmp_path / "out", {"a": array})
    file = tmp_path / "out" / "model.safetensors"
    with safe_open(file, "np") as opened:
        assert opened.get_slice("a").get_dtype() == code
        assert opened.get_slice("a").get_shape() == list(array.shape)
    assert file.read_bytes()[-24:] == bits.tobytes()


def test_scalars_and_empty_tensors_are_written(tmp_path):
    arrays = {"scalar": np.array(3.5), "empty": np.zeros((0, 4), np.float32)}
    write_model(tmp_path / "out", arrays)
    back = loaded(tmp_path / "out")
    assert back["scalar"] == 3.5
    assert back["empty"].shape == (0, 4)


def test_tensors_are_aligned_whatever_their_types(tmp_path):
    arrays = {
        "mask": np.ones(3, np.bool_),
        "weight": np.ones(3, BFLOAT16),
        "steps": np.arange(3),
        "gain": np.ones(5, np.float32),
    }
    (shard,) = plan_shards(tensors_of(arrays), 10**9)
    assert len(shard.header) % 8 == 0
    for info in shard.tensors:
        assert shard.offsets[info.name] % info.dtype.itemsize == 0
    write_model(tmp_path / "out", arrays)
    with safe_open(tmp_path / "out" / "model.safetensors", "pt") as opened:
        assert opened.metadata() == {"format": "pt"}
        assert opened.get_tensor("steps").tolist() == [0, 1, 2]


@given(
    sizes=st.lists(st.integers(0, 40), max_size=12),
    shard_bytes=st.integers(1, 100),
)
def test_shards_are_cut_as_transformers_cuts_them(sizes, shard_bytes):
    tensors = [TensorInfo(f"t{i}", (size,), np.dtype(np.uint8)) for i, size in enumerate(sizes)]
    theirs = split_state_dict_into_shards_factory(
        {info.name: info for info in tensors},
        get_storage_size=lambda info: info.nbytes,
        filename_pattern="model{suffix}.safetensors",
        max_shard_size=shard_bytes,
    )
    ours = {s.file: [t.name for t in s.tensors] for s in plan_shards(tensors, shard_bytes)}
    if tensors:
        assert ours == {file: names for file, names in theirs.filename_to_tensors.items() if names}
    else:
        assert ours == {"model.safetensors": []}


def test_the_index_says_which_file_holds_which_tensor(tmp_path, arrays):
    out = tmp_path / "out"
    write_model(out, arrays, shard_bytes=300)
    index = json.loads((out / INDEX).read_text())
    assert index["metadata"]["total_size"] == 5 * 128
    assert index["weight_map"].keys() == arrays.keys()
    for name, file in index["weight_map"].items():
        assert name in load_file(out / file)
    assert everything_in(out) == [
        "config.json",
        *(f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)),
        INDEX,
    ]


def test_a_single_file_has_no_index(tmp_path, arrays):
    write_model(tmp_path / "out", arrays)
    assert everything_in(tmp_path) == ["out", "out/config.json", "out/model.safetensors"]


@given(cuts=st.lists(st.integers(0, 96), max_size=6), order=st.randoms())
def test_blocks_may_come_in_any_order_from_any_thread(module_folder, cuts, order):
    array = np.arange(96, dtype=np.float32)
    edges = sorted({0, 96, *cuts})
    blocks = list(pairwise(edges))
    order.shuffle(blocks)
    out = module_folder / "any-order"
    shutil.rmtree(out, ignore_errors=True)
    info = TensorInfo("a", (12, 8), FLOAT32)
    with FolderWriter(out, [info], shard_bytes=10**9, force=False) as writer:
        with ThreadPoolExecutor(4) as threads:
            for _ in threads.map(lambda b: writer.write("a", b[0], array[b[0] : b[1]]), blocks):
                pass
        writer.commit()
    np.testing.assert_array_equal(loaded(out)["a"], array.reshape(12, 8))


def test_blocks_that_are_not_contiguous_are_written_row_by_row(tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    write_model(tmp_path / "out", {"a": array.T})
    np.testing.assert_array_equal(loaded(tmp_path / "out")["a"], array.T)


def test_files_and_folder_have_the_permissions_of_any_other(tmp_path, arrays):
    write_model(tmp_path / "out", arrays)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "folder").stat().st_mode
    file = tmp_path / "out" / "model.safetensors"
    assert file.stat().st_mode == (tmp_path / "folder" / "file").stat().st_mode


# -- Misuse is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "block", "message"),
    [
        (30, np.zeros(3, np.float32), "elements 30 to 33 of a tensor of 32"),
        (-1, np.zeros(3, np.float32), "elements -1 to 2"),
        (0, np.zeros(32, np.float64), "a block of float64; declared is float32"),
    ],
)
def test_a_block_that_does_not_belong_there_is_refused(tmp_path, arrays, offset, block, message):
    tensors = tensors_of(arrays)
    with (
        FolderWriter(tmp_path / "out", tensors, shard_bytes=10**9, force=False) as writer,
        pytest.raises(ValueError, match=message),
    ):
        writer.write("layers.0.weight", offset, block)
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([(0, 32)], None),
        ([(16, 32), (0, 16), (16, 16)], None),
        ([], "0 of 32 elements"),
        ([(0, 31)], "31 of 32 elements"),
        ([(0, 8), (16, 32)], "elements at 8 are missing"),
        ([(0, 16), (8, 24)], "elements at 8 were written twice"),
    ],
)
def test_only_a_complete_model_is_committed(tmp_path, blocks, message):
    out = tmp_path / "out"
    with FolderWriter(
        out, [TensorInfo("a", (4, 8), FLOAT32)], shard_bytes=10**9, force=False
    ) as writer:
        for begin, end in blocks:
            writer.write("a", begin, np.zeros(end - begin, np.float32))
        if message is None:
            writer.commit()
        else:
            with pytest.raises(ValueError, match=message):
                writer.commit()
    assert out.exists() == (message is None)
    assert len(os.listdir(tmp_path)) == (message is None)


def test_nothing_is_written_after_the_end(tmp_path, arrays):
    with FolderWriter(
        tmp_path / "out", tensors_of(arrays), shard_bytes=10**9, force=False
    ) as writer:
        pass
    with pytest.raises(ValueError, match="outside the writer's with block"):
        writer.write("layers.0.weight", 0, np.zeros(1, np.float32))


def test_two_tensors_of_one_name_are_refused(tmp_path):
    info = TensorInfo("a", (1,), INT64)
    with pytest.raises(ValueError, match="one name"):
        FolderWriter(tmp_path / "out", [info, info], shard_bytes=10**9, force=False)


# -- Whole or not at all --------------------------------------------------------------------


class Terminated(BaseException):
    """What a handler of SIGTERM raises."""


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, Terminated])
def test_an_interrupted_run_leaves_nothing_behind(tmp_path, arrays, kind):
    out = tmp_path / "a" / "b" / "out"
    with pytest.raises(kind):
        write_half_a_model(out, arrays, kind())
    assert everything_in(tmp_path) == []


def test_nothing_shows_before_the_commit(tmp_path, arrays):
    out = tmp_path / "out"
    with FolderWriter(out, tensors_of(arrays), shard_bytes=10**9, force=False) as writer:
        assert not out.exists()
        for name, array in arrays.items():
            writer.write(name, 0, array)
        assert not out.exists()
        writer.commit()
        assert out.exists()
    assert everything_in(tmp_path) == ["out", "out/model.safetensors"]


def test_missing_parents_are_made(tmp_path, arrays):
    write_model(tmp_path / "a" / "b" / "out", arrays)
    assert (tmp_path / "a" / "b" / "out" / "model.safetensors").exists()


def test_an_empty_folder_is_filled(tmp_path, arrays):
    (tmp_path / "out").mkdir()
    write_model(tmp_path / "out", arrays)
    assert everything_in(tmp_path) == ["out", "out/config.json", "out/model.safetensors"]


def test_a_symbolic_link_is_followed(tmp_path, arrays):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "model")
    write_model(tmp_path / "out", arrays)
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "disk" / "model" / "model.safetensors").exists()


def test_a_folder_with_something_in_it_is_kept(tmp_path, arrays):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"exists and is not empty; .* --force"):
        write_model(tmp_path / "out", arrays)
    assert everything_in(tmp_path) == ["out", "out/notes.txt"]


def test_force_replaces_a_model_and_nothing_else(tmp_path, arrays):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match="is not a model"):
        write_model(tmp_path / "out", arrays, force=True)
    assert everything_in(tmp_path) == ["out", "out/thesis.tex"]


@pytest.mark.parametrize("force", [False, True])
def test_a_file_is_never_replaced(tmp_path, arrays, force):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        write_model(tmp_path / "out", arrays, force=force)
    assert (tmp_path / "out").read_text() == "mine"


def test_force_replaces_the_old_model_as_a_whole(tmp_path, arrays):
    out = tmp_path / "out"
    write_model(out, arrays, shard_bytes=300)
    write_model(out, {"new": np.zeros(2)}, force=True)
    assert everything_in(tmp_path) == ["out", "out/config.json", "out/model.safetensors"]
    assert loaded(out).keys() == {"new"}


def test_the_old_model_stands_until_the_commit(tmp_path, arrays):
    out = tmp_path / "out"
    write_model(out, arrays)
    before = everything_in(tmp_path)
    with FolderWriter(out, tensors_of(arrays), shard_bytes=300, force=True) as writer:
        for name, array in arrays.items():
            writer.write(name, 0, array + 1)
        np.testing.assert_array_equal(loaded(out)["layers.0.weight"], arrays["layers.0.weight"])
    with pytest.raises(KeyboardInterrupt):
        write_half_a_model(out, arrays, KeyboardInterrupt(), force=True)
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize("error", [OSError(errno.EIO, "I/O error"), KeyboardInterrupt()])
def test_the_old_model_comes_back_if_the_new_one_cannot_be_put_in_place(
    tmp_path, arrays, monkeypatch, error
):
    out = tmp_path / "out"
    write_model(out, arrays)
    before = everything_in(tmp_path)
    rename = Path.rename

    def fails_for_the_new_one(self, target):
        if self.suffix == ".tmp":
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_for_the_new_one)
    expected = OutputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write_model(out, {"new": np.zeros(2)}, force=True)
    assert everything_in(tmp_path) == before
    assert loaded(out).keys() == arrays.keys()


def test_of_two_runs_for_one_folder_the_first_to_end_wins(tmp_path):
    out = tmp_path / "out"
    info = [TensorInfo("a", (1,), FLOAT32)]
    with FolderWriter(out, info, shard_bytes=10**9, force=False) as slow:
        slow.write("a", 0, np.zeros(1, np.float32))
        write_model(out, {"a": np.ones(1, np.float32)})
        with pytest.raises(OutputError, match="exists and is not empty"):
            slow.commit()
    assert loaded(out)["a"] == 1
    assert everything_in(tmp_path) == ["out", "out/config.json", "out/model.safetensors"]


# -- Places that cannot be written ----------------------------------------------------------


def test_a_parent_that_cannot_be_written_is_one_clear_error(tmp_path, arrays):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot be created: .*; choose a folder you can write"):
        write_model(tmp_path / "file" / "out", arrays)
    assert everything_in(tmp_path) == ["file"]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a file system nobody can write")
def test_not_even_root_writes_into_proc(arrays):
    with pytest.raises(OutputError, match=r"^/proc/models/out: "):
        write_model(Path("/proc/models/out"), arrays)


def test_a_mount_point_is_refused(arrays):
    with pytest.raises(OutputError, match="is a mount point"):
        write_model(Path("/"), arrays, force=True)


def test_a_full_disk_is_noticed_before_any_work(tmp_path, arrays, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 1_000_000))
    with pytest.raises(OutputError, match=r"0\.00 GB free, but 3\.07 GB needed"):
        FolderWriter(
            tmp_path / "a" / "out",
            [TensorInfo("a", (3_000, 250_000), FLOAT32)],
            shard_bytes=10**9,
            force=False,
        )
    assert everything_in(tmp_path) == []


def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path, arrays, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    tensors = tensors_of(arrays)
    with FolderWriter(tmp_path / "out", tensors, shard_bytes=300, force=False) as writer:
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(OutputError, match=r"No space left on device; free some space"):
            writer.write("layers.0.weight", 0, arrays["layers.0.weight"])
    assert everything_in(tmp_path) == []


def test_a_disk_that_fills_up_under_another_file_is_the_same_error(tmp_path, arrays):
    with pytest.raises(OutputError, match=r"out: cannot be written: No space"):
        write_half_a_model(tmp_path / "out", arrays, OSError(errno.ENOSPC, "No space left"))
    assert everything_in(tmp_path) == []


def test_a_file_system_that_cannot_reserve_space_is_written_all_the_same(
    tmp_path, arrays, monkeypatch
):
    def unsupported(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    write_model(tmp_path / "out", arrays)
    assert loaded(tmp_path / "out").keys() == arrays.keys()


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from evomerge.checkpoint.tensors import TensorInfo
from evomerge.checkpoint.writer import FolderWriter
from evomerge.errors import OutputError
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    with FolderWriter(Path(sys.argv[1]), [TensorInfo("a", (1 << 20,), np.dtype("f4"))],
                      shard_bytes=1 << 30, force=False) as writer:
        sys.exit("began a file of 4 MiB where 1 MiB is allowed")
except OutputError as error:
    sys.stdout.write(str(error))
"""


def run_python(program, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


def test_a_limit_of_the_system_is_met_before_any_work(tmp_path):
    with run_python(LIMITED, tmp_path / "out") as process:
        said, _ = process.communicate()
    assert process.returncode == 0
    assert said.endswith("File too large; free some space or choose another disk")
    assert everything_in(tmp_path) == []


# -- Killed runs ----------------------------------------------------------------------------

WAITING = """
import sys, time
from pathlib import Path
import numpy as np
from evomerge.checkpoint.tensors import TensorInfo
from evomerge.checkpoint.writer import FolderWriter
with FolderWriter(Path(sys.argv[1]), [TensorInfo("a", (8,), np.dtype("f4"))],
                  shard_bytes=1 << 30, force=False) as writer:
    sys.stdout.write("ready\\n")
    sys.stdout.flush()
    time.sleep(60)
"""


def test_what_a_killed_run_left_is_removed_but_never_what_a_live_one_writes(tmp_path, arrays):
    out = tmp_path / "out"
    with run_python(WAITING, out) as process:
        assert process.stdout.readline() == "ready\n"
        (alive,) = tmp_path.iterdir()
        write_model(tmp_path / "other", arrays)
        write_model(out, arrays)
        assert alive.exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert alive.exists()
    write_model(tmp_path / "other", arrays, force=True)
    assert alive.exists()
    write_model(out, arrays, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "out"]


def test_a_folder_of_a_run_that_is_just_beginning_is_left_alone(tmp_path, arrays):
    beginning = tmp_path / ".out.0123abcd.tmp"
    beginning.mkdir()
    write_model(tmp_path / "out", arrays)
    (beginning / "model.safetensors").touch()
    write_model(tmp_path / "out", arrays, force=True)
    assert beginning.exists()


def test_what_was_put_aside_is_removed_once_there_is_a_result(tmp_path, arrays):
    aside = tmp_path / ".out.0123abcd.old"
    aside.mkdir()
    with pytest.raises(KeyboardInterrupt):
        write_half_a_model(tmp_path / "out", arrays, KeyboardInterrupt())
    assert aside.exists()
    write_model(tmp_path / "out", arrays)
    write_model(tmp_path / "out", arrays, force=True)
    assert not aside.exists()


# -- What other programs read ---------------------------------------------------------------


@pytest.mark.parametrize("shard_bytes", [10**9, 4000])
def test_transformers_loads_what_was_written(tmp_path, shard_bytes):
    import torch
    from transformers import AutoModelForCausalLM

    from evomerge.zoo.random_models import random_model

    source = random_model(tmp_path / "source")
    with FolderWriter(
        tmp_path / "out",
        tensors_of(loaded(source)),
        shard_bytes=shard_bytes,
        force=False,
    ) as writer:
        for name, array in loaded(source).items():
            writer.write(name, 0, array)
        shutil.copy(source / "config.json", writer.folder)
        writer.commit()
    model, notes = AutoModelForCausalLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not notes["missing_keys"]
    assert not notes["unexpected_keys"]
    tokens = torch.arange(10)[None]
    expected = AutoModelForCausalLM.from_pretrained(source)(tokens).logits
    torch.testing.assert_close(model(tokens).logits, expected, rtol=0, atol=0)
