"""From YAML text to a tree, and from pydantic's complaints about a tree to one clear line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

import yaml
from pydantic import ValidationError

from evomerge.errors import RecipeError, VocabularyError
from evomerge.recipe.entry import form, shown

# libyaml's reader is ten times faster; not every build of PyYAML has it.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# A recipe needs ten levels. libyaml's reader follows thousands off the end of the stack.
_MAX_DEPTH = 50

_EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "mapping_type": "a mapping",
    "string_type": "text, in quotes if need be",
    "tuple_type": "a list",
    "too_short": "at least one entry",
}


def read_text(path: str | PathLike[str]) -> str:
    """The text in a file.

    Raises:
        RecipeError: there is no such file, or no text in it; the message begins with the path.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not a text file in UTF-8") from error


def load_yaml(text: str, where: str) -> object:
    """The tree of dicts, lists and scalars in one YAML document; None if it is empty.

    Args:
        text: YAML with plain data alone, and no key twice in a mapping.
        where: what the text is, for messages.

    Raises:
        RecipeError: the text is not that; the message gives line and column.
    """
    with _readable(where):
        _check_depth(text)
        loader = _Loader(text)
        node = loader.get_single_node()
        _refuse_twins(node, set())
        return None if node is None else loader.construct_document(node)


def load_documents(text: str, where: str) -> list[object]:
    """The trees of all documents of a YAML text, each as `load_yaml` reads one.

    Raises:
        RecipeError: a document is not plain YAML; the message gives line and column.
    """
    with _readable(where):
        _check_depth(text)
        loader = _Loader(text)
        trees = []
        while loader.check_node():
            node = loader.get_node()
            _refuse_twins(node, set())
            trees.append(loader.construct_document(node))
        return trees


@contextmanager
def _readable(where: str) -> Iterator[None]:
    """Says of a text that is not plain YAML where, and what is wrong with it."""
    try:
        yield
    except yaml.MarkedYAMLError as error:
        raise RecipeError(f"{where}: {_place(error)}: {_problem(error)}") from error
    except (yaml.YAMLError, ValueError, AttributeError) as error:
        # Control characters; dates and numbers out of their range.
        cause = str(error).splitlines()[0]
        raise RecipeError(f"{where}: not readable as YAML: {cause}") from error


@contextmanager
def following(path: str | PathLike[str]) -> Iterator[None]:
    """Puts the recipe's path before what is found wrong with it once its models are known.

    (What can be seen in the recipe alone is refused by ``Recipe.read``, under the same path.)
    """
    try:
        yield
    except (RecipeError, VocabularyError) as error:
        raise type(error)(f"{path}: {error}") from error


def complaint(error: ValidationError, where: str) -> RecipeError:
    """The first thing wrong with a tree, as our own error: where it stands, and what it is."""
    first = error.errors(include_url=False)[0]
    steps = [step for step in map(str, first["loc"]) if not step.startswith((form(""), "[key]"))]
    path = ".".join([where, *steps])
    found = shown(first["input"])
    if first["type"] == "value_error":
        return RecipeError(f"{path}: {first['ctx']['error']}")
    if first["type"] == "missing":
        return RecipeError(f"{path}: missing; a value is needed here")
    if first["type"] in _EXPECTED:
        return RecipeError(f"{path}: found {found}; expected {_EXPECTED[first['type']]}")
    expected = first["msg"].replace("Input should be", "expected a value")
    return RecipeError(f"{path}: found {found}; {expected}")


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise yaml.MarkedYAMLError(
                problem="lists and mappings nested too deeply",
                problem_mark=event.start_mark,  # type: ignore[arg-type]  # libyaml has its own
            )


def _refuse_twins(node: yaml.Node | None, seen: set[int]) -> None:
    """Raises MarkedYAMLError at a key that stands twice in a mapping, here or below."""
    if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
        return
    seen.add(id(node))
    children = node.value
    if isinstance(node, yaml.MappingNode):
        children = [value for _, value in node.value]
        keys = set()
        for key, _ in node.value:
            if (name := (key.tag, str(key.value))) in keys:
                raise yaml.MarkedYAMLError(
                    problem=f"the key '{key.value}' stands twice", problem_mark=key.start_mark
                )
            keys.add(name)
    for child in children:
        _refuse_twins(child, seen)


def _place(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"


def _problem(error: yaml.MarkedYAMLError) -> str:
    return ", ".join(part for part in (error.context, error.problem) if part)
