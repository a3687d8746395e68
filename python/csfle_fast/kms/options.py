"""Reading a driver's options: from its configuration, else from the environment.

Names that begin with ``kms.`` are this package's own. They say where and how a KMS is called, so they are
taken from the program's ``rule_conf`` alone: what a registry stores with a KEK (kmsProps) cannot set them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from csfle_fast.errors import KmsError

__all__ = ["OWN_PREFIX", "TIMEOUT", "flag", "text", "timeout_sec"]

OWN_PREFIX = "kms."
#: Seconds that one call of a KMS may take, each for connecting and for the answer.
TIMEOUT = "kms.timeout.sec"
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
    value = conf.get(TIMEOUT, _DEFAULT_TIMEOUT_SEC)
    try:
        seconds = float(value) if isinstance(value, str | int | float) else float("nan")
    except ValueError:
        seconds = float("nan")
    if not 0 < seconds <= _MAX_TIMEOUT_SEC:  # also refuses NaN
        raise KmsError("bad_kms_option", f"option {TIMEOUT} must be a number above 0, at most 300")
    return seconds
