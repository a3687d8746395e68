"""Connectors on a development registry: what the tests of the hooks and pipelines stand on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, cast

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, Message

from csfle_fast.connect import SinkHook, SourceHook
from csfle_fast.dev import DevRegistry
from incumbent import SECRET
from worlds import World

Headers = list[tuple[str, bytes | None]]

#: Timestamp of the messages, milliseconds since 1970.
STAMP = 1_700_000_000_123


class ConnectWorld(World):
    """A registry, and hooks on it that are closed at the end of the test."""

    def __init__(self, http: DevRegistry, stack: ExitStack) -> None:
        super().__init__(http, stack)
        self._hooks = stack

    def config(self, **properties: object) -> dict[str, object]:
        """Properties with encryption on; ``_`` in the names of ``properties`` stands for ``.``."""
        basis = {
            "name": "tests",
            "csfle.enabled": "true",
            "value.converter.schema.registry.url": self.http.url,
            "rule.executors._default_.param.secret": SECRET,
        }
        return basis | {name.replace("_", "."): value for name, value in properties.items()}

    def source(self, config: Mapping[str, object] | None = None, **properties: object) -> SourceHook:
        """A cold source."""
        return self._hooks.enter_context(SourceHook({**self.config(**properties), **(config or {})}))

    def sink(self, config: Mapping[str, object] | None = None, **properties: object) -> SinkHook:
        """A cold sink."""
        return self._hooks.enter_context(SinkHook({**self.config(**properties), **(config or {})}))


def message(
    value: bytes | None,
    key: bytes | None = None,
    *,
    topic: str = "t",
    offset: int = 0,
    headers: Headers | None = None,
    **more: Any,
) -> Message[bytes, bytes]:
    """A message as it would be consumed."""
    return Message(
        topic=topic,
        partition=more.pop("partition", 0),
        offset=offset,
        key=key,
        value=value,
        headers=cast(Any, headers),
        timestamp=more.pop("timestamp", (TIMESTAMP_CREATE_TIME, STAMP)),
        **more,
    )


def messages(values: Sequence[bytes | None], **more: Any) -> list[Message[bytes, bytes]]:
    """Messages with these values, at rising offsets."""
    return [message(value, offset=offset, **more) for offset, value in enumerate(values)]


def tampered(frame: bytes | None) -> bytes:
    """The frame with one bit of its last byte but one changed: ciphertext of a trailing bytes field."""
    assert frame is not None
    changed = bytearray(frame)
    changed[-2] ^= 1
    return bytes(changed)


@pytest.fixture
def connect() -> Iterator[ConnectWorld]:
    with ExitStack() as stack:
        yield ConnectWorld(stack.enter_context(DevRegistry(secret=SECRET)), stack)
