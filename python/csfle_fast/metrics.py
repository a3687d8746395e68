"""The counters of an Engine: every key of ``Engine.stats()`` with its meaning.

All are plain integers that only grow, counted since the Engine was made, unless they say otherwise.
"""

from __future__ import annotations

from types import MappingProxyType

__all__ = ["DEK_BYTES_PREFIX", "DEK_SEALS_PREFIX", "METRICS"]

METRICS = MappingProxyType(
    {
        "batches": "calls of encrypt, decrypt, serialize and deserialize",
        "rows_encrypted": "rows that became frames",
        "rows_decrypted": "frames that became bodies or rows",
        "rows_failed": "rows that failed, whatever the reason",
        "tombstones": "rows and frames that were None and stayed None",
        "rows_by_fast_codec": "rows that the compiled codec made into bodies, or made of bodies",
        "rows_by_fastavro": "rows that were left to fastavro, both ways, whether they fitted or not",
        "values_sealed": "field values and payloads sealed, once for each rule",
        "values_opened": "field values and payloads opened, once for each rule",
        "values_passed": "tagged values of another type that a union of several types let pass",
        "misses": "schemas and DEK versions that a batch had to wait for",
        "registry_requests": "calls of the Schema Registry client, each of which may cost HTTP requests",
        "dek_registry_requests": "requests to the DEK registry",
        "background_refreshes": "values of a registry or KMS asked for ahead of time, by no batch",
        "failures_bridged": "failures of a registry or KMS in an outage, while older answers served on",
        "kms_calls": "wrap and unwrap calls to a KMS",
        "keks_created": "KEKs registered because a writer found none",
        "deks_created": "DEK versions registered, first ones and rotations",
        "key_cache_hits": "keys that were answered without a request",
        "key_loads": "keys that had to be loaded",
        "provider_fallbacks": "keys that ring works with because the provider many failed its check on them, "
        "or was asked for where the processor has no instructions for AES",
    }
)

#: Keys ``dek_seals/<KEK>/<subject>/<algorithm>/<version>``: values sealed with one DEK version by this
#: Engine. AES-GCM with random nonces is safe for 2^32 of them.
DEK_SEALS_PREFIX = "dek_seals/"
#: Keys ``dek_bytes/<KEK>/<subject>/<algorithm>/<version>``: bytes of text in those values.
DEK_BYTES_PREFIX = "dek_bytes/"
