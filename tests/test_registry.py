"""Promises of the registry that every kind of plug-in uses."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from evomerge.errors import RecipeError
from evomerge.registry import Registry, check_keywords

Plugin = Callable[..., float]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose modules ``apples`` and ``pears`` register themselves when imported."""
    folder = tmp_path / "fruit_plugins"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from evomerge.registry import Registry\n"
        "fruit = Registry('fruit', package='fruit_plugins')\n"
    )
    for module, names in {"apples": ["apples"], "pears": ["pears", "quinces"]}.items():
        lines = [f"fruit.add({name!r}, {name!r} + '!')" for name in names]
        (folder / f"{module}.py").write_text("\n".join(["from fruit_plugins import fruit", *lines]))
    monkeypatch.syspath_prepend(tmp_path)
    yield __import__("fruit_plugins")
    for name in [name for name in sys.modules if name.startswith("fruit_plugins")]:
        del sys.modules[name]


def test_a_look_up_imports_the_module_of_that_name_only(package):
    assert package.fruit["apples"] == "apples!"
    assert "fruit_plugins.pears" not in sys.modules


def test_a_plugin_may_live_in_a_module_of_another_name(package):
    assert "quinces" in package.fruit
    assert package.fruit["quinces"] == "quinces!"


def test_names_are_listed_sorted_and_counted(package):
    assert list(package.fruit) == ["apples", "pears", "quinces"]
    assert len(package.fruit) == 3


def test_an_unknown_name_is_answered_with_the_nearest_and_all_of_them(package):
    with pytest.raises(RecipeError) as error:
        package.fruit.find("aples", "recipe.yaml: fruit")
    assert str(error.value) == (
        "recipe.yaml: fruit: unknown fruit 'aples'; did you mean 'apples'?\n"
        "       available: apples, pears, quinces"
    )


def test_a_module_that_does_not_import_fails_at_every_look_up(package, tmp_path):
    (tmp_path / "fruit_plugins" / "broken.py").write_text("raise OSError('rotten')")
    for _ in range(2):
        with pytest.raises(OSError, match="rotten"):
            list(package.fruit)


def test_a_decorator_registers_and_returns_what_it_decorates():
    registry: Registry[Plugin] = Registry("method")

    @registry.register("half")
    def half(weight: float) -> float:
        return weight / 2

    assert registry["half"] is half
    assert list(registry) == ["half"]


def test_a_name_is_registered_once():
    registry: Registry[str] = Registry("method")
    registry.add("slerp", "one")
    with pytest.raises(ValueError, match="method 'slerp' is registered twice"):
        registry.add("slerp", "another")


def plugin(weight: float, *, density: float = 1.0) -> float:
    return weight * density


@pytest.mark.parametrize("given", [{"weight"}, {"weight", "density"}])
def test_right_keywords_pass(given):
    check_keywords(plugin, given, "recipe")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weight", "densty"}, "unknown key 'densty'; did you mean 'density'?"),
        ({"density"}, "weight missing; it needs weight and takes density, weight"),
    ],
)
def test_wrong_keywords_are_answered_with_the_right_ones(given, message):
    with pytest.raises(RecipeError, match=r"^recipe\.models\.0: ") as error:
        check_keywords(plugin, given, "recipe.models.0")
    assert message in str(error.value)


def test_a_class_is_checked_by_its_constructor():
    class Plug:
        def __init__(self, rate: float) -> None:
            self.rate = rate

    check_keywords(Plug, {"rate"}, "x")
    with pytest.raises(RecipeError, match="available: rate"):
        check_keywords(Plug, {"rats"}, "x")
