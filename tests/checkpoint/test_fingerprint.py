"""Promises of the fingerprint: it follows the content, wherever that lies, and is found once."""

from __future__ import annotations

import os
import shutil
import time

import numpy as np
import pytest

from evomerge.checkpoint import fingerprint
from evomerge.checkpoint.fingerprint import cache_folder, fingerprint_of
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.errors import CheckpointError
from evomerge.zoo.random_models import Options, random_model

HOUR = 3600


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EVOMERGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def model(tmp_path):
    folder = random_model(tmp_path / "model", options=Options(shard_bytes=20_000))
    rest(folder)
    return folder


def rest(folder, seconds=HOUR):
    """Files that were written some time ago."""
    then = time.time() - seconds
    for file in folder.iterdir():
        os.utime(file, (then, then))


def of(folder):
    with open_checkpoint(str(folder)) as model:
        return model.fingerprint()


def hashed(monkeypatch):
    """The files that are read from now on."""
    files = []
    original = fingerprint._hash
    monkeypatch.setattr(fingerprint, "_hash", lambda path: files.append(path) or original(path))
    return files


def test_a_copy_has_the_same_fingerprint(model, tmp_path):
    shutil.copytree(model, tmp_path / "copy")
    assert of(model) == of(tmp_path / "copy")
    assert len(of(model)) == 32


def test_one_bit_makes_another_fingerprint(model):
    before = of(model)
    shard = max(model.glob("*.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    assert of(model) != before


def test_config_and_tokenizer_are_not_in_it(model):
    before = of(model)
    (model / "config.json").write_text('{"a": 1}')
    assert of(model) == before


def test_the_content_is_read_once(model, monkeypatch):
    files = hashed(monkeypatch)
    first = of(model)
    assert len(files) == len(list(model.glob("*.safetensors"))) > 1
    assert of(model) == first
    assert len(files) == len(set(files))


def test_a_changed_file_is_read_again(model, monkeypatch):
    of(model)
    files = hashed(monkeypatch)
    shard = max(model.glob("*.safetensors"))
    os.utime(shard, (time.time() - 60, time.time() - 60))
    of(model)
    assert files == [shard]


def test_a_file_just_written_is_not_cached(model, monkeypatch, cache):
    """It could be written again within one tick of the file system's clock."""
    rest(model, seconds=0)
    of(model)
    assert not cache.exists()


def test_a_damaged_cache_is_ignored(model, cache):
    before = of(model)
    entries = list((cache / "fingerprints").iterdir())
    for entry, text in zip(entries, ["", "{}", "[]", '{"key": 1}', "\0"] * 9, strict=False):
        entry.write_text(text)
    assert of(model) == before


def test_an_unwritable_cache_is_done_without(model, tmp_path, monkeypatch):
    expected = of(model)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EVOMERGE_CACHE", str(tmp_path / "file"))
    assert of(model) == expected


def test_the_cache_holds_no_temporary_files(model, cache):
    of(model)
    names = [entry.name for entry in (cache / "fingerprints").iterdir()]
    assert all(len(name) == 32 for name in names)
    assert len(names) == len(list(model.glob("*.safetensors")))


def test_a_failed_write_leaves_nothing(model, cache, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fingerprint.os, "replace", full)
    of(model)
    assert list((cache / "fingerprints").iterdir()) == []


def test_a_file_that_changes_meanwhile_is_an_error(model, monkeypatch):
    original = fingerprint._hash

    def interrupted(path):
        os.utime(path, (1, 1))
        return original(path)

    monkeypatch.setattr(fingerprint, "_hash", interrupted)
    with pytest.raises(CheckpointError, match="changed while it was being read"):
        of(model)


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 5000])
def test_every_byte_counts_however_a_file_is_cut(tmp_path, monkeypatch, size):
    monkeypatch.setattr(fingerprint, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(fingerprint, "_READ_BYTES", 300)
    file = tmp_path / "x.safetensors"
    found = set()
    for position in [None, *range(0, size, 97), size - 1]:
        content = np.zeros(size, np.uint8)
        if position is not None and size:
            content[position] = 1
        file.write_bytes(content.tobytes())
        found.add(fingerprint_of([file]))
    assert len(found) == 1 + len({*range(0, size, 97), *([size - 1] if size else [])})


def test_the_cache_is_where_the_user_wants_it(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("EVOMERGE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "evomerge"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "evomerge"
