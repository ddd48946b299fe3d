"""Promises of tokenizers read and rewritten as JSON: transformers sees the same tokens."""

from __future__ import annotations

import json

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from evomerge.checkpoint.tokenizer import AddedToken, read_tokenizer
from evomerge.checkpoint.tokenizer_files import copy_generation_config, copy_tokenizer
from evomerge.errors import VocabularyError
from evomerge.zoo.small_tokenizers import byte_tokenizer, word_tokenizer

TEXT = "the cat sat on the mat, the rat sat on the cat and that was that"


def unigram():
    scores = [("<unk>", 0.0), ("▁the", -1.0), ("▁cat", -2.0), ("▁s", -3.0), ("at", -3.5)]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


KINDS = {
    "BPE": lambda: byte_tokenizer([TEXT], 275),
    "WordLevel": lambda: word_tokenizer(["the", "cat", "sat"]),
    "Unigram": unigram,
}


@pytest.fixture(params=KINDS)
def folder(request, tmp_path):
    KINDS[request.param]().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def bpe(tmp_path):
    KINDS["BPE"]().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def rewrite(file, **changes):
    content = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(content | changes))


def loaded(folder):
    return AutoTokenizer.from_pretrained(folder)


def written(tokenizer, tmp_path):
    (tmp_path / "out").mkdir()
    tokenizer.write(tmp_path / "out")
    return loaded(tmp_path / "out")


def test_the_tokens_are_those_of_transformers(folder):
    assert read_tokenizer(folder, "m").ids == loaded(folder).get_vocab()


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("tokenizer_config.json", {"pad_token": "[PAD]"}),
        ("tokenizer_config.json", {"pad_token": "[PAD]", "eos_token": "[E]", "bos_token": "[B]"}),
        ("tokenizer_config.json", {"pad_token": {"content": "[PAD]", "__type": "AddedToken"}}),
        ("tokenizer_config.json", {"additional_special_tokens": ["<x>", "<y>"]}),
        ("tokenizer_config.json", {"extra_special_tokens": ["<x>"], "mask_token": "[M]"}),
        ("special_tokens_map.json", {"pad_token": "[PAD]", "mask_token": "[M]"}),
        (
            "tokenizer_config.json",
            {"added_tokens_decoder": {"275": {"content": "new", "special": False}}},
        ),
    ],
)
def test_tokens_that_only_the_settings_name_are_seen_too(bpe, file, changes):
    rewrite(bpe / file, **changes)
    tokenizer = read_tokenizer(bpe, "m")
    assert tokenizer.ids == loaded(bpe).get_vocab()
    assert len(tokenizer.ids) > 275


def test_an_unchanged_tokenizer_is_copied_byte_for_byte(folder, tmp_path):
    (folder / "vocab.txt").write_text("older form")
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tools.jinja").write_text("{{ tools }}")
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_text("weights")
    written(read_tokenizer(folder, "m"), tmp_path)
    out = {p.relative_to(tmp_path / "out"): p for p in (tmp_path / "out").rglob("*")}
    assert sorted(map(str, out)) == [
        "additional_chat_templates",
        "additional_chat_templates/tools.jinja",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]
    for name, path in out.items():
        assert path.is_dir() or path.read_bytes() == (folder / name).read_bytes()


def test_links_of_the_hubs_cache_become_files(bpe, tmp_path):
    cache, out = tmp_path / "cache", tmp_path / "out"
    cache.mkdir()
    out.mkdir()
    for file in bpe.iterdir():
        (cache / file.name).symlink_to(file)
    (cache / "generation_config.json").symlink_to(bpe / "tokenizer.json")
    copy_tokenizer(cache, out)
    copy_generation_config(cache, out)
    assert {file.name for file in out.iterdir()} == {file.name for file in cache.iterdir()}
    assert not any(file.is_symlink() for file in out.iterdir())


