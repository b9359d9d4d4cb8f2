"""Named things: tasks, arms, variations, protocols, algorithms."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from envs.errors import UsageError

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """A mapping that refuses a second use of a name and lists the known ones on a miss."""

    def __init__(self, kind: str) -> None:
        """Make an empty registry of things called ``kind`` in messages."""
        self.kind = kind
        self._items: dict[str, T] = {}

    def register(self, name: str, item: T) -> T:
        """Add ``item`` under ``name``; raise ``ValueError`` if the name is taken."""
        if name in self._items:
            raise ValueError(f"{self.kind} {name!r} is registered already")
        self._items[name] = item
        return item

    def __getitem__(self, name: str) -> T:
        """Return the item, or raise ``UsageError`` listing the known names."""
        try:
            return self._items[name]
        except KeyError:
            known = ", ".join(sorted(self._items)) or "none"
            raise UsageError(f"unknown {self.kind} {name!r}; known: {known}") from None

    def __contains__(self, name: object) -> bool:
        """Tell whether ``name`` is registered."""
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names in order of registration."""
        return iter(self._items)

    def __len__(self) -> int:
        """Count the registered names."""
        return len(self._items)
