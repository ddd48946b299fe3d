"""What is installed is what is imported, at versions that were tested."""

from __future__ import annotations

import ast
import os
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
PINS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
]


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(requirement).name) for requirement in requirements}


def test_torch_is_pinned_first():
    assert str(PINS[0].name) == "torch"


def test_each_pin_is_one_exact_public_version():
    for pin in PINS:
        (version,) = pin.specifier
        assert version.operator == "=="
        assert "+" not in version.version
        assert pin.url is None


@pytest.mark.parametrize("extra", [None, "lm-eval", "parity", "dev"])
def test_every_dependency_has_a_pin_in_its_range(extra: str | None):
    pins = {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in PINS}
    for requirement in map(Requirement, PROJECT["dependencies"] if not extra else EXTRAS[extra]):
        if requirement.name != PROJECT["name"]:
            assert pins[canonicalize_name(requirement.name)] in requirement.specifier


def test_every_library_imported_is_a_dependency():
    declared = names(PROJECT["dependencies"]).union(*map(names, EXTRAS.values()))
    distributions = packages_distributions()
    imported = {
        name.partition(".")[0]
        for file in (ROOT / "evomerge").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        for name in imported_by(node)
    }
    third_party = imported - sys.stdlib_module_names - {"evomerge"}
    undeclared = {
        name
        for name in third_party
        if declared.isdisjoint(map(canonicalize_name, distributions.get(name, [name])))
    }
    # Halves of numba and of pydantic: each pins the one release that it works with.
    assert undeclared <= {"llvmlite", "pydantic_core"}


def imported_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def test_the_continuous_integration_can_run():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
