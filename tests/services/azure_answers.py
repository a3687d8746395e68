"""What the stand-in for Azure answers: results, refusals in Microsoft's form, and faults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """An HTTP response. Headers may claim another ``Content-Length`` than the body has."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}
    content_type: str = "application/json"


@dataclass
class Fault:
    """What is answered instead of the truth.

    Attributes:
        on: a pattern for host and path of the request: ``kv0.vault.azure.net/keys/k/encrypt``.
        status: 0 holds the true answer back until it is let go; -1 breaks the connection off.
        code: of the error.
        message: of the error.
        inner: code of the inner error.
        headers: more of them.
        body: in place of an error's.
        times: how often; after that the truth is told.
        content_type: of the answer.
    """

    on: str
    status: int
    code: str = "Fault"
    message: str = "A fault of the stand-in."
    inner: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    times: int = 1_000_000
    content_type: str = "application/json"

    def answer(self) -> Answer:
        if self.body is not None:
            return Answer(self.status, self.body, self.headers, self.content_type)
        return refused(self.status, self.code, self.message, self.inner, self.headers)


def result(told: Mapping[str, object], status: int = 200) -> Answer:
    return Answer(status, json.dumps(told).encode())


def refused(
    status: int, code: str, message: str, inner: str | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """An error as Key Vault tells it."""
    told: dict[str, Any] = {"code": code, "message": message}
    if inner is not None:
        told["innererror"] = {"code": inner}
    return Answer(status, json.dumps({"error": told}).encode(), headers or {})


def login_refused(status: int, error: str, number: int, message: str) -> Answer:
    """An error as Entra ID tells it."""
    said = f"AADSTS{number}: {message}"
    return result({"error": error, "error_description": said, "error_codes": [number]}, status)
