"""The shape of the package: which unit may know which, and how large things grow.

This file is the authority. Change it with a reason, never work around it.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from evomerge.zoo.random_models import random_siblings

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "evomerge"

# A unit imports only from lower floors: never upwards, never a neighbour.
FLOORS = {
    "errors": 0,
    "registry": 1,
    "noise": 1,
    "dtypes": 1,
    "recipe": 2,
    "kernels": 2,
    "families": 2,
    "trial": 2,
    "space": 3,
    "goals": 3,
    "front": 3,
    "statistics": 3,
    "stacks": 4,
    "template": 5,
    "checkpoint": 6,
    "methods": 6,
    "evaluators": 6,
    "optimizers": 6,
    "study": 6,
    "searching": 7,
    "evidence": 7,
    "adapters": 7,
    "measurements": 7,
    "report": 8,
    "alignment": 8,
    "aligners": 9,
    "linear_merger": 9,
    "merging": 10,
    "inspection": 11,
    "workbench": 11,
    "export": 11,
    "zoo": 12,
    "objective": 12,
    "config": 13,
    "rehearsal": 14,
    "session": 15,
    "chain": 16,
    "api": 17,
    "cli": 17,
    "__init__": 18,
}

# Their modules register themselves; nobody imports one by name.
PLUG_INS = {
    "adapters": "adapter_method",
    "aligners": "aligner",
    "methods": "merge_method",
    "evaluators": "evaluator",
    "optimizers": "optimizer",
}

# May be imported inside functions: slow libraries at the edge and optional extras.
SLOW = {
    "PIL",
    "accelerate",
    "cma",
    "cmaes",
    "datasets",
    "huggingface_hub",
    "jinja2",
    "lm_eval",
    "numba",
    "optuna",
    "peft",
    "plotly",
    "rich",
    "scipy",
    "threadpoolctl",
    "tokenizers",
    "torch",
    "transformers",
}

# Our own modules that may be imported inside functions of a unit, because they load slow ones.
LATE = {
    "aligners": {"evomerge.aligners.proving"},
    "cli": {"evomerge"},  # a verb loads what it needs, when it needs it
    "evaluators": {"evomerge.evaluators.harness.run"},
    "measurements": {"evomerge.measurements.of_model"},
    "merging": {"evomerge.kernels.torch_arrays"},
    "workbench": {"evomerge.workbench.mould"},
    "zoo": {"evomerge.zoo.assembling"},
}

FILE_LINES = 300
FUNCTION_LINES = 60
ARGUMENTS = 6
NESTING = 3
TEST_SHARE = 0.6

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package by its dotted name; a package counts as ``name.__init__``."""
    files = {".".join(f.relative_to(ROOT).with_suffix("").parts): f for f in PACKAGE.rglob("*.py")}
    return {name: ast.parse(file.read_text("utf-8")) for name, file in sorted(files.items())}


def unit(module: str) -> str:
    return module.split(".")[1]


def functions() -> Iterator[tuple[str, Function]]:
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, FUNCTION):
                yield f"{module}.{node.name} (line {node.lineno})", node


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules of ours that are imported anywhere in ``tree``, in functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (ours(alias.name) for alias in node.names if is_ours(alias.name))
        elif isinstance(node, ast.ImportFrom) and is_ours(node.module or ""):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                known = inner in modules() or f"{inner}.__init__" in modules()
                yield ours(inner if known else node.module)


def is_ours(name: str) -> bool:
    return name.partition(".")[0] == PACKAGE.name


def ours(name: str) -> str:
    return f"{name}.__init__" if f"{name}.__init__" in modules() else name


def imports() -> list[tuple[str, str]]:
    pairs = ((module, target) for module, tree in modules().items() for target in imported(tree))
    return sorted({(module, target) for module, target in pairs if module != target})


def test_every_unit_has_a_floor():
    assert {unit(module) for module in modules()} <= set(FLOORS)


def test_imports_go_down():
    assert [
        f"{module} (floor {FLOORS[unit(module)]}) imports {target} (floor {FLOORS[unit(target)]})"
        for module, target in imports()
        if unit(module) != unit(target) and FLOORS[unit(module)] <= FLOORS[unit(target)]
    ] == []


def test_the_documented_floors_are_these():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| *(\d+) *\| *(.+?) *\|", text, flags=re.MULTILINE)
    documented = {
        name.rstrip("/"): int(floor)
        for floor, cell in rows
        for name in re.findall(r"`([\w/]+)`", cell)
    }
    assert documented == FLOORS


def plug_ins(folder: str) -> set[str]:
    """The modules of ``folder`` that register something."""
    decorator = PLUG_INS[folder]
    return {
        module
        for module, tree in modules().items()
        if unit(module) == folder
        for node in tree.body
        for call in getattr(node, "decorator_list", [])
        if isinstance(call, ast.Call) and ast.unparse(call.func).startswith(decorator)
    }


@pytest.mark.parametrize("folder", PLUG_INS)
def test_plug_ins_are_imported_by_nobody(folder: str):
    registered = plug_ins(folder)
    assert registered
    assert [pair for pair in imports() if pair[1] in registered] == []


