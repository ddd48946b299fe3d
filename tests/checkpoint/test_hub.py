"""Promises of the hub: a folder is used as it is, an id comes from the cache, errors are clear."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import huggingface_hub
import pytest
from huggingface_hub import constants, errors

from evomerge.checkpoint.hub import UNWANTED, WANTED, locate
from evomerge.checkpoint.reader import open_checkpoint
from evomerge.errors import CheckpointError
from evomerge.zoo.random_models import Options, random_model

# The client library of huggingface_hub: httpx, and httpx2 since its release 2.
client = import_module(errors.HTTPError.__module__.partition(".")[0])

NAME = "tiny-lab/tiny-llama"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A Hugging Face cache with one sharded model, laid out as the library does: links to blobs."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--tiny-lab--tiny-llama"
    snapshot, blobs, refs = (repository / part for part in (f"snapshots/{COMMIT}", "blobs", "refs"))
    for folder in (snapshot, blobs, refs):
        folder.mkdir(parents=True)
    (refs / "main").write_text(COMMIT)
    model = random_model(tmp_path / "made", options=Options(shard_bytes=10_000))
    for number, file in enumerate(sorted(model.iterdir())):
        file.rename(blobs / str(number))
        (snapshot / file.name).symlink_to(f"../../blobs/{number}")
    return snapshot


def error_of(*reference):
    with pytest.raises(CheckpointError) as caught:
        locate(*reference)
    return str(caught.value)


def test_a_folder_is_itself(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for reference in ("model", "./model", "~/model", str(tmp_path / "model")):
        assert locate(reference).resolve() == tmp_path / "model"


def test_a_folder_needs_no_hub_library(tmp_path):
    """Importing it takes a fifth of a second, more than a small merge."""
    random_model(tmp_path / "model")
    program = (
        "import sys; from pathlib import Path; "
        "from evomerge.recipe.reference import ModelReference; "
        "from evomerge.checkpoint.source import open_source; "
        f"open_source(ModelReference({str(tmp_path / 'model')!r})); "
        "print({'huggingface_hub', 'torch', 'transformers', 'peft'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("set()\n", "")


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_an_id_is_found_in_the_cache(cache, revision):
    assert locate(NAME, revision) == cache


def test_shards_in_the_cache_are_links_to_blobs(cache):
    with open_checkpoint(NAME) as model:
        assert model.label == NAME
        assert model.load("lm_head.weight").shape == (64, 32)


def test_links_out_of_the_repository_are_refused(cache):
    secret = cache.parents[2] / "other"
    shard = next(cache.glob("*.safetensors"))
    shard.resolve().rename(secret)
    shard.unlink()
    shard.symlink_to(secret)
    with pytest.raises(CheckpointError, match="lies outside the folder"):
        open_checkpoint(NAME)


@pytest.mark.parametrize(
    "reference",
    ["./zoo/base", "/zoo/base", "../base", "~/zoo", "a/b/c", "zoo\\base", "", "../no/.."],
)
def test_what_looks_like_a_path_is_a_missing_folder(reference, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    absolute = reference.startswith(("/", "~"))
    begin = "" if absolute else f"; relative paths begin at {tmp_path}"
    assert error_of(reference) == f"'{reference}': no such folder{begin}"


@pytest.mark.parametrize("reference", ["zoo/base", "gpt2", "meta-llama/Llama-3.2-1B"])
def test_an_id_that_is_not_cached_names_both_ways_it_was_looked_for(cache, reference):
    message = error_of(reference)
    assert message.startswith(f"{reference}: no such folder, and not in the Hugging Face cache")
    assert "HF_HUB_OFFLINE is set" in message


def test_a_revision_that_is_not_cached_is_named(cache):
    assert "revision 'v2' is not in the Hugging Face cache" in error_of(NAME, "v2")


def test_a_file_is_not_a_folder(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert error_of(str(tmp_path / "model.safetensors")).endswith(
        "a file; expected the folder of a model"
    )


def test_a_folder_has_no_revisions(tmp_path):
    assert "a folder has no revisions, but 'main' was asked for" in error_of(str(tmp_path), "main")


# What the hub answers when there is a network


class Fake:
    """Answers like huggingface_hub.snapshot_download, and remembers what it was asked."""

    def __init__(self, answer):
        self.answer = answer

    def __call__(self, name, **settings):
        self.asked = (name, settings)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def answer(monkeypatch, reply):
    fake = Fake(reply)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake)
    return fake


def http(kind):
    request = client.Request("GET", "https://huggingface.co")
    return kind("refused", response=client.Response(404, request=request))


def test_only_what_reading_takes_is_downloaded(monkeypatch, tmp_path):
    fake = answer(monkeypatch, str(tmp_path))
    assert locate(NAME, "v2") == tmp_path
    assert fake.asked == (
        NAME,
        {"revision": "v2", "allow_patterns": WANTED, "ignore_patterns": UNWANTED},
    )


def test_pickles_copies_and_folders_are_not_downloaded():
    files = [
        "config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json",
        "tokenizer.json", "tokenizer.model", "merges.txt", "chat_template.jinja",
        "adapter_model.safetensors",
    ]  # fmt: skip
    unwanted = [
        "pytorch_model.bin", "consolidated.safetensors", "checkpoint-5/adapter_model.safetensors",
        "onnx/model.onnx", "modeling_custom.py", "README.md", "model.gguf",
    ]  # fmt: skip
    kept = huggingface_hub.utils.filter_repo_objects(
        files + unwanted, allow_patterns=WANTED, ignore_patterns=UNWANTED
    )
    assert list(kept) == files


def test_a_snapshot_that_lacks_files_is_tried(monkeypatch, tmp_path):
    """It may be one that transformers downloaded, with all that is needed."""
    partial = errors.IncompleteSnapshotError("incomplete", snapshot_path=str(tmp_path))
    answer(monkeypatch, partial)
    assert locate(NAME) == tmp_path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (errors.RepositoryNotFoundError, "no such model on Hugging Face, or a private one"),
        (errors.GatedRepoError, "access must be granted first; ask for it on https://hugging"),
        (errors.RevisionNotFoundError, "has no revision 'v2'"),
        (errors.HfHubHTTPError, "could not be downloaded: refused"),
    ],
)
def test_a_refusal_of_the_hub_is_explained(monkeypatch, kind, reason):
    answer(monkeypatch, http(kind))
    message = error_of(NAME, "v2")
    assert message.startswith(f"{NAME}: ")
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize("error", [client.ReadTimeout("slow"), OSError(28, "No space left")])
def test_a_download_that_breaks_off_is_no_traceback(monkeypatch, error):
    answer(monkeypatch, error)
    assert error_of(NAME).startswith(f"{NAME}: could not be downloaded: ")
