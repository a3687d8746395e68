"""Requests to a registry: counted, and every failure a RegistryError without the client's exception."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from csfle_fast.errors import CsfleError, RegistryError
from csfle_fast.registry_errors import Binding, registry_error, status_of

__all__ = ["RegistryRequests"]

T = TypeVar("T")


@dataclass(frozen=True)
class _Refusal:
    error: RegistryError
    status: int | None


class RegistryRequests:
    """The requests that one client makes. Safe to share between threads."""

    def __init__(self) -> None:
        self._made = 0
        self._lock = threading.Lock()

    @property
    def made(self) -> int:
        """Requests so far."""
        return self._made

    def count(self) -> None:
        """Count a request that is made outside ``ask``."""
        with self._lock:
            self._made += 1

    def reset_locks(self) -> None:
        """To be called in a forked child."""
        self._lock = threading.Lock()

    def ask(self, what: str, call: Callable[[], T], needs: Binding | None = None) -> T:
        """What ``call`` returns.

        Args:
            what: what is asked for, as an error names it.
            call: makes one request.
            needs: what the client's principal needs for it.

        Raises:
            RegistryError: the registry refused or cannot be reached.
        """
        answer = self._try(what, call, needs)
        if isinstance(answer, _Refusal):
            raise answer.error
        return answer

    def ask_unless(
        self, status: int, what: str, call: Callable[[], T], needs: Binding | None = None
    ) -> T | None:
        """As ``ask``, but None where the registry refuses with this HTTP status."""
        answer = self._try(what, call, needs)
        if not isinstance(answer, _Refusal):
            return answer
        # A registry that is full says 409 too, and that does not mean that somebody else was first.
        if answer.status == status and answer.error.code != "too_many_keys":
            return None
        raise answer.error

    def _try(self, what: str, call: Callable[[], T], needs: Binding | None) -> T | _Refusal:
        self.count()
        try:
            return call()
        except CsfleError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the client raises becomes a typed error
            # Raised by the caller, so that the foreign exception, which may hold headers or keys,
            # does not hang on it.
            return _Refusal(registry_error(error, what, needs), status_of(error))
