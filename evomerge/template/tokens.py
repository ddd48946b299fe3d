"""The tokenizer of a template: fixed, but for the aliases of models in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from evomerge.recipe.entry import plain
from evomerge.recipe.reading import complaint
from evomerge.recipe.tokenizer import Tokenizer
from evomerge.template.aliases import Aliases
from evomerge.template.fixed import refuse_hole
from evomerge.template.nodes import Constant, Node
from evomerge.template.places import Place


def read_tokenizer(aliases: Aliases, tree: object, place: Place) -> Node:
    """A tokenizer, with aliases replaced; none of it is searched.

    Raises:
        RecipeError: it is none, or a hole stands in it.
    """
    for inner, where in _parts(tree, place):
        refuse_hole(inner, where)
    try:
        return Constant(plain(Tokenizer.model_validate(_with_models(aliases, tree, place))))
    except ValidationError as error:
        raise complaint(error, place.where) from error


def _with_models(aliases: Aliases, tree: object, place: Place) -> object:
    if not isinstance(tree, Mapping):
        return tree
    changed = dict(tree)
    if tree.get("source") not in (None, "union", "base"):
        changed["source"] = aliases.reference(tree["source"], place.key("source"))
    if isinstance(tokens := tree.get("tokens"), Mapping):
        changed["tokens"] = {
            key: _token(aliases, token, place.key("tokens").key(str(key)))
            for key, token in tokens.items()
        }
    return changed


def _token(aliases: Aliases, tree: object, place: Place) -> object:
    """The source of one token, which is a model or a token of one; the rest as it is."""
    if not isinstance(tree, Mapping) or tree.get("source") is None:
        return tree
    source = tree["source"]
    here = place.key("source")
    if not isinstance(source, Mapping) or "kind" not in source:
        return {**tree, "source": aliases.reference(source, here)}
    if source.get("model") is None:
        return tree
    model = aliases.reference(source["model"], here.key("model"))
    return {**tree, "source": {**source, "model": model}}


def _parts(tree: object, place: Place) -> Iterator[tuple[object, Place]]:
    """What could be taken for a hole in a tokenizer, whose tokens have any names."""
    yield tree, place
    if not isinstance(tree, Mapping):
        return
    yield tree.get("source"), place.key("source")
    tokens = tree.get("tokens")
    for key, token in tokens.items() if isinstance(tokens, Mapping) else ():
        inner = place.key("tokens").key(str(key))
        yield token, inner
        if isinstance(token, Mapping):
            yield token.get("source"), inner.key("source")
