"""A development registry of its own for each test, and a plain HTTP client to it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2 as httpx
import pytest

from csfle_fast.dev import DevRegistry
from dev.samples import SECRET


@pytest.fixture
def registry() -> Iterator[DevRegistry]:
    with DevRegistry(secret=SECRET) as running:
        yield running


@pytest.fixture
def http(registry: DevRegistry) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=registry.url) as client:
        yield client
