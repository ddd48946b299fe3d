"""Where things stand in the folder of a zoo, and how it is known to be whole.

`.zoo.json` is written first: whose folder this is, and what is being built in it. `manifest.json`
is written last, and lists every file. In between, a member's folder exists whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from evomerge.errors import OutputError
from evomerge.zoo.tasks import SKILLS, Split

# Changes when a zoo of the same seed comes out differently.
FORMAT = 1

# The skills for which there is an adapter too.
ADAPTED = ("reverse", "sums")

# What a zoo is made from: format, seed and budget.
Origin = Mapping[str, object]


@dataclass(frozen=True)
class Zoo:
    """The paths of a zoo. The files are float32 models with tied embeddings.

    Attributes:
        folder: in which all of it stands.
    """

    folder: Path

    @property
    def base(self) -> Path:
        """The model that the experts and the adapters start from."""
        return self.folder / "base"

    @property
    def experts(self) -> dict[str, Path]:
        """By skill: the base, trained on that skill alone."""
        return {skill: self.folder / skill for skill in SKILLS}

    @property
    def adapters(self) -> dict[str, Path]:
        """By skill: LoRA adapters of the base, in PEFT's format."""
        return {skill: self.folder / "adapters" / skill for skill in ADAPTED}

    @property
    def sibling(self) -> Path:
        """Taught like the base, from other initial weights: the same in other coordinates."""
        return self.folder / "sibling"

    @property
    def deeper(self) -> Path:
        """More layers than the base, hardly trained."""
        return self.folder / "deeper"

    @property
    def other_vocabulary(self) -> Path:
        """Another tokenizer than the base's, hardly trained."""
        return self.folder / "other_vocabulary"

    def data(self, skill: str, split: Split) -> Path:
        """JSON Lines of ``prompt`` and ``answer``, or of ``text`` for the skill ``prose``."""
        return self.folder / "data" / f"{skill}_{split}.jsonl"

    @property
    def mark(self) -> Path:
        """The file that says that the folder is a zoo."""
        return self.folder / ".zoo.json"

    @property
    def manifest(self) -> Path:
        """The file that says that the zoo is whole."""
        return self.folder / "manifest.json"


def is_whole(zoo: Zoo, origin: Origin) -> bool:
    """Whether the zoo of this origin is there and nothing needs to be built. Reads no model.

    Raises:
        OutputError: the folder holds something else, or a file of the zoo has changed.
    """
    _check_owner(zoo, origin)
    if not zoo.manifest.is_file():
        return False
    for name, entry in _read(zoo.manifest)["files"].items():
        file = zoo.folder / name
        if not file.parent.is_dir():
            return False
        size = file.stat().st_size if file.is_file() else 0
        if size != entry["bytes"]:
            raise OutputError(
                f"{file}: has {size} bytes, but was built with {entry['bytes']}; "
                f"delete {file.parent} to have it built again"
            )
    return True


def write_mark(zoo: Zoo, origin: Origin) -> None:
    """Makes the folder a zoo to be."""
    zoo.mark.write_text(_as_text(origin), "utf-8")


def write_manifest(zoo: Zoo, origin: Origin, versions: Mapping[str, str]) -> None:
    """Declares the zoo whole. ``versions`` are those of the libraries, for the reader."""
    files = {
        file.relative_to(zoo.folder).as_posix(): {
            "bytes": file.stat().st_size,
            "sha256": sha256(file.read_bytes()).hexdigest(),
        }
        for file in sorted(zoo.folder.rglob("*"))
        if file.is_file() and file.parent != zoo.folder
    }
    whole = {**origin, "versions": dict(versions), "files": files}
    unfinished = zoo.manifest.with_suffix(".tmp")
    unfinished.write_text(_as_text(whole), "utf-8")
    unfinished.replace(zoo.manifest)


def _check_owner(zoo: Zoo, origin: Origin) -> None:
    """Refuses a folder with anything else in it than this zoo or a part of it."""
    if not zoo.folder.is_dir():
        if zoo.folder.exists():
            raise OutputError(f"{zoo.folder}: is a file; name a folder")
        return
    if not zoo.mark.is_file():
        if any(zoo.folder.iterdir()):
            raise OutputError(f"{zoo.folder}: exists and is not a zoo; name a new or empty folder")
        return
    found = _read(zoo.mark)
    for key, wanted in origin.items():
        if found.get(key) != wanted:
            raise OutputError(
                f"{zoo.folder}: holds a zoo of {key} {found.get(key)}, but {wanted} was asked for; "
                "name another folder"
            )


def _read(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{file}: cannot be read: {error}; name another folder") from error


def _as_text(content: Mapping[str, object]) -> str:
    return json.dumps(content, indent=1) + "\n"
