"""``evomerge inspect --layers``: what each layer does for a model, and how alike their streams are.

Of a model: its score without each layer and each part of one, and the cosines of its residual
streams, or of its and another's. Of the recipe of a stack: the cosine at each seam.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from evomerge.cli.layers_asked import Asked
from evomerge.cli.layers_shown import of_lesions, of_seams, of_similarity
from evomerge.cli.scoring import evaluators_for, hush_libraries, status_line
from evomerge.cli.tables import Form, Shown
from evomerge.evaluators.base import LoadedModel, Tick
from evomerge.evaluators.texts import read_documents
from evomerge.inspection.grid import check_drawing, draw
from evomerge.inspection.lesions import lesion_study
from evomerge.inspection.seams import route_of, seam_study
from evomerge.inspection.similarity import similarity
from evomerge.merging.plan import plan_merge
from evomerge.merging.stream import check_device
from evomerge.recipe import ModelReference, Recipe
from evomerge.recipe.reading import following
from evomerge.workbench import Settings, Workbench
from evomerge.zoo.text import documents as own_documents

# Without a text, that which Python brings with it: a name for it, in tables and on disk.
OWN_TEXT = "python_reference"

# Bytes of a document of a plain text, as the evaluator of texts has them.
BLOCK = 4096


def look_at_model(name: str, asked: Asked) -> None:
    """Shows the lesions of a model, and the cosines of its streams or between its and another's."""
    with prepared(asked) as (text, documents), ExitStack() as benches, status_line() as show:
        texts = [text] if asked.text or not (asked.lm_eval["task"] or asked.functions) else []
        evaluators = evaluators_for("inspect", asked.lm_eval, asked.functions, texts)
        for evaluator in evaluators:
            evaluator.check()
        one = other = _model(benches, name, asked.device)
        if asked.against is not None:
            other = _model(benches, asked.against, asked.device)
        found = similarity(one, other, documents, tick=ticking(show, "streams"))
        lesions = lesion_study(one, evaluators, tick=ticking(show, "lesions"))
    shown = [*map(of_lesions, lesions), of_similarity(found)]
    fields = {"model": name, "text": text.stem, "lesions": lesions, "similarity": found}
    _answer(asked, shown, fields)


def look_at_recipe(path: Path, asked: Asked) -> None:
    """Shows the seams of a stack.

    Raises:
        RecipeError: it is not the recipe of a stack.
    """
    recipe = Recipe.read(path)
    with prepared(asked) as (text, documents), following(path), status_line() as show:
        route = route_of(plan_merge(recipe))
        with Workbench(recipe.references(), Settings(asked.device)) as bench:

            def build(model: ModelReference | None) -> LoadedModel:
                if model is None:
                    return replace(bench.build(recipe), label=str(path))
                return _whole(bench, model)

            found = seam_study(route, build, documents, tick=ticking(show, "streams"))
    fields = {"recipe": str(path), "text": text.stem, **asdict(found)}
    _answer(asked, [of_seams(str(path), found)], fields)


@contextmanager
def prepared(asked: Asked) -> Iterator[tuple[Path, list[str]]]:
    """The file of the text, and its documents, when all is checked that takes no model."""
    if asked.picture is not None:
        check_drawing(asked.picture, "inspect")
    check_device(Settings(asked.device).chosen_device())
    hush_libraries()
    with TemporaryDirectory(prefix="evomerge-") as folder:
        text = asked.text
        if text is None:
            text = Path(folder) / f"{OWN_TEXT}.jsonl"
            lines = [json.dumps({"text": document}) for document in own_documents("search")]
            text.write_text("\n".join(lines), "utf-8")
        yield text, read_documents(text, field="text", block=BLOCK)


def _model(benches: ExitStack, name: str, device: str) -> LoadedModel:
    """A model in memory, on a workbench of its own."""
    reference = ModelReference.of(Path(name) if os.path.isdir(name) else name)
    bench = benches.enter_context(Workbench([reference], Settings(device)))
    return _whole(bench, reference)


def _whole(bench: Workbench, model: ModelReference) -> LoadedModel:
    """One model of a workbench, with its adapter if it has one."""
    tree = {"merge_method": "passthrough", "models": [{"model": model.written()}]}
    return replace(bench.build(Recipe.from_tree(tree)), label=str(model))


def ticking(show: Callable[[str], None], what: str) -> Tick:
    """Shows ``what``, and how often it was called."""
    batches = count(1)
    return lambda: show(f"{what}  batch {next(batches)}")


def _answer(asked: Asked, shown: Sequence[Shown], fields: Mapping[str, object]) -> None:
    if asked.picture is not None:
        draw([each.figure for each in shown], asked.picture)
    if asked.form is Form.json:
        sys.stdout.write(json.dumps(fields, indent=2, default=asdict) + "\n")
    else:
        sys.stdout.write("\n".join(each.text for each in shown))
