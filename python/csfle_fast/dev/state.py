"""Where the stores keep their records: nowhere but in memory, or in a file too (``state_file``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

__all__ = ["Key", "State"]

_T = TypeVar("_T")

#: What a record is called: its table, then what identifies it there.
Key: TypeAlias = tuple[str, ...]


class State:
    """Forgets everything with the process.

    Stores hand over each change before they make it themselves, while they hold their lock: what is
    refused here has not happened, and nobody sees what could still be lost.
    """

    @property
    def closed(self) -> bool:
        """Whether ``save`` is over for good."""
        return False

    def records(self, table: str, read: Callable[[Key, Any], _T]) -> list[_T]:
        """What was saved of one table, in the order in which it came in.

        Args:
            table: first part of the keys.
            read: makes a store's own thing of a key and its JSON value.

        Raises:
            ConfigError: a record cannot be read.
        """
        return []

    def save(self, changes: Mapping[Key, Any]) -> None:
        """Keep some records, all or none of them.

        Args:
            changes: JSON values by key; None removes the record.

        Raises:
            OSError: they cannot be written; then they are not kept.
            RuntimeError: it is closed.
        """

    def close(self) -> None:
        """Let go of what is open. Closing twice is no error."""
