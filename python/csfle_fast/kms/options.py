"""Reading a driver's options: from its configuration, else from the environment.

Names that begin with ``kms.`` are this package's own. They say where and how a KMS is called, so they are
taken from the program's ``rule_conf`` alone: what a registry stores with a KEK (kmsProps) cannot set them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from csfle_fast.errors import KmsError

__all__ = ["ATTEMPTS", "OWN_PREFIX", "TIMEOUT", "attempts", "flag", "text", "timeout_sec"]

OWN_PREFIX = "kms."
#: Seconds that one call of a KMS may take, each for connecting and for the answer.
TIMEOUT = "kms.timeout.sec"
#: How often a call is made in all, where the KMS throttles or has a fault of its own.
ATTEMPTS = "kms.max.attempts"
_DEFAULT_ATTEMPTS = 4
_MAX_ATTEMPTS = 10
_DEFAULT_TIMEOUT_SEC = 5.0
_MAX_TIMEOUT_SEC = 300.0


def text(conf: Mapping[str, object], name: str, variable: str | None = None) -> str | None:
    """The option ``name``, else the environment variable; an empty text counts as none.

    Raises:
        KmsError: bad_kms_option, it is not text.
    """
    value = conf.get(name)
    if value is None and variable is not None:
        value = os.environ.get(variable)
    if value is not None and not isinstance(value, str):
        raise KmsError("bad_kms_option", f"option {name} must be text")
    return value or None


def flag(conf: Mapping[str, object], name: str) -> bool:
    """The option ``name`` as true or false (a bool, or that text in any case); false where it is absent.

    Raises:
        KmsError: bad_kms_option, it is neither.
    """
    value = conf.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise KmsError("bad_kms_option", f"option {name} must be true or false")


def timeout_sec(conf: Mapping[str, object]) -> float:
    """``kms.timeout.sec``: above 0, at most 300; 5 where it is absent.

    Raises:
        KmsError: bad_kms_option.
    """
    value: Any = conf.get(TIMEOUT, _DEFAULT_TIMEOUT_SEC)
    try:
        seconds = float(value) if _is_number_or_text(value, float) else float("nan")
    except (ValueError, OverflowError):
        seconds = float("nan")
    if not 0 < seconds <= _MAX_TIMEOUT_SEC:  # also refuses NaN
        raise KmsError("bad_kms_option", f"option {TIMEOUT} must be a number above 0, at most 300")
    return seconds


def attempts(conf: Mapping[str, object]) -> int:
    """``kms.max.attempts``: 1 to 10; 4 where it is absent.

    Raises:
        KmsError: bad_kms_option.
    """
    value: Any = conf.get(ATTEMPTS, _DEFAULT_ATTEMPTS)
    try:
        number = int(value) if _is_number_or_text(value, int) else 0
    except ValueError:
        number = 0
    if not 1 <= number <= _MAX_ATTEMPTS:
        raise KmsError("bad_kms_option", f"option {ATTEMPTS} must be a number from 1 to {_MAX_ATTEMPTS}")
    return number


def _is_number_or_text(value: object, number: type[int | float]) -> bool:
    return isinstance(value, str | int | number) and not isinstance(value, bool)
