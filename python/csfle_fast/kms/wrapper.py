"""Wrapping and unwrapping DEKs with a KEK: its KMS client, its alternate key ids, and what went wrong."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from csfle_fast.cache import LoadingCache
from csfle_fast.dek_registry import Kek
from csfle_fast.errors import KmsError
from csfle_fast.kms.driver import KmsClient, driver_for

__all__ = ["DekWrapper"]

_logger = logging.getLogger(__name__)

_ALTERNATE_IDS = "encrypt.alternate.kms.key.ids"


class DekWrapper:
    """Calls the KMS of a KEK. Safe to share between threads.

    Args:
        conf: rule_conf of the Engine: credentials and options; a KEK's kmsProps come on top.
        size: most KMS clients kept.
        clock: monotonic seconds.
    """

    def __init__(self, conf: Mapping[str, object] | None, *, size: int, clock: Callable[[], float]) -> None:
        self._conf = dict(conf or {})
        self._calls = 0
        self._lock = threading.Lock()
        # One for each set of credentials: two engines, or two KEKs of one key id, never share by accident.
        self._clients: LoadingCache[tuple[str, tuple[tuple[str, str], ...]], KmsClient] = LoadingCache(
            size=size, ttl=float("inf"), clock=clock
        )

    @property
    def calls(self) -> int:
        """Calls of a KMS so far."""
        with self._lock:
            return self._calls

    def wrap(self, kek: Kek, proto: bytes) -> bytes:
        """Encrypt a serialised DEK.

        Raises:
            KmsError: see ``unwrap``.
        """
        return self._try_all(kek, "wrap", lambda client: client.wrap(proto))

    def unwrap(self, kek: Kek, wrapped: bytes) -> bytes:
        """Decrypt a serialised DEK.

        Raises:
            KmsError: with the code of the last key id's failure: what its driver raised, else kms_failed,
                or unknown_kms.
        """
        return self._try_all(kek, "unwrap", lambda client: client.unwrap(wrapped))

    def reset_locks(self) -> None:
        """To be called in a forked child."""
        self._lock = threading.Lock()
        self._clients.reset_locks()

    def close(self) -> None:
        """Drop every client, and keep none from now on."""
        self._clients.close()

    def _try_all(self, kek: Kek, operation: str, call: Callable[[KmsClient], bytes]) -> bytes:
        """The KEK's own key id first, then each alternate one in order; the last failure counts."""
        failure = KmsError("unknown_kms", "no key id")
        for key_id in (kek.kms_key_id, *self._alternate_ids(kek)):
            try:
                client = self._client(f"{kek.kms_type}://{key_id}", kek.kms_props)
                with self._lock:
                    self._calls += 1
                return call(client)
            except KmsError as error:
                failure = error
            except Exception as error:  # noqa: BLE001 - a driver may raise what its SDK raises
                failure = KmsError("kms_failed", f"{kek.kms_type} failed ({type(error).__name__})")
            _logger.warning(
                "Kek:%s: %s with key id %s failed (%s)", kek.name, operation, key_id, failure.code
            )
        # Raised out here, so that the SDK's exception, which may quote what was sent, does not hang on it.
        raise KmsError(failure.code, f"Kek:{kek.name}: {operation} of a DEK failed: {failure.message}")

    def _client(self, uri: str, kms_props: Mapping[str, str]) -> KmsClient:
        def load() -> KmsClient:
            return driver_for(uri).client(uri, {**self._conf, **kms_props})

        return self._clients.get((uri, tuple(sorted(kms_props.items()))), load)

    def _alternate_ids(self, kek: Kek) -> list[str]:
        listed = kek.kms_props.get(_ALTERNATE_IDS) or self._conf.get(_ALTERNATE_IDS) or ""
        return [key_id.strip() for key_id in str(listed).split(",") if key_id.strip()]
