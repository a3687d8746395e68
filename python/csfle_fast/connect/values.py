"""Values of connector properties: text or real types to Python types, with errors that quote no value."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from csfle_fast.errors import ConfigError

__all__ = ["Parse", "anything", "boolean", "names", "one_of", "plain", "seconds", "text", "whole"]

#: Checks the value of the property of that name and brings it into its type; raises ConfigError. None is
#: the same as absent.
Parse = Callable[[str, object], Any]


def boolean(name: str, value: object) -> bool:
    """True or false, also as text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise ConfigError(f"{name} must be true or false")


def plain(name: str, value: object) -> str | None:
    """Text as it stands, which may be a secret; numbers and booleans as a properties file has them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return value or None
    raise ConfigError(f"{name} must be text")


def text(name: str, value: object) -> str | None:
    """Text without the space around it."""
    found = plain(name, value)
    return (found.strip() or None) if found is not None else None


def names(name: str, value: object) -> tuple[str, ...]:
    """Names separated by commas, or a list of them."""
    listed = value.split(",") if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or not all(isinstance(item, str) for item in listed):
        raise ConfigError(f"{name} must be names separated by commas")
    return tuple(item.strip() for item in listed if item.strip())


def anything(_name: str, value: object) -> object:
    """Whatever it is: somebody else checks it."""
    return value


def whole(low: int, high: int) -> Parse:
    """A whole number from ``low`` to ``high``."""

    def parse(name: str, value: object) -> int:
        number = _number(name, value, low, high)
        if number != int(number):
            raise ConfigError(f"{name} must be a whole number")
        return int(number)

    return parse


def seconds(low: float, high: float) -> Parse:
    """Seconds, also with a fraction, from ``low`` to ``high``."""
    return lambda name, value: _number(name, value, low, high)


def one_of(choices: dict[str, Any] | tuple[str, ...], fix: str = "") -> Parse:
    """One of some words, whatever their case.

    Args:
        choices: the words, with what each means where that is not the word itself.
        fix: what to do where none of them is wanted, for the end of the message.
    """
    meanings = choices if isinstance(choices, dict) else {choice: choice for choice in choices}
    known = {word.lower(): meaning for word, meaning in meanings.items()}
    reason = f"must be {'one of ' if len(meanings) > 1 else ''}{', '.join(meanings)}"

    def parse(name: str, value: object) -> Any:
        """What the word means; raises ConfigError for another one."""
        found = known.get(value.strip().lower()) if isinstance(value, str) else None
        if found is None:
            raise ConfigError(f"{name} {reason}{fix and ': '}{fix}")
        return found

    return parse


def _number(name: str, value: object, low: float, high: float) -> float:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{name} must be a number")
    if not low <= value <= high:  # also refuses NaN
        raise ConfigError(f"{name} must be from {low:g} to {high:g}")
    return float(value)
