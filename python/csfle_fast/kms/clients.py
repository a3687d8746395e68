"""KMS clients: one for each set of credentials, shared between threads, closed when nobody uses it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping

from csfle_fast.cache import LoadingCache
from csfle_fast.kms.driver import KmsClient, driver_for
from csfle_fast.kms.options import OWN_PREFIX

__all__ = ["KmsClients"]

# One for each set of credentials: two engines, or two KEKs of one key id, never share by accident.
_ClientKey = tuple[str, tuple[tuple[str, str], ...]]


class KmsClients:
    """The clients of one Engine. Safe to share between threads.

    Args:
        conf: credentials and options; a KEK's kmsProps come on top, but for options of this package,
            which say where and how a KMS is called.
        size: most clients kept; the least recently used is closed.
        clock: monotonic seconds.
    """

    def __init__(self, conf: Mapping[str, object], *, size: int, clock: Callable[[], float]) -> None:
        self._conf = conf
        self._size = size
        self._clock = clock
        self._closed = False
        self._cache = self._none()
        self._left_behind: list[LoadingCache[_ClientKey, _Shared]] = []

    @contextlib.contextmanager
    def use(self, uri: str, kms_props: Mapping[str, str]) -> Iterator[KmsClient]:
        """The client for a key URI; it is not closed meanwhile.

        Raises:
            KmsError: no driver has that scheme, or the URI or the credentials cannot be used.
        """
        props = {name: value for name, value in kms_props.items() if not name.startswith(OWN_PREFIX)}

        def load() -> _Shared:
            return _Shared(driver_for(uri).client(uri, {**self._conf, **props}))

        key = (uri, tuple(sorted(props.items())))
        shared = self._cache.get(key, load)
        while not shared.enter():  # evicted since
            shared = self._cache.get(key, load)
        try:
            yield shared.client
        finally:
            shared.leave()
            if self._closed:  # meanwhile: nobody else knows of one that was made since
                shared.retire()

    def close(self) -> None:
        """Close every client, one in use behind its last call; keep none from now on."""
        self._closed = True
        for shared in self._cache.close():
            shared.retire()

    def reset_locks(self) -> None:
        """To be called in a forked child, which must not use its parent's connections: it makes its own."""
        self._left_behind.append(self._cache)  # their sockets and threads are the parent's: not closed here
        self._cache = self._none()

    def __len__(self) -> int:
        return len(self._cache)

    def _none(self) -> LoadingCache[_ClientKey, _Shared]:
        return LoadingCache(
            size=self._size, ttl=float("inf"), clock=self._clock, evicted=lambda shared: shared.retire()
        )


class _Shared:
    """A client, and how many use it."""

    def __init__(self, client: KmsClient) -> None:
        self.client = client
        self._lock = threading.Lock()
        self._users = 0
        self._retired = False

    def enter(self) -> bool:
        """Whether it may be used; it is then, up to a ``leave``."""
        with self._lock:
            self._users += not self._retired
            return not self._retired

    def leave(self) -> None:
        """The counterpart of ``enter``."""
        with self._lock:
            self._users -= 1
            last = self._retired and self._users == 0
        if last:
            self._close()

    def retire(self) -> None:
        """Have it closed: now, or by the last that uses it."""
        with self._lock:
            unused = not self._retired and self._users == 0
            self._retired = True
        if unused:
            self._close()

    def _close(self) -> None:
        # What an SDK raises here changes nothing for anybody.
        with contextlib.suppress(Exception):
            self.client.close()
