"""KMS drivers of the tests' own, in this process for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from csfle_fast.kms import KmsDriver, register_driver, unregister_driver

__all__ = ["registered"]

D = TypeVar("D", bound=KmsDriver)


@contextmanager
def registered(driver: D) -> Iterator[D]:
    """The driver, used for its scheme before any other."""
    register_driver(driver)
    try:
        yield driver
    finally:
        unregister_driver(driver.scheme)
