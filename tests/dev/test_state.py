from __future__ import annotations

from csfle_fast.dev.state import State


def test_it_keeps_nothing_and_never_closes() -> None:
    state = State()
    state.save({("table", "key"): 1})
    assert state.records("table", lambda key, value: (key, value)) == []
    state.close()
    state.close()
    assert not state.closed
