"""The text of an Avro schema: checked by Java's rules, and written in one way.

White space never makes a new schema. With ``normalize``, neither does the order of
attributes. Names are not rewritten.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from csfle_fast._core import Schema
from csfle_fast.dev.refusal import Refusal
from csfle_fast.errors import SchemaError

__all__ = ["canonical_text", "check_avro"]

_FIRST = ("type", "name", "namespace", "doc", "fields", "symbols", "items", "values", "size")
_PLAIN = frozenset({"default", "aliases", "symbols"})


def canonical_text(text: str, *, normalize: bool = False) -> str:
    """``text`` without insignificant white space; with ``normalize`` in a fixed attribute order.

    Raises:
        Refusal: 422/42201, not JSON.
    """
    try:
        schema = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise Refusal(422, 42201, "Invalid schema: the text is not JSON") from None
    if normalize:
        schema = _ordered(schema)
    return json.dumps(schema, separators=(",", ":"), ensure_ascii=False)


def check_avro(text: str, references: Sequence[str]) -> None:
    """Refuse a schema that Java's Avro would refuse, given the texts that it refers to.

    Raises:
        Refusal: 422/42201, with the reason.
    """
    try:
        Schema(text, references)
    except SchemaError as error:
        raise Refusal(422, 42201, f"Invalid schema: {error.message}") from None


def _ordered(node: Any) -> Any:
    if isinstance(node, list):
        return [_ordered(item) for item in node]
    if not isinstance(node, dict):
        return node
    known = [key for key in _FIRST if key in node]
    others = sorted(key for key in node if key not in _FIRST)
    return {key: node[key] if key in _PLAIN else _ordered(node[key]) for key in (*known, *others)}


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
