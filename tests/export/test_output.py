"""Promises of how recipes are written: whole or not at all, and over nothing of anybody's."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.errors import OutputError
from evomerge.export import output
from evomerge.export.output import check_folder, write_file, write_folder

RECIPES = {"trial-1.yaml": "one\n", "README.md": "table\n"}


def held(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


def test_a_file_is_written_with_the_folders_it_needs(tmp_path):
    write_file(tmp_path / "new/best.yaml", "recipe\n")
    assert held(tmp_path / "new") == {"best.yaml": "recipe\n"}


def test_what_stands_there_is_replaced_only_by_force(tmp_path):
    out = tmp_path / "best.yaml"
    write_file(out, "first\n")
    with pytest.raises(OutputError, match=r"best.yaml: exists; choose another or add --force"):
        write_file(out, "second\n")
    assert out.read_text() == "first\n"
    write_file(out, "second\n", force=True)
    assert out.read_text() == "second\n"


def test_a_folder_is_no_place_for_a_file(tmp_path):
    with pytest.raises(OutputError, match=r"is a folder; name a file, such as .*best.yaml"):
        write_file(tmp_path, "recipe\n", force=True)


def test_a_folder_is_written_and_replaced_by_force_as_a_whole(tmp_path):
    out = tmp_path / "front"
    write_folder(out, {"trial-9.yaml": "old\n"})
    with pytest.raises(OutputError, match="exists and is not empty"):
        write_folder(out, RECIPES)
    assert held(out) == {"trial-9.yaml": "old\n"}
    write_folder(out, RECIPES, force=True)
    assert held(out) == RECIPES
    assert [path.name for path in tmp_path.iterdir()] == ["front"]


def test_force_does_not_replace_what_is_no_folder_of_recipes(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"holds more than recipes \(thesis.tex\)"):
        check_folder(tmp_path, force=True)
    with pytest.raises(OutputError, match="is a file; name a folder"):
        check_folder(tmp_path / "thesis.tex", force=True)


def test_a_disk_that_fails_in_the_middle_leaves_what_was_there(tmp_path, monkeypatch):
    out = tmp_path / "front"
    write_folder(out, {"trial-9.yaml": "old\n"})
    writing = output.write_whole

    def failing(path: Path, data: bytes) -> None:
        if path.name == "README.md":
            raise OSError(28, "No space left on device")
        writing(path, data)

    monkeypatch.setattr(output, "write_whole", failing)
    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        write_folder(out, RECIPES, force=True)
    assert held(out) == {"trial-9.yaml": "old\n"}
    assert [path.name for path in tmp_path.iterdir()] == ["front"]


def test_a_place_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written: "):
        write_file(tmp_path / "file/best.yaml", "recipe\n")
