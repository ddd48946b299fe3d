"""The text: real prose, and held-out paragraphs that were never read."""

from __future__ import annotations

import pytest

from evomerge.zoo.text import LONGEST, SHORTEST, SIZES, documents, training_text


@pytest.mark.parametrize("split", SIZES)
def test_documents_are_paragraphs_of_a_window_or_a_few(split: str):
    for document in documents(split):
        assert SHORTEST <= len(document.encode()) <= LONGEST
        assert document.index("\n\n") == len(document) - 2


@pytest.mark.parametrize("split", SIZES)
def test_there_are_as_many_as_promised_and_all_are_different(split: str):
    assert len(set(documents(split))) == len(documents(split)) == SIZES[split]


def test_no_held_out_document_is_trained_on():
    text = training_text()
    assert len(text) > 150_000
    assert [part for split in SIZES for part in documents(split) if part in text] == []


def test_search_and_holdout_are_different():
    assert set(documents("search")).isdisjoint(documents("holdout"))
