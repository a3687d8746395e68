"""Connector configurations in files: ``.properties`` as Kafka Connect's workers read, and ``.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

import javaproperties

from csfle_fast.errors import ConfigError

__all__ = ["read_properties"]

#: What Connect's REST interface puts beside ``name`` and ``config``; it describes no connector.
_REST_KEYS = frozenset({"name", "config", "tasks", "type", "initial_state"})


def read_properties(path: str | os.PathLike[str]) -> dict[str, object]:
    """The properties in a file, flat, with the values as the file has them.

    Args:
        path: a ``.properties`` file, in Latin-1 with Java's escapes, as Java reads it; or a ``.json``
            file in UTF-8: one flat object, or ``{"name": ..., "config": {...}}`` as Connect's REST
            interface takes and gives it.

    Raises:
        ConfigError: (a ValueError) the file cannot be read, is neither, is not valid, has nested values,
            or gives one property twice with different values. The message names the file, the reason
            and properties, and quotes nothing else of the file.
    """
    file = Path(path)
    parsers: dict[str, Callable[[Path, bytes], dict[str, object]]] = {
        ".properties": _from_properties,
        ".json": _from_json,
    }
    parse = parsers.get(file.suffix.lower())
    if parse is None:
        raise ConfigError(f"{file}: the name of the file must end in .properties or .json")
    return parse(file, _contents(file))


def _contents(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
    raise ConfigError(f"{file}: the file cannot be read ({reason}): check its name and permissions")


def _from_properties(file: Path, contents: bytes) -> dict[str, object]:
    try:
        pairs = javaproperties.loads(contents, object_pairs_hook=list[tuple[str, str]])
    except javaproperties.InvalidUEscapeError:
        pairs = None  # its text quotes the file
    if pairs is None:
        raise ConfigError(
            f"{file}: a \\u is not followed by four hexadecimal digits: write a backslash as \\\\"
        )
    return _without_contradictions(file, pairs)


def _from_json(file: Path, contents: bytes) -> dict[str, object]:
    found = _flat(file, _json(file, contents))
    config = found.get("config")
    if not isinstance(config, _Members):
        _refuse_nested(file, found)
        return found
    for key in found:
        if key not in _REST_KEYS:
            raise ConfigError(f"{file}: {key} stands beside config: move it into config")
    properties = _flat(file, config)
    _refuse_nested(file, properties)
    if found.get("name") is None:
        return properties
    if not isinstance(found["name"], str):
        raise ConfigError(f"{file}: name must be text")
    return _without_contradictions(file, [*properties.items(), ("name", found["name"])])


class _Members(list[tuple[str, object]]):
    """The members of a JSON object, of which two may have one name."""


def _json(file: Path, contents: bytes) -> object:
    try:
        return json.loads(
            contents.decode("utf-8-sig"), object_pairs_hook=_Members, parse_constant=_refuse_constant
        )
    except json.JSONDecodeError as error:
        reason = f"it is not valid JSON at line {error.lineno}, column {error.colno}"
    except UnicodeDecodeError:
        reason = "it is not UTF-8"
    except (ValueError, RecursionError):  # a number out of all bounds, or objects in objects without end
        reason = "it is not valid JSON"
    raise ConfigError(f"{file}: {reason}: correct the file")


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError  # NaN and Infinity are no JSON


def _flat(file: Path, parsed: object) -> dict[str, object]:
    if not isinstance(parsed, _Members):
        raise ConfigError(f"{file}: the file must hold one JSON object of properties")
    return _without_contradictions(file, parsed)


def _without_contradictions(file: Path, pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found and found[name] != value:
            raise ConfigError(f"{file}: {name} is given twice with different values: keep one")
        found[name] = value
    return found


def _refuse_nested(file: Path, properties: dict[str, object]) -> None:
    for name, value in properties.items():
        if isinstance(value, list):  # _Members too
            raise ConfigError(f"{file}: {name} holds an object or a list: give text, a number, true or false")
