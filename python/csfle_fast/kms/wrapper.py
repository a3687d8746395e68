"""Wrapping and unwrapping DEKs with a KEK: its KMS client, its alternate key ids, and what went wrong."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from csfle_fast.dek_registry import Kek
from csfle_fast.errors import OUTAGE_CODES, KmsError
from csfle_fast.kms.clients import KmsClients
from csfle_fast.kms.driver import KmsClient
from csfle_fast.kms.options import attempts
from csfle_fast.kms.retries import with_retries

__all__ = ["DekWrapper"]

_logger = logging.getLogger(__name__)

_ALTERNATE_IDS = "encrypt.alternate.kms.key.ids"


class DekWrapper:
    """Calls the KMS of a KEK. Safe to share between threads.

    Args:
        conf: rule_conf of the Engine: credentials and options; a KEK's kmsProps come on top, but for
            options of this package, which say where and how a KMS is called.
        size: most KMS clients kept.
        clock: monotonic seconds.
    """

    def __init__(self, conf: Mapping[str, object] | None, *, size: int, clock: Callable[[], float]) -> None:
        self._conf = dict(conf or {})
        self._calls = 0
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._clients = KmsClients(self._conf, size=size, clock=clock)

    @property
    def calls(self) -> int:
        """Calls of a KMS so far, each attempt counted."""
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
            KmsError: with the code of the last key id's failure, or of the first that could not be asked:
                what its driver raised, else kms_failed, or unknown_kms.
        """
        return self._try_all(kek, "unwrap", lambda client: client.unwrap(wrapped))

    def reset_locks(self) -> None:
        """To be called in a forked child, which must not use its parent's connections: it makes its own."""
        self._lock = threading.Lock()
        closed, self._closing = self._closing.is_set(), threading.Event()
        if closed:
            self._closing.set()
        self._clients.reset_locks()

    def close(self) -> None:
        """Close every client, and keep none from now on. A call that waits to be repeated is given up."""
        self._closing.set()
        self._clients.close()

    def _try_all(self, kek: Kek, operation: str, call: Callable[[KmsClient], bytes]) -> bytes:
        """The KEK's own key id first, then each alternate one in order.

        Of the failures the last counts; but one that could not be asked counts more than any that refused,
        because a DEK is wrapped with one of them only, and the others always refuse it.
        """
        failures: list[KmsError] = []
        for key_id in (kek.kms_key_id, *self._alternate_ids(kek)):
            try:
                return self._try_one(kek, key_id, call)
            except KmsError as error:
                failures.append(KmsError(error.code, error.message, error.retry_after))
                # Its frames hold the DEK, and tenacity's hold the error: only the collector would end that.
                error.__traceback__ = None
            except Exception as error:  # noqa: BLE001 - a driver may raise what its SDK raises
                failures.append(KmsError("kms_failed", f"{kek.kms_type} failed ({type(error).__name__})"))
                error.__traceback__ = None
            code = failures[-1].code
            if code == "engine_closed":
                failures = failures[-1:]
                break
            _logger.warning("Kek:%s: %s with key id %s failed (%s)", kek.name, operation, key_id, code)
        failure = next((one for one in failures if one.code in OUTAGE_CODES), failures[-1])
        # Raised out here, so that the SDK's exception, which may quote what was sent, does not hang on it.
        raise KmsError(
            failure.code,
            f"Kek:{kek.name}: {operation} of a DEK failed: {failure.message}",
            failure.retry_after,
        )

    def _try_one(self, kek: Kek, key_id: str, call: Callable[[KmsClient], bytes]) -> bytes:
        def counted() -> bytes:
            with self._lock:
                self._calls += 1
            return call(client)

        with self._clients.use(f"{kek.kms_type}://{key_id}", kek.kms_props) as client:
            return with_retries(counted, attempts(self._conf), self._pause)

    def _pause(self, seconds: float) -> None:
        if self._closing.wait(seconds):
            raise KmsError("engine_closed", "the Engine was closed before the KMS could be asked again")

    def _alternate_ids(self, kek: Kek) -> list[str]:
        listed = kek.kms_props.get(_ALTERNATE_IDS) or self._conf.get(_ALTERNATE_IDS) or ""
        return [key_id.strip() for key_id in str(listed).split(",") if key_id.strip()]
