"""The SDKs of the clouds: imported where they are used, and missed with a word on how to get them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from csfle_fast.errors import KmsError

__all__ = ["from_extra"]


@contextmanager
def from_extra(kms: str, extra: str) -> Iterator[None]:
    """Around a driver's imports of its SDK.

    Args:
        kms: the driver's scheme.
        extra: the extra of this package that installs the SDK.

    Raises:
        KmsError: kms_sdk_missing, it is not installed.
    """
    try:
        yield
    except ImportError as error:
        missing = error.name or type(error).__name__
        raise KmsError(
            "kms_sdk_missing", f"{kms} needs {missing}, which comes with pip install 'csfle-fast[{extra}]'"
        ) from None
