"""A mapping that forgets: what was used longest ago makes room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

Found = TypeVar("Found")


class Recent(Generic[Found]):
    """The results of the latest questions. Any number of threads may ask at once."""

    def __init__(self, capacity: int) -> None:
        """``capacity`` results are kept."""
        self._capacity = capacity
        self._kept: OrderedDict[Hashable, Found] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def get(self, key: Hashable, find: Callable[[], Found]) -> Found:
        """What was kept under ``key``, or else what ``find`` returns, which is then kept.

        Two threads that ask for the same thing at once may both look for it.
        """
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = find()
        with self._lock:
            self._kept[key] = found
            self._kept.move_to_end(key)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return found

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._kept.clear()