def reachable(start: str, graph: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    ahead = [start]
    while ahead:
        new = graph.get(ahead.pop(), set()) - found
        found |= new
        ahead += new
    return found


def test_no_import_cycles():
    graph: dict[str, set[str]] = {module: set() for module in modules()}
    for module, target in imports():
        graph[module].add(target)
    assert [module for module in graph if module in reachable(module, graph)] == []


def late_imports(function: Function) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def may_be_late(target: str, module: str) -> bool:
    allowed = SLOW | LATE.get(unit(module), set())
    return any(target == name or target.startswith(f"{name}.") for name in allowed)


def test_imports_inside_functions_are_of_slow_libraries():
    assert [
        f"{name} imports {target}"
        for name, function in functions()
        for target in late_imports(function)
        if not may_be_late(target, name)
    ] == []


def test_files_are_short():
    lines = {f: len(f.read_text("utf-8").splitlines()) for f in PACKAGE.rglob("*.py")}
    assert {file: count for file, count in lines.items() if count > FILE_LINES} == {}


def length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def arguments(function: Function) -> list[ast.arg]:
    """What a caller passes: all but ``self`` and ``cls``."""
    named = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
    rest = [argument for argument in (function.args.vararg, function.args.kwarg) if argument]
    return [argument for argument in named if argument.arg not in ("self", "cls")] + rest


def nesting(node: ast.AST) -> int:
    """How deep the blocks of a function stand in each other; functions inside count anew."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*FUNCTION, ast.ClassDef)):
            continue
        chained = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        step = isinstance(child, BLOCKS) and not chained
        deepest = max(deepest, step + nesting(child))
    return deepest


def count_arguments(function: Function) -> int:
    """Options of a command line, which typer reads from ``Annotated``, do not count."""
    return sum(
        not ast.unparse(argument.annotation or argument).startswith("Annotated[")
        for argument in arguments(function)
    )


@pytest.mark.parametrize(
    ("measure", "cap"),
    [
        (length, FUNCTION_LINES),
        (count_arguments, ARGUMENTS),
        (nesting, NESTING),
    ],
    ids=["lines", "arguments", "nesting"],
)
def test_functions_are_small(measure: Callable[[Function], int], cap: int):
    sizes = {name: measure(function) for name, function in functions()}
    assert {name: size for name, size in sizes.items() if size > cap} == {}


def test_everything_is_annotated():
    assert [
        name
        for name, function in functions()
        if function.returns is None or any(a.annotation is None for a in arguments(function))
    ] == []


def public(node: ast.Module | ast.ClassDef, name: str) -> Iterator[tuple[str, ast.AST]]:
    """``node`` and the public classes, functions and methods it defines."""
    yield name, node
    for child in node.body:
        if isinstance(child, (*FUNCTION, ast.ClassDef)) and not child.name.startswith("_"):
            inner = f"{name}.{child.name}"
            if isinstance(child, ast.ClassDef):
                yield from public(child, inner)
            else:
                yield inner, child


def test_everything_public_is_documented():
    assert [
        name
        for module, tree in modules().items()
        for name, node in public(tree, module)
        if not ast.get_docstring(node)
    ] == []


def test_the_package_neither_prints_nor_asserts_nor_sets_up_logging():
    def forbidden(node: ast.AST) -> bool:
        called = node.func if isinstance(node, ast.Call) else None
        prints = isinstance(called, ast.Name) and called.id == "print"
        logs = isinstance(called, ast.Attribute) and called.attr == "basicConfig"
        return isinstance(node, ast.Assert) or prints or logs

    assert [
        f"{module}, line {node.lineno}"
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if forbidden(node)
    ] == []


def test_there_are_enough_tests():
    def lines(folder: Path) -> int:
        return sum(len(f.read_text("utf-8").splitlines()) for f in folder.rglob("*.py"))

    assert lines(ROOT / "tests") >= TEST_SHARE * lines(PACKAGE)


def loaded_by(*arguments: str) -> set[str]:
    """The top-level modules in memory after ``evomerge`` has run with these arguments."""
    program = (
        "import sys\n"
        "from evomerge.cli.main import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "print('LOADED', *{name.partition('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("LOADED")[2].split())


def test_help_loads_no_slow_library():
    assert loaded_by("--help").isdisjoint({"torch", "transformers", "numba", "lm_eval"})


@pytest.mark.parametrize("method", ["linear", "ties", "dare_linear"])
def test_a_merge_loads_neither_torch_nor_transformers(tmp_path: Path, method: str):
    base, experts = random_siblings(tmp_path)
    weighted = [{"model": str(expert), "parameters": {"weight": 1}} for expert in experts]
    recipe = {"merge_method": method, "models": weighted}
    if method != "linear":
        recipe["base_model"] = str(base)
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe), "utf-8")
    loaded = loaded_by("merge", str(tmp_path / "recipe.yaml"), str(tmp_path / "out"))
    assert (tmp_path / "out" / "model.safetensors").exists()
    assert loaded.isdisjoint({"torch", "transformers", "lm_eval"})