def test_a_folder_without_a_tokenizer_gives_none(tmp_path):
    (tmp_path / "out").mkdir()
    copy_tokenizer(tmp_path, tmp_path / "out")
    copy_generation_config(tmp_path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_new_tokens_stand_behind_the_last_row(folder, tmp_path):
    old = read_tokenizer(folder, "m")
    known = next(iter(old.ids))
    new = [AddedToken("<|x|>", special=True, normalized=False), AddedToken(known), AddedToken("yy")]
    tokenizer = old.extended_by(new).extended_by([AddedToken("yy")])
    rows = len(old.ids)
    assert tokenizer.ids == old.ids | {"<|x|>": rows, "yy": rows + 1}
    back = written(tokenizer, tmp_path)
    assert back.get_vocab() == tokenizer.ids
    assert back.added_tokens_decoder[rows].special
    assert not back.added_tokens_decoder[rows + 1].special
    assert back.encode("<|x|>", add_special_tokens=False) == [rows]


def test_new_tokens_leave_the_encoding_of_other_text_alone(bpe, tmp_path):
    back = written(read_tokenizer(bpe, "m").extended_by([AddedToken("<|x|>")]), tmp_path)
    assert back.encode(TEXT) == loaded(bpe).encode(TEXT)
    assert back.decode(back.encode(TEXT)) == TEXT
    assert back.eos_token_id == loaded(bpe).eos_token_id


@pytest.mark.parametrize("fewer", [1, 2, 4])
def test_tokens_without_a_row_are_taken_away(folder, tmp_path, fewer):
    old = read_tokenizer(folder, "m")
    rows = len(old.ids) - fewer
    tokenizer = old.limited_to(rows)
    assert tokenizer.ids == {token: row for token, row in old.ids.items() if row < rows}
    assert written(tokenizer, tmp_path).get_vocab() == tokenizer.ids


def test_merges_go_with_their_tokens(bpe, tmp_path):
    tokenizer = read_tokenizer(bpe, "m").limited_to(268)
    back = written(tokenizer, tmp_path)
    assert max(back.encode(TEXT)) < 268
    assert back.decode(back.encode(TEXT)) == TEXT


def test_special_tokens_without_a_row_are_forgotten_everywhere(bpe, tmp_path):
    rewrite(bpe / "tokenizer_config.json", pad_token="[PAD]", extra_special_tokens=["<x>", "<s>"])
    rewrite(bpe / "special_tokens_map.json", pad_token="[PAD]", eos_token="</s>")
    assert read_tokenizer(bpe, "m").roles["pad_token_id"] == 275
    tokenizer = read_tokenizer(bpe, "m").limited_to(275)
    assert "pad_token_id" not in tokenizer.roles
    back = written(tokenizer, tmp_path)
    assert len(back) == 275
    assert back.pad_token is None
    assert back.eos_token == "</s>"


def test_the_list_of_added_tokens_in_the_settings_follows(bpe, tmp_path):
    listed = {"0": {"content": "<pad>", "special": True}, "275": {"content": "x", "special": True}}
    rewrite(bpe / "tokenizer_config.json", added_tokens_decoder=listed)
    tokenizer = read_tokenizer(bpe, "m").limited_to(275).extended_by([AddedToken("new")])
    back = written(tokenizer, tmp_path)
    assert back.get_vocab() == tokenizer.ids
    assert back.convert_ids_to_tokens([275]) == ["new"]


def test_other_forms_of_a_changed_vocabulary_are_left_behind(bpe, tmp_path):
    for name in ("tokenizer.model", "vocab.json", "merges.txt", "added_tokens.json"):
        (bpe / name).write_text("{}")
    written(read_tokenizer(bpe, "m").extended_by([AddedToken("new")]), tmp_path)
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "tokenizer.json",
        "tokenizer_config.json",
    }


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"words: has no tokenizer \(tokenizer.json\)"),
        ({"tokenizer.model": ""}, r"older kind \(tokenizer.model\) .* convert it: AutoTokenizer"),
        ({"vocab.json": "{}", "merges.txt": ""}, r"older kind \(vocab.json\)"),
        ({"tokenizer.json": '{"model": {"type": "X"}}'}, "no list of tokens"),
    ],
)
def test_tokenizers_that_cannot_be_rearranged_are_refused_by_name(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(VocabularyError, match=message):
        read_tokenizer(tmp_path, "words")
