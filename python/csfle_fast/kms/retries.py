"""Calls of a KMS, repeated where it throttles or has a fault of its own, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from csfle_fast.errors import KmsError

__all__ = ["with_retries"]

T = TypeVar("T")

#: A refusal stays one, and after a time-out the caller has waited long enough.
_WORTH_REPEATING = frozenset({"kms_throttled", "kms_unavailable"})
#: The first wait is drawn below the first number of seconds; the bound doubles up to the second.
_FIRST_WAIT_SEC, _LONGEST_WAIT_SEC = 0.2, 5.0
#: A KMS that asks for a longer pause is taken at its word: the call fails, and is made again by a later load.
_LONGEST_PAUSE_SEC = 10.0

_backoff = wait_random_exponential(multiplier=_FIRST_WAIT_SEC, max=_LONGEST_WAIT_SEC)


def with_retries(call: Callable[[], T], attempts: int, pause: Callable[[float], None]) -> T:
    """What ``call`` gives, made up to so many times, with random waits that grow.

    Args:
        call: one call of a KMS.
        attempts: how often it is made in all.
        pause: waits for so many seconds, never fewer than the KMS asked for; what it raises ends it all.

    Raises:
        KmsError: what the last attempt raised; nothing else is repeated.
    """
    retrying = Retrying(
        stop=stop_after_attempt(attempts),
        wait=_wait,
        retry=retry_if_exception(_is_worth_it),
        sleep=pause,
        reraise=True,
    )
    return retrying(call)


def _is_worth_it(error: BaseException) -> bool:
    return (
        isinstance(error, KmsError)
        and error.code in _WORTH_REPEATING
        and (error.retry_after or 0.0) <= _LONGEST_PAUSE_SEC
    )


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.retry_after if isinstance(error, KmsError) else None
    return (asked or 0.0) + _backoff(state)
