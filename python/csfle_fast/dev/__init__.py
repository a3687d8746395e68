"""The development registry: a Schema Registry with a DEK registry, on loopback.

For tests, demos and laptops. It speaks the HTTP interface that Confluent's clients
speak, so they run against it unmodified; it is not meant for production. Needs the
extra ``csfle-fast[dev]``.

    from csfle_fast.dev import DevRegistry

    with DevRegistry(secret="demo") as registry:
        client = SchemaRegistryClient({"url": registry.url})
"""

from csfle_fast.dev.clock import Clock
from csfle_fast.dev.deks import DekStore
from csfle_fast.dev.faults import Fault, Faults
from csfle_fast.dev.keks import KekStore
from csfle_fast.dev.models import Dek, Kek, SchemaPayload
from csfle_fast.dev.permissions import Permissions
from csfle_fast.dev.refusal import Refusal
from csfle_fast.dev.requests import Request
from csfle_fast.dev.schemas import SchemaStore
from csfle_fast.dev.server import DevRegistry
from csfle_fast.dev.sharing import Kms
from csfle_fast.dev.tls import Tls
from csfle_fast.dev.versions import Registered

__all__ = [
    "Clock",
    "Dek",
    "DekStore",
    "DevRegistry",
    "Fault",
    "Faults",
    "Kek",
    "KekStore",
    "Kms",
    "Permissions",
    "Refusal",
    "Registered",
    "Request",
    "SchemaPayload",
    "SchemaStore",
    "Tls",
]
