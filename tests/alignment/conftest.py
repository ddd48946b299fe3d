"""One tiny model of each kind, for all tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.alignment.kinds import model_folder


@pytest.fixture(scope="package")
def folders(session_folder):
    """A model folder by its kind and its options, made when it is first asked for."""

    @cache
    def folder(kind: str, **options: object) -> Path:
        name = "-".join([kind, *map(str, options.values())])
        return model_folder(session_folder / "alignment" / name, kind, **options)

    return folder
