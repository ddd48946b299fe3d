"""Plug-ins by name: a table that fills itself from the modules of one package.

merge_methods: Registry[MethodClass] = Registry("merge method", package="evomerge.methods")

@merge_methods.register("slerp")      # in evomerge/methods/slerp.py
class Slerp: ...

merge_methods["slerp"]                # imports that module only
sorted(merge_methods)                 # imports every module of the package
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from inspect import Parameter, signature
from pkgutil import iter_modules
from typing import Generic, TypeVar

from evomerge.errors import RecipeError, unknown

T = TypeVar("T")


class Registry(Generic[T]):
    """Plug-ins of one kind. Iterating gives their names, sorted.

    Modules of ``package`` are imported when they are first needed: the one called like the
    name that is looked up, or all of them where that does not settle it. A plug-in may thus
    live in any module of the package, and one that lives under its own name starts fastest.
    """

    def __init__(self, what: str, package: str | None = None) -> None:
        """``what`` is the kind in words, for messages: ``"merge method"``."""
        self._what = what
        self._package = package
        self._modules: frozenset[str] | None = None
        self._complete = package is None
        self._plug_ins: dict[str, T] = {}

    def add(self, name: str, plug_in: T) -> T:
        """Enters ``plug_in``; ``ValueError`` if the name is taken by another one."""
        if name in self._plug_ins:
            raise ValueError(f"{self._what} '{name}' is registered twice")
        self._plug_ins[name] = plug_in
        return plug_in

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that enters what it decorates."""
        return lambda plug_in: self.add(name, plug_in)

    def find(self, name: str, where: str = "") -> T:
        """The plug-in called ``name``; ``RecipeError`` beginning with ``where`` if none is."""
        if name not in self:
            raise RecipeError(f"{where}: " * bool(where) + unknown(self._what, name, self))
        return self._plug_ins[name]

    def __getitem__(self, name: str) -> T:
        return self.find(name)

    def __contains__(self, name: str) -> bool:
        if name not in self._plug_ins:
            self._import_module(name)
        if name not in self._plug_ins:
            self._import_all()
        return name in self._plug_ins

    def __iter__(self) -> Iterator[str]:
        self._import_all()
        return iter(sorted(self._plug_ins))

    def __len__(self) -> int:
        self._import_all()
        return len(self._plug_ins)

    def _import_module(self, name: str) -> None:
        if self._package and name in self._module_names(self._package):
            import_module(f"{self._package}.{name}")

    def _import_all(self) -> None:
        if self._complete or self._package is None:
            return
        self._complete = True  # before importing: a module may look others up while it loads
        try:
            for name in sorted(self._module_names(self._package)):
                import_module(f"{self._package}.{name}")
        except BaseException:
            self._complete = False
            raise

    def _module_names(self, package: str) -> frozenset[str]:
        if self._modules is None:
            folders = import_module(package).__path__
            self._modules = frozenset(module.name for module in iter_modules(folders))
        return self._modules


def check_keywords(plug_in: Callable[..., object], given: Iterable[str], where: str) -> None:
    """Refuses keys that ``plug_in`` does not take, and demands those it cannot do without.

    A plug-in's keywords are the keys a user writes in YAML, so the error
    (``RecipeError``, beginning with ``where``) lists them.
    """
    keywords = {
        name: parameter
        for name, parameter in signature(plug_in).parameters.items()
        if parameter.kind in {Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD}
    }
    given = set(given)
    for name in sorted(given - keywords.keys()):
        raise RecipeError(f"{where}: {unknown('key', name, keywords)}")
    needed = {name for name, p in keywords.items() if p.default is Parameter.empty}
    if missing := sorted(needed - given):
        raise RecipeError(
            f"{where}: {', '.join(missing)} missing; "
            f"it needs {', '.join(sorted(needed))} and takes {', '.join(sorted(keywords))}"
        )
