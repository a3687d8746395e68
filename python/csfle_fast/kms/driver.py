"""The driver protocol, and the lookup of a driver by the scheme of a key URI."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, runtime_checkable

from csfle_fast.errors import KmsError
from csfle_fast.kms.confluent import ConfluentDriver, find_confluent_driver

__all__ = [
    "ENTRY_POINT_GROUP",
    "KmsClient",
    "KmsDriver",
    "driver_for",
    "register_driver",
    "unregister_driver",
]

#: Entry points: the name is the scheme, the object a KmsDriver or a callable that makes one.
ENTRY_POINT_GROUP = "csfle_fast.kms"


class KmsClient(Protocol):
    """One KEK in its KMS. Must be safe to share between threads.

    Calls raise KmsError for a refusal that they can name (see ``csfle_fast.kms.refusal`` for the codes);
    any other exception is reported by its type alone, because its text may quote what was sent. A client
    makes one attempt, within ``kms.timeout.sec``: who calls it repeats what is worth it.
    """

    def wrap(self, plaintext: bytes) -> bytes:
        """Encrypt a serialised DEK with the KEK; no associated data."""

    def unwrap(self, ciphertext: bytes) -> bytes:
        """Decrypt what ``wrap`` (of any client of that KEK) returned."""

    def close(self) -> None:
        """Let go of connections and credentials.

        Called once, when no call is under way: the Engine was closed, or had too many clients.
        """


@runtime_checkable
class KmsDriver(Protocol):
    """Makes clients for the key URIs of one scheme."""

    @property
    def scheme(self) -> str:
        """What stands before ``://`` in its key URIs; equals ``encrypt.kms.type``."""

    def client(self, uri: str, conf: Mapping[str, object]) -> KmsClient:
        """A client for one key.

        Args:
            uri: ``<encrypt.kms.type>://<encrypt.kms.key.id>``.
            conf: rule_conf of the Engine, overlaid by the KEK's kmsProps: credentials and options.

        Raises:
            KmsError: the URI or the credentials cannot be used.
        """


# Loaded when first used: a program pays for the KMS that it has.
_BUILT_IN = {
    "local-kms": ("csfle_fast.kms.local", "LocalKmsDriver"),
    "aws-kms": ("csfle_fast.kms.aws", "AwsKmsDriver"),
    "azure-kms": ("csfle_fast.kms.azure", "AzureKmsDriver"),
    "gcp-kms": ("csfle_fast.kms.gcp", "GcpKmsDriver"),
    "hcvault": ("csfle_fast.kms.vault", "VaultDriver"),
}
# Only ever touched by single dict operations, which need no lock that a fork could find held.
_registered: dict[str, KmsDriver] = {}


def register_driver(driver: KmsDriver) -> None:
    """Use ``driver`` for its scheme in this process, before any other; replaces one registered earlier."""
    _registered[driver.scheme] = driver


def unregister_driver(scheme: str) -> None:
    """Undo ``register_driver``; nothing happens when there is none."""
    _registered.pop(scheme, None)


def driver_for(uri: str) -> KmsDriver:
    """The driver for a key URI, in the order that the package's documentation states.

    Raises:
        KmsError: unknown_kms, no driver has that scheme; kms_driver_failed, its entry point does not load.
    """
    scheme, colon, _ = uri.partition("://")
    theirs = find_confluent_driver(uri)
    found = (
        _registered.get(scheme)
        or (theirs if theirs is not None and theirs.by_user else None)
        or _built_in(scheme)
        or _from_entry_point(scheme)
        or theirs
    )
    if not colon or found is None:
        raise KmsError("unknown_kms", f"no KMS driver for the type {scheme!r}")
    return found


@functools.cache
def _built_in(scheme: str) -> KmsDriver | None:
    if scheme not in _BUILT_IN:
        return None
    module, name = _BUILT_IN[scheme]
    driver: KmsDriver = getattr(importlib.import_module(module), name)()
    return driver


@functools.cache
def _entry_points() -> Mapping[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


@functools.cache
def _from_entry_point(scheme: str) -> KmsDriver | None:
    point = _entry_points().get(scheme)
    if point is None:
        return None
    try:
        loaded = point.load()
        driver = loaded if isinstance(loaded, KmsDriver) and not isinstance(loaded, type) else loaded()
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything
        raise KmsError(
            "kms_driver_failed", f"the KMS driver for {scheme!r} cannot be loaded ({type(error).__name__})"
        ) from None
    if not isinstance(driver, KmsDriver):
        raise KmsError("kms_driver_failed", f"the entry point for {scheme!r} is not a KMS driver")
    return driver


# The adapter satisfies the protocol; said here because confluent.py must not import this module.
_: type[KmsDriver] = ConfluentDriver
