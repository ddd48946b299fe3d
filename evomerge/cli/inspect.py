"""``evomerge inspect``: what is in a model, or what a recipe will make and whether it can."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from evomerge.cli.adapters_shown import of_adapters as adapters_shown
from evomerge.cli.layers_asked import Asked
from evomerge.cli.match_asked import Pair
from evomerge.cli.quantities import count_in_words, in_words
from evomerge.cli.scoring import lm_eval_keys
from evomerge.cli.tables import Form, table
from evomerge.errors import EvaluationError, MergeError
from evomerge.inspection import (
    Applied,
    Contents,
    ModelFacts,
    OutputFacts,
    RecipeFacts,
    SliceFacts,
    Unreadable,
    inspect_model,
    inspect_recipe,
)
from evomerge.inspection.adapters import AdaptersFacts, inspect_adapters
from evomerge.recipe import ModelReference
from evomerge.recipe.adapters import is_of_adapters
from evomerge.recipe.reading import load_yaml, read_text

RECIPES = (".yaml", ".yml")
MODEL_COLUMNS = (
    "model", "family", "layers", "parameters", "size", "dtype", "head", "tokens", "adapter"
)  # fmt: skip
NUMBERS = ("layers", "parameters", "size", "tokens", "tensors")


def inspect(  # noqa: PLR0913, PLR0917  the signature is the command line
    what: Annotated[
        str,
        Argument(
            metavar="MODEL|RECIPE",
            help="A model folder, a Hugging Face id, MODEL+ADAPTER, or a recipe (.yaml, .yml).",
            show_default=False,
        ),
    ],
    other: Annotated[str | None, Argument(help="With --match, the second model.")] = None,
    layers: Annotated[
        bool, Option("--layers", help="Run it: what do its layers do? How do they fit?")
    ] = False,
    against: Annotated[
        str | None, Option(metavar="MODEL", help="Another model, to compare streams with.")
    ] = None,
    match: Annotated[bool, Option("--match", help="Run two: do units do the same?")] = False,
    base: Annotated[str | None, Option(metavar="MODEL", help="What both are made from.")] = None,
    tokens: Annotated[int | None, Option(help="To read with --match; 2048 by default.")] = None,
    points: Annotated[int | None, Option(help="Of the line of --match; 5 by default.")] = None,
    tasks: Annotated[
        str, Option(help="Tasks of lm-eval or of --include-path, separated by commas.")
    ] = "",
    include_path: Annotated[
        list[Path] | None, Option(help="A folder with further task files. May be repeated.")
    ] = None,
    limit: Annotated[
        float | None, Option(help="Only so many documents of each task; below 1, that share.")
    ] = None,
    evaluator: Annotated[
        list[str] | None,
        Option(metavar="FILE.PY:FUNCTION", help="A scoring function. May be repeated."),
    ] = None,
    text: Annotated[
        Path | None,
        Option(metavar="FILE", help="Text or JSONL to read; by default what comes with Python."),
    ] = None,
    picture: Annotated[Path | None, Option(metavar="PNG", help="Draw it here, too.")] = None,
    device: Annotated[str, Option(help="Where to run it: auto, cpu, cuda, …")] = "auto",
    form: Annotated[Form, Option(help="What to write on standard output.")] = Form.text,
) -> None:
    """Shows what is in a model, or what a recipe will make and whether it can be merged.

    Reads headers and configs, no weights. Ends with exit code 2 for a recipe that cannot be
    merged, and with the message that the merge would end with.

    With --layers it runs the model: its score without each layer, by --tasks, --evaluator or the
    bits per byte of the text; and how alike its streams are. Of a recipe, it shows the seams.

    With --match it runs two models, and says which units of the one do what units of the other do,
    how few of the one say what one of the other does, and what their averages score.
    """
    lm_eval = lm_eval_keys(tasks, include_path, limit)
    asked = Asked(against, lm_eval, evaluator or [], text, picture, device, form)
    pair = Pair(other, base, tokens, points)
    if match:
        _compare(what, pair, asked, layers=layers)
        return
    pair.check_for_one()
    (_look if layers else _read)(what, asked)


def _compare(what: str, pair: Pair, asked: Asked, *, layers: bool) -> None:
    """Runs two models."""
    from evomerge.cli.match import look_at_pair

    if layers:
        raise EvaluationError("--match: looks at two models, --layers at one; leave one out")
    if pair.other is None:
        raise EvaluationError("--match: compares two models; name a second one behind the first")
    for name in (what, pair.other):
        if _is_recipe(name):
            raise EvaluationError(f"{name}: is a recipe; --match compares models: merge it first")
    asked.check_for_pair()
    look_at_pair(what, pair.other, pair, asked)


def _look(what: str, asked: Asked) -> None:
    """Runs models."""
    from evomerge.cli import layers

    if _is_recipe(what):
        asked.check_for_stack()
        layers.look_at_recipe(Path(what), asked)
    else:
        layers.look_at_model(what, asked)


def _read(what: str, asked: Asked) -> None:
    """Reads headers."""
    asked.check_for_headers()
    if _is_recipe(what):
        facts, blocks = _of_recipe(Path(what))
        fields = asdict(facts) | {"mergeable": facts.reason is None}
        sys.stdout.write(_json(fields) if asked.form is Form.json else "\n".join(blocks))
        if facts.reason is not None:
            raise MergeError(facts.reason)
        return
    model = inspect_model(ModelReference.of(Path(what) if os.path.isdir(what) else what))
    sys.stdout.write(_json(asdict(model)) if asked.form is Form.json else "\n".join(_model(model)))


def _of_recipe(path: Path) -> tuple[RecipeFacts | AdaptersFacts, Iterator[str]]:
    """A recipe, of models or of adapters, and how it is shown."""
    if is_of_adapters(load_yaml(read_text(path), str(path))):
        of_adapters = inspect_adapters(path)
        return of_adapters, adapters_shown(of_adapters)
    facts = inspect_recipe(path)
    return facts, _recipe(facts)


def _is_recipe(what: str) -> bool:
    return what.endswith(RECIPES) and not os.path.isdir(what)


def _json(fields: Mapping[str, object]) -> str:
    return json.dumps(fields, indent=2, default=str) + "\n"


def _model(facts: ModelFacts) -> Iterator[str]:
    """A model in blocks of text."""
    contents = facts.contents
    entries = [
        ("family", f"{facts.family} ({facts.architecture})"),
        ("folder", str(facts.folder)),
        *_summary(contents),
    ]
    if facts.adapter is not None:
        entries.append(("adapter", _adapter(facts)))
    if facts.quantised is not None:
        entries.append(("quantised", f"{facts.quantised}: it cannot be merged"))
    yield table((facts.name, ""), entries)
    columns = ("group", "tensors", "parameters", "size")
    yield table(columns, _groups(contents), numbers=NUMBERS)


def _recipe(facts: RecipeFacts) -> Iterator[str]:
    """A recipe in blocks of text."""
    rows = [_row(model, facts.base) for model in facts.models]
    adapters = any(row[-1] for row in rows)
    columns = MODEL_COLUMNS if adapters else MODEL_COLUMNS[:-1]
    yield table(columns, [row[: len(columns)] for row in rows], numbers=NUMBERS)
    for model in facts.models:
        if isinstance(model, Unreadable) and model.reason != facts.reason:
            yield f"{model.reason}\n"
    if facts.output is None:
        return
    output = facts.output
    yield table((f"{facts.recipe}: {facts.method}", ""), _summary(output.contents))
    whole = len(output.slices) == 1 and all(first == 0 for _, first, _ in output.slices[0].sources)
    if not whole:
        yield table(("layers", "from"), [_slice(part) for part in output.slices])
    yield _by_group(output)
    if defaults := sorted({_default(one) for one in output.applied if not one.given}):
        yield f"Not in the recipe, so: {', '.join(defaults)}\n"
    yield f"{facts.recipe} can be merged.\n"


def _summary(contents: Contents) -> list[tuple[str, str]]:
    return [
        ("layers", str(contents.layers)),
        ("parameters", count_in_words(contents.parameters)),
        ("size", in_words(contents.nbytes)),
        ("dtype", ", ".join(contents.dtypes)),
        ("head", _head(contents)),
        ("vocabulary", f"{contents.vocabulary or 'no'} tokens"),
    ]


def _head(contents: Contents) -> str:
    return "the embedding" if contents.tied else "its own"


def _adapter(facts: ModelFacts) -> str:
    if facts.adapter is None:
        return ""
    return f"rank {facts.adapter.rank} on {facts.adapter.tensors} tensors"


def _groups(contents: Contents) -> Iterator[tuple[str, ...]]:
    for group in contents.groups:
        parameters, size = count_in_words(group.parameters), in_words(group.nbytes)
        yield group.kind, str(group.tensors), parameters, size


def _row(model: ModelFacts | Unreadable, base: str | None) -> list[str]:
    """A line of the table of models."""
    name = f"{model.name} (base)" if model.name == base else model.name
    if isinstance(model, Unreadable):
        return [name, "cannot be used", *[""] * (len(MODEL_COLUMNS) - 2)]
    contents = model.contents
    return [
        name,
        model.family,
        str(contents.layers),
        count_in_words(contents.parameters),
        in_words(contents.nbytes),
        ", ".join(contents.dtypes),
        _head(contents),
        str(contents.vocabulary or ""),
        _adapter(model),
    ]


def _slice(part: SliceFacts) -> tuple[str, str]:
    """Which layers of the output come from which layers of which models."""
    sources = ", ".join(f"{name} {_span(first, end)}" for name, first, end in part.sources)
    return _span(part.first, part.end), sources


def _span(first: int, end: int) -> str:
    if first == end:
        return "none"
    return str(first) if first == end - 1 else f"{first}-{end - 1}"


def _by_group(output: OutputFacts) -> str:
    """A column for each group of tensors; their number and size, and what the recipe sets."""
    groups = output.contents.groups
    headings = ("", *(group.kind for group in groups))
    rows = [
        ["tensors", *(str(group.tensors) for group in groups)],
        ["parameters", *(count_in_words(group.parameters) for group in groups)],
        ["size", *(in_words(group.nbytes) for group in groups)],
    ]
    for one in output.applied:
        if one.given:
            name = " ".join([one.parameter, *([one.model] if one.model is not None else [])])
            rows.append([name, *(_values(one.values.get(group.kind, ())) for group in groups)])
    return table(headings, rows, numbers=headings[1:])


def _default(one: Applied) -> str:
    values = {value for values in one.values.values() for value in values}
    return f"{one.parameter} {_values(sorted(values, key=str))}"


def _values(values: Sequence[object]) -> str:
    """One value, a range of numbers, or some words."""
    words = [_word(value) for value in values]
    numbers = all(isinstance(value, float) for value in values)
    return " to ".join(words) if numbers else ", ".join(words)


def _word(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return f"{value:g}" if isinstance(value, int | float) else str(value)
