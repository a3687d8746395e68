"""A flight: everybody goes on when it is over, whatever an interrupt left half done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from csfle_fast.errors import CsfleError
from csfle_fast.flight import AbandonedError, Flight
from csfle_fast.leases import Lease

LEASE = Lease("value", 1.0, 2.0, 3.0)


def test_all_who_wait_are_given_what_it_landed_with() -> None:
    flight: Flight[str] = Flight()
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(flight.wait) for _ in range(8)]
        assert not any(one.done() for one in waiting)
        flight.land(LEASE)
        assert [one.result(10) for one in waiting] == [LEASE] * 8
    assert flight.wait() == LEASE
    assert flight.landed


def test_or_raise_what_it_ended_with() -> None:
    flight: Flight[str] = Flight()
    flight.land(None, CsfleError("no", "no"))
    for _ in range(2):
        with pytest.raises(CsfleError):
            flight.wait()


def test_one_that_was_given_up_says_so() -> None:
    flight: Flight[str] = Flight()
    flight.land(None)
    with pytest.raises(AbandonedError):
        flight.wait()


def test_opening_it_again_is_no_error_and_lets_go_whom_an_interrupt_left_waiting() -> None:
    flight: Flight[str] = Flight()
    flight._lease, flight.landed = LEASE, True  # as far as ``land`` came
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(flight.wait)
        flight.open()
        assert waiting.result(10) == LEASE
    flight.open()
    assert flight.wait() == LEASE
