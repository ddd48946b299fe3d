"""Small tokenizers behave as large ones do, before and after they are saved."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from evomerge.zoo.small_tokenizers import byte_tokenizer, word_tokenizer

BYTES = byte_tokenizer(["the cat sat on the mat, the cat sat"] * 3, size=270)


def test_each_word_is_a_token():
    tokenizer = word_tokenizer(["cat", "sat"])
    assert tokenizer("cat sat dog").input_ids == [4, 5, tokenizer.unk_token_id]
    assert [tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id] == [0, 1, 2]
    assert len(tokenizer) == 6


@given(st.text())
def test_bytes_bring_back_any_text(text: str):
    assert BYTES.decode(BYTES(text).input_ids) == text


def test_frequent_pieces_become_tokens():
    assert len(BYTES) == 270
    assert len(BYTES(" the cat").input_ids) < len(" the cat")


def test_a_saved_tokenizer_is_the_same(tmp_path: Path):
    for name, tokenizer in {"words": word_tokenizer(["a", "b"]), "bytes": BYTES}.items():
        tokenizer.save_pretrained(tmp_path / name)
        again = AutoTokenizer.from_pretrained(tmp_path / name)
        assert again.get_vocab() == tokenizer.get_vocab()
        assert again("a b <s>").input_ids == tokenizer("a b <s>").input_ids
