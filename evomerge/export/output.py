"""Files and folders of recipes that exist whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from evomerge.errors import OutputError
from evomerge.study.files import explained, sync_folder, write_whole

RETRY = "try again or choose another place"
# All that a folder of exports holds, and so all that --force may replace.
OWN = (".yaml", ".md")


def check_file(out: Path, *, force: bool) -> None:
    """Refuses a place where a file must not be written. Changes nothing.

    Raises:
        OutputError: something stands there.
    """
    if os.path.isdir(out):
        raise OutputError(f"{out}: is a folder; name a file, such as {out / 'best.yaml'}")
    if os.path.lexists(out) and not force:
        raise OutputError(f"{out}: exists; choose another or add --force")


def check_folder(out: Path, *, force: bool) -> None:
    """Refuses a place where a folder of recipes must not be written. Changes nothing.

    ``force`` allows to replace a folder of recipes, and nothing else.

    Raises:
        OutputError: something stands there.
    """
    if not os.path.isdir(out):
        if os.path.lexists(out):
            raise OutputError(f"{out}: is a file; name a folder")
        return
    found = sorted(os.listdir(out))
    if found and not force:
        raise OutputError(f"{out}: exists and is not empty; choose another or add --force")
    foreign = [name for name in found if not name.endswith(OWN)]
    if foreign:
        raise OutputError(
            f"{out}: holds more than recipes ({foreign[0]}), so --force does not replace it; "
            "choose another or delete it yourself"
        )


def write_file(out: Path, text: str, *, force: bool = False) -> None:
    """Writes a file, whole or not at all.

    Raises:
        OutputError: something stands there, or the disk fails.
    """
    check_file(out, force=force)
    with explained(out, RETRY):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, text.encode())


def write_folder(out: Path, files: Mapping[str, str], *, force: bool = False) -> None:
    """Writes a folder of files by name, whole or not at all.

    Raises:
        OutputError: something stands there, or the disk fails.
    """
    check_folder(out, force=force)
    making, aside = (out.with_name(f".{out.name}.{what}") for what in ("tmp", "old"))
    with explained(out, RETRY):
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        try:
            for name, text in files.items():
                write_whole(making / name, text.encode())
            if out.is_dir():
                out.rename(aside)
            making.rename(out)
        finally:
            shutil.rmtree(making, ignore_errors=True)
            if aside.is_dir() and not out.is_dir():
                aside.rename(out)
            shutil.rmtree(aside, ignore_errors=True)
        sync_folder(out.parent)
