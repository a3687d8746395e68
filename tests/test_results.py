"""What a call gives back: values, errors in row order, raise_for_errors."""

from __future__ import annotations

import copy
import pickle
import traceback

import pytest

from csfle_fast import CsfleError, Result, RowError
from incumbent import KEK
from worlds import FLAT, World, flat, framed, rule, world

__all__ = ["world"]  # a fixture


def test_errors_stand_in_row_order_whatever_found_them(world: World) -> None:
    world.put(FLAT, rule())
    engine = world.engine()
    rows = [flat(0), {"no": "fit"}, flat(2), {"id": 1, "v": "\ud800", "note": "", "w": None}, flat(4), 7]
    result = engine.serialize("t", rows)
    assert [error.row for error in result.errors] == [1, 3, 5]
    assert [value is None for value in result.values] == [False, True, False, True, False, True]
    frames = [f or b"\x09" for f in result.values]
    frames[2] = (frames[2] or b"")[:-1] + b"\x07"  # a union index that names no branch
    read = engine.deserialize("t", [framed(999, b""), *frames])
    assert [error.row for error in read.errors] == [0, 2, 3, 4, 6]
    assert [value is None for value in read.values] == [True, False, True, True, True, False, True]


class TestRaising:
    def test_nothing_where_all_is_well(self) -> None:
        Result([b""], []).raise_for_errors()

    def test_the_first_error_with_a_note_on_the_others(self) -> None:
        errors = [
            RowError(2, "a.b", "not_ciphertext", "why"),
            RowError(5, None, "truncated", "why"),
            RowError(6, None, "x", "y"),
        ]
        result = Result([None] * 7, errors)
        for _ in range(2):  # a second time says it once
            with pytest.raises(RowError) as caught:
                result.raise_for_errors()
            assert caught.value is errors[0]
            assert caught.value.__notes__ == ["2 more rows of the batch failed"]

    def test_one_error_alone_has_no_note(self) -> None:
        with pytest.raises(CsfleError, match="row 2, field a: why") as caught:
            Result([None], [RowError(2, "a", "code", "why")]).raise_for_errors()
        assert not hasattr(caught.value, "__notes__")
        assert "code" in "".join(traceback.format_exception(caught.value))


def test_a_row_error_tells_row_field_code_message_and_offset(world: World) -> None:
    registered = world.put(FLAT, rule())
    [error] = world.engine().decrypt("t", [framed(registered.id, b"\x02\x08")]).errors
    assert (error.row, error.field, error.code) == (0, "v", "truncated")
    assert isinstance(error.offset, int)
    assert "row 0" in error.message


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301
def test_row_errors_survive_processes(again: object) -> None:
    for error in (RowError(2, "a", "code", "x: why", 7), RowError(0, None, "code", "why")):
        other = again(error)  # type: ignore[operator]
        assert (other.row, other.field, other.code, other.message, other.offset, str(other)) == (
            error.row, error.field, error.code, error.message, error.offset, str(error),
        )  # fmt: skip


def test_repr_counts_and_shows_no_value(world: World) -> None:
    world.put(FLAT, rule())
    engine = world.engine()
    result = engine.serialize("t", [flat(1), 7])
    assert repr(result) == "Result(2 rows, 1 failed)"
    packed = engine.encrypt("t", (b"", memoryview(bytes(16)).cast("q")))
    assert repr(packed) == "Result(1 rows, 1 failed)"
    assert KEK not in repr(result)
