"""Confluent client-side field level encryption (CSFLE) for Kafka records, fast.

``Engine`` encrypts and decrypts batches of Avro bodies or rows by the rules that the Schema
Registry holds. ``SourceHook`` and ``SinkHook`` put it into connectors, by Confluent's connector
settings; ``csfle_fast.connect`` has more of these. ``tagged_fields`` tells what a schema tags, without
a registry.
"""

from csfle_fast._core import build_info
from csfle_fast.connect import SinkHook, SourceHook
from csfle_fast.engine import Engine
from csfle_fast.errors import (
    BatchError,
    ConfigError,
    CsfleError,
    KeyServiceError,
    KmsError,
    RegistryError,
    RowError,
    RuleSetError,
    SchemaError,
)
from csfle_fast.explain import FieldPlan, tagged_fields
from csfle_fast.results import PackedRows, Result

__all__ = [
    "BatchError",
    "ConfigError",
    "CsfleError",
    "Engine",
    "FieldPlan",
    "KeyServiceError",
    "KmsError",
    "PackedRows",
    "RegistryError",
    "Result",
    "RowError",
    "RuleSetError",
    "SchemaError",
    "SinkHook",
    "SourceHook",
    "build_info",
    "tagged_fields",
]

__version__: str = str(build_info()["version"])
