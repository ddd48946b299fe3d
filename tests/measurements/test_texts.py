"""What a data file may hold, and what is said of one that will not do."""

from __future__ import annotations

import json

import pytest

from evomerge.errors import MergeError
from evomerge.measurements.texts import read_items
from evomerge.recipe.data import Data
from evomerge.zoo.small_tokenizers import word_tokenizer

TOKENIZER = word_tokenizer(("the", "cat", "sat", "user", "assistant"))
CHAT = "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}"


def items(tmp_path, text, *, name="texts.jsonl", tokenizer=TOKENIZER, **settings):
    (tmp_path / name).write_text(text, "utf-8")
    data = Data(file=str(tmp_path / name), **{"items": 1, **settings})
    found = read_items(data, tokenizer, "maths")
    return [tokenizer.decode(item) for item in found]


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_lines_of_text_prompts_and_bare_strings(tmp_path):
    rows = [{"text": "the cat"}, {"prompt": "the", "answer": " cat sat"}, "cat sat"]
    rows += [{"prompt": "the cat", "completion": " sat"}, {"prompt": "the", "response": " cat"}]
    assert items(tmp_path, lines(*rows), items=5) == [
        "<s> the cat",
        "<s> the cat sat",
        "<s> cat sat",
        "<s> the cat sat",
        "<s> the cat",
    ]


def test_conversations_by_the_template_of_the_model(tmp_path):
    tokenizer = word_tokenizer(("the", "cat", "sat", "user", "assistant"))
    tokenizer.chat_template = CHAT
    turns = [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": "sat"}]
    found = items(tmp_path, lines({"messages": turns}), tokenizer=tokenizer)
    assert found == ["user the cat assistant sat"]


def test_items_are_cut_and_no_more_are_read_than_asked_for(tmp_path):
    text = lines("the cat sat", "the") + "no JSON\n"
    with pytest.raises(MergeError, match="not JSON"):
        items(tmp_path, text)
    assert items(tmp_path, lines("the cat sat", "the unknown"), length=3) == ["<s> the cat"]


def test_a_text_is_cut_into_items(tmp_path):
    found = items(tmp_path, "the cat sat\nthe cat sat sat", name="a.txt", items=2, length=3)
    assert found == ["<s> the cat", "sat the cat"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lines("the cat"), "1 items for maths, and 'items: 2' are asked for"),
        (lines("the", ""), r"texts.jsonl:2: 1 token of maths; an item needs two"),
        (lines("the cat", "the dog"), r"texts.jsonl:2: the tokenizer of maths has no token for 'd"),
        (lines({"question": "the"}), r":1: nothing to read, it has question; expected text"),
        (lines({"prompt": "the"}), r":1: nothing to read, it has prompt"),
        (lines({"messages": [{"role": "user", "content": "the"}]}), "has no chat template"),
        ("{\n", ":1: not JSON"),
    ],
)
def test_what_will_not_do(tmp_path, text, message):
    with pytest.raises(MergeError, match=message):
        items(tmp_path, text, items=2)


def test_a_template_that_refuses_the_messages(tmp_path):
    tokenizer = word_tokenizer(("the",))
    tokenizer.chat_template = "{{ raise_exception('no system role') }}"
    row = lines({"messages": [{"role": "system", "content": "the"}]})
    with pytest.raises(MergeError, match=r"the chat template of maths refuses .* no system role"):
        items(tmp_path, row, tokenizer=tokenizer)


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(MergeError, match=r"gone\.txt: No such file"):
        read_items(Data(file=str(tmp_path / "gone.txt")), TOKENIZER, "maths")
    (tmp_path / "latin.txt").write_bytes("é".encode("latin-1"))
    with pytest.raises(MergeError, match="byte 0 is not UTF-8"):
        read_items(Data(file=str(tmp_path / "latin.txt")), TOKENIZER, "maths")
