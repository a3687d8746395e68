"""Which calls of a KMS are repeated, how often, and after which pauses."""

from __future__ import annotations

import pytest

from csfle_fast.errors import OUTAGE_CODES, KmsError
from csfle_fast.kms.refusal import CAUSES
from csfle_fast.kms.retries import with_retries


@pytest.fixture
def sleeps() -> list[float]:
    """How long calls paused, without the pauses."""
    return []


class Kms:
    """Fails so many times, then answers."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.calls = 0
        self._failures = failures
        self._error = error

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error
        return "answer"


@pytest.mark.parametrize("code", ["kms_throttled", "kms_unavailable"])
def test_throttling_and_faults_are_repeated_with_growing_random_pauses(
    code: str, sleeps: list[float]
) -> None:
    kms = Kms(3, KmsError(code, "later"))
    assert with_retries(kms, attempts=4, pause=sleeps.append) == "answer"
    assert kms.calls == 4
    for bound, pause in zip((0.2, 0.4, 0.8), sleeps, strict=True):
        assert 0 <= pause <= bound


def test_pauses_are_drawn(sleeps: list[float]) -> None:
    for _ in range(20):
        with_retries(Kms(1, KmsError("kms_throttled", "later")), attempts=2, pause=sleeps.append)
    assert len(set(sleeps)) > 10


def test_the_last_failure_is_raised(sleeps: list[float]) -> None:
    kms = Kms(9, KmsError("kms_throttled", "later"))
    with pytest.raises(KmsError, match="later"):
        with_retries(kms, attempts=3, pause=sleeps.append)
    assert (kms.calls, len(sleeps)) == (3, 2)


@pytest.mark.parametrize("code", sorted({*CAUSES, *OUTAGE_CODES} - {"kms_throttled", "kms_unavailable"}))
def test_nothing_else_is_repeated(code: str, sleeps: list[float]) -> None:
    kms = Kms(1, KmsError(code, "no"))
    with pytest.raises(KmsError):
        with_retries(kms, attempts=4, pause=sleeps.append)
    assert (kms.calls, sleeps) == (1, [])


def test_foreign_exceptions_are_not_repeated(sleeps: list[float]) -> None:
    kms = Kms(1, ConnectionResetError())
    with pytest.raises(ConnectionResetError):
        with_retries(kms, attempts=4, pause=sleeps.append)
    assert (kms.calls, sleeps) == (1, [])


def test_a_pause_is_as_long_as_the_kms_asks_for(sleeps: list[float]) -> None:
    assert (
        with_retries(
            Kms(1, KmsError("kms_throttled", "later", retry_after=3.0)), attempts=2, pause=sleeps.append
        )
        == "answer"
    )
    assert 3.0 <= sleeps[0] <= 3.2


def test_a_pause_that_is_too_long_is_left_to_a_later_call(sleeps: list[float]) -> None:
    kms = Kms(1, KmsError("kms_throttled", "later", retry_after=60.0))
    with pytest.raises(KmsError):
        with_retries(kms, attempts=4, pause=sleeps.append)
    assert (kms.calls, sleeps) == (1, [])
