"""The latest schemas of topics: rows in files are read and written by them."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any, Self

from csfle_fast.cli.json_rows import JsonRows, Misfit
from csfle_fast.connect.converters import ConverterSettings
from csfle_fast.connect.registry_client import registry_client
from csfle_fast.engine import Engine
from csfle_fast.errors import ConfigError, SchemaError

__all__ = ["LatestSchemas"]


class LatestSchemas:
    """What rows of a topic look like, by the latest schema of its subject; a context manager.

    Args:
        converter: the settings of the values, for the registry.

    Raises:
        ConfigError: rows do not come in the shape of the latest version.
    """

    def __init__(self, converter: ConverterSettings) -> None:
        if not converter.conf.get("use.latest.version"):
            raise ConfigError(
                "use.latest.version: rows are written in the latest version's shape; leave it out"
            )
        self._stack = ExitStack()
        client = registry_client(converter)
        if not str(converter.registry.get("url", "")).startswith("mock://"):  # those are shared
            self._stack.enter_context(client)
        # Who asks again wants an answer of now.
        conf = {**converter.conf, "latest.cache.ttl.sec": 0}
        self._engine = self._stack.enter_context(Engine(client, conf=conf))
        self._shapes: dict[str, tuple[str, JsonRows]] = {}

    def shape(self, topic: str) -> JsonRows:
        """The shape of a topic's rows. It is asked for once.

        Raises:
            CsfleError: the schema cannot be had.
        """
        if topic not in self._shapes:
            self._shapes[topic] = self._load(topic)
        return self._shapes[topic][1]

    def to_json(self, topic: str, row: Any) -> tuple[JsonRows, Any]:
        """A row as JSON, and the shape that it fits: a newer one, where a newer schema came meanwhile.

        Raises:
            Misfit: it does not fit the latest schema either.
            CsfleError: the schema cannot be had.
        """
        shape = self.shape(topic)
        try:
            return shape, shape.to_json(row)
        except Misfit:
            text, newer = self._load(topic)
            if text == self._shapes[topic][0]:
                raise
        self._shapes[topic] = (text, newer)
        return newer, newer.to_json(row)

    def fitting(self, topic: str, row: Any) -> JsonRows:
        """The shape that a row fits; see ``to_json``. All rows of a topic in one batch have the same."""
        return self.to_json(topic, row)[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _load(self, topic: str) -> tuple[str, JsonRows]:
        _, text = self._engine.writer_schema(topic)
        try:
            return text, JsonRows(json.loads(text))
        except Exception as error:  # noqa: BLE001 - whatever fastavro raises becomes a typed error
            reason = type(error).__name__
        raise SchemaError("codec_schema", f"topic {topic}: fastavro cannot use the schema ({reason})")
