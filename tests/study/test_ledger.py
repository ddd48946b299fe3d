"""The ledger notices every change, and an unfinished line is no line."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.errors import StudyError
from evomerge.study import Study
from evomerge.study.chain import START, seal
from evomerge.study.ledger import read_ledger
from tests.study.ordinary import a_table, a_trial
from tests.study.strategies import MAPPINGS

records = st.lists(MAPPINGS.filter(bool).filter(lambda record: "chain" not in record), max_size=5)
HEADER = {"kind": "header", "format": 1}


def chained(contents: list[dict]) -> bytes:
    lines, link = [], START
    for content in (HEADER, *contents):
        line, link = seal(content, link, "here")
        lines.append(line)
    return b"".join(lines)


def read(data: bytes) -> list[dict]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "study.jsonl"
        path.write_bytes(data)
        found, end = read_ledger(path)
        assert end.lines == len(found)
        assert data[: end.size].count(b"\n") == end.lines
        return [{k: v for k, v in one.items() if k != "chain"} for one in found[1:]]


@given(records)
def test_records_come_back(contents):
    assert read(chained(contents)) == contents


@given(records, st.data())
def test_a_ledger_cut_anywhere_holds_its_whole_lines(contents, data):
    whole = chained(contents)
    first = whole.index(b"\n") + 1
    cut = whole[: data.draw(st.integers(first, len(whole)))]
    assert read(cut) == contents[: cut.count(b"\n") - 1]


@given(records, st.data())
def test_no_byte_can_be_changed(contents, data):
    whole = chained(contents)
    # Without its newline the last line is not there yet, which is no change.
    place = data.draw(st.integers(0, len(whole) - 2))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))
    line = whole[:place].count(b"\n") + 1
    with pytest.raises(StudyError, match=f"study.jsonl: line {line}: "):
        read(whole[:place] + bytes([other]) + whole[place + 1 :])


def lines_of(run: Path) -> list[bytes]:
    return (run / "study.jsonl").read_bytes().splitlines(keepends=True)


EDITS = {
    "a score": (2, lambda lines: lines.__setitem__(1, lines[1].replace(b"0.0", b"0.9"))),
    "a space": (4, lambda lines: lines.__setitem__(3, lines[3].replace(b":", b": ", 1))),
    "a line left out": (3, lambda lines: lines.pop(2)),
    "a line twice": (4, lambda lines: lines.insert(3, lines[2])),
    "two lines the other way round": (2, lambda lines: lines.insert(1, lines.pop(2))),
    "the seed": (1, lambda lines: lines.__setitem__(0, lines[0].replace(b"7", b"8"))),
    "an empty line": (3, lambda lines: lines.insert(2, b"\n")),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("write", [False, True])
def test_an_edited_ledger_is_refused_and_the_line_named(run, edit, write):
    number, change = EDITS[edit]
    lines = lines_of(run)
    change(lines)
    (run / "study.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(
        StudyError, match=rf"study\.jsonl: line {number}: was changed after"
    ) as told:
        Study.open(run, write=write)
    remedy = f"head -n {number - 1} {run}/study.jsonl > whole && mv whole {run}/study.jsonl"
    assert (remedy in str(told.value)) is (number > 1)
    assert lines_of(run) == lines


def test_the_remedy_for_an_edited_ledger_works(run):
    lines = lines_of(run)
    (run / "study.jsonl").write_bytes(b"".join(lines[:2]))  # what `head -n 2` leaves
    with Study.open(run, write=True) as study:
        assert study.trials == (a_trial(0),)
        assert [path.name for path in (run / "items").iterdir()] == ["000000.json"]
        for number in (1, 2):
            study.append(a_trial(number), [a_table(number)])
    assert lines_of(run) == lines


@pytest.mark.parametrize("kept", [0.0, 0.5, 1.0])
def test_resuming_cuts_an_unfinished_line_off(run, kept):
    lines = lines_of(run)
    torn = lines[-1][: int(kept * (len(lines[-1]) - 1))]  # at most all but the newline
    (run / "study.jsonl").write_bytes(b"".join(lines[:-1]) + torn)
    assert Study.open(run).trials == (a_trial(0), a_trial(1))
    assert (run / "study.jsonl").read_bytes().endswith(torn)  # a reader changes nothing
    with Study.open(run, write=True) as study:
        assert lines_of(run) == lines[:-1]
        assert sorted(path.name for path in (run / "items").iterdir()) == [
            "000000.json", "000001.json",
        ]  # fmt: skip
        study.append(a_trial(2), [a_table(2)])
    assert lines_of(run) == lines


def test_a_tail_of_zeros_as_power_cuts_leave_it_is_cut_off(run):
    lines = lines_of(run)
    (run / "study.jsonl").write_bytes(b"".join(lines) + b"\0" * 4000)
    with Study.open(run, write=True) as study:
        assert len(study.trials) == 3
    assert lines_of(run) == lines


def test_a_kind_of_line_that_is_unknown_is_refused(run):
    content = chained_after(run, {"kind": "scores", "trial": 1})
    (run / "study.jsonl").write_bytes(content)
    told = r"study\.jsonl: line 5: is of a kind .* 'scores'; a newer one wrote it: pip install -U"
    with pytest.raises(StudyError, match=told):
        Study.open(run)


def test_a_field_that_is_unknown_is_refused(run):
    record = json.loads(lines_of(run)[-1])
    content = chained_after(run, {**record, "number": 3, "chain": 0, "colour": "red"})
    (run / "study.jsonl").write_bytes(content.replace(b'"chain":0,', b""))
    with pytest.raises(StudyError, match=r"line 5: "):
        Study.open(run)


def chained_after(run: Path, record: dict) -> bytes:
    lines = lines_of(run)
    line, _ = seal(record, json.loads(lines[-1])["chain"], "here")
    return b"".join([*lines, line])


@pytest.mark.parametrize("write", [False, True])
def test_a_newer_format_is_refused_before_anything_else(run, write):
    header = json.loads(lines_of(run)[0])
    newer = {**header, "format": 2, "evomerge": "9.0.0", "chain": "of another length"}
    (run / "study.jsonl").write_text(json.dumps(newer) + "\n{}\n")
    told = (
        r"has format 2, written by evomerge 9\.0\.0; this is evomerge .*: pip install -U evomerge"
    )
    with pytest.raises(StudyError, match=told):
        Study.open(run, write=write)


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"not JSON\n", b"[1]\n", b'{"kind":"trial"}\n', b"\xff\n"]
)
def test_another_file_of_that_name_is_refused(run, data):
    (run / "study.jsonl").write_bytes(data)
    with pytest.raises(StudyError, match="line 1: is not the header of a study"):
        Study.open(run)


def test_a_folder_without_a_study_is_refused_and_left_alone(tmp_path):
    for write in (False, True):
        with pytest.raises(StudyError, match=r"study\.jsonl: no such file; name the folder"):
            Study.open(tmp_path, write=write)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", ["append", "replace", "remove"])
def test_a_ledger_that_something_else_changes_is_not_written_on(run, change):
    path = run / "study.jsonl"
    with Study.open(run, write=True) as study:
        if change == "append":
            path.write_bytes(path.read_bytes() + b"\n")
        elif change == "replace":  # as editors save
            (run / "copy").write_bytes(path.read_bytes())
            (run / "copy").replace(path)
        else:
            path.unlink()
        with pytest.raises(StudyError, match="was changed while this run was writing it"):
            study.append(a_trial(3), [a_table(3)])
        assert len(study.trials) == 3


@pytest.mark.parametrize("content", [None, "[]", "half"])
def test_items_that_are_missing_or_changed_are_noticed_when_they_are_read(run, content):
    path = run / "items" / "000001.json"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:40] if content == "half" else content.encode())
    with Study.open(run, write=True) as study:
        assert len(study.trials) == 3
        told = "is missing" if content is None else "was changed after it was written"
        with pytest.raises(StudyError, match=rf"items/000001\.json: {told}"):
            study.tables(1)
        assert study.tables(2) == (a_table(2),)


def test_files_of_others_among_the_items_are_left_alone(run):
    for name in ("notes.txt", "000009.json", ".000009.json.tmp"):
        (run / "items" / name).write_text("?")
    Study.open(run, write=True).close()
    assert sorted(path.name for path in (run / "items").iterdir()) == [
        "000000.json", "000001.json", "000002.json", "notes.txt",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "read"), [("config.yaml", "config"), ("environment.json", "environment")]
)
def test_the_other_files_of_a_run_are_named_when_they_cannot_be_read(run, name, read):
    (run / name).write_text("{a: [")
    with pytest.raises(StudyError, match=f"{name}: was changed after it was written"):
        getattr(Study.open(run), read)
    (run / name).unlink()
    with pytest.raises(StudyError, match=f"{name}: cannot be read: No such file"):
        getattr(Study.open(run), read)
