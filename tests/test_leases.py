"""For how long a value serves: what its users are told of it."""

from __future__ import annotations

import pytest

from csfle_fast.leases import Entry


def entry(**changes: float) -> Entry[str]:
    times = {"loaded": 0.0, "renew": 80.0, "until": 100.0, "end": 150.0} | changes
    failing = bool(times.pop("failing", False))
    return Entry("value", times["loaded"], times["renew"], times["until"], times["end"], failing)


def test_while_it_is_good_it_is_renewed_ahead_of_its_end() -> None:
    assert entry().lease(10.0) == ("value", 80.0, 100.0, 150.0)
    assert entry().served_until == 100.0
    assert entry().age == 100.0


def test_in_an_outage_what_is_built_on_it_lasts_to_the_next_attempt() -> None:
    assert entry(failing=True, renew=125.0).lease(120.0) == ("value", 125.0, 125.0, 150.0)
    assert entry(failing=True).served_until == 150.0


def test_before_its_time_is_over_an_outage_changes_nothing_for_what_is_built_on_it() -> None:
    assert entry(failing=True, renew=95.0).lease(90.0) == ("value", 95.0, 100.0, 150.0)


@pytest.mark.parametrize(("now", "failing"), [(10.0, 0.0), (120.0, 1.0)])
def test_nothing_lasts_beyond_its_end(now: float, failing: float) -> None:
    lease = entry(failing=failing, renew=500.0, until=100.0 if failing else 400.0).lease(now)
    assert (lease.until, lease.end) == (150.0, 150.0)
    assert lease.renew == (150.0 if failing else 400.0)
