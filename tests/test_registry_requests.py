"""Requests to a registry: each counted, each failure typed and without the client's exception."""

from __future__ import annotations

from typing import NoReturn

import pytest
from confluent_kafka.schema_registry.error import SchemaRegistryError

from csfle_fast import RegistryError
from csfle_fast.registry_requests import RegistryRequests


def refused(status: int, number: int = 0, text: str = "no") -> NoReturn:
    raise SchemaRegistryError(status, number, text)


def test_every_call_is_counted_also_those_that_fail() -> None:
    ours = RegistryRequests()
    assert ours.ask("a", lambda: 7) == 7
    assert ours.ask_unless(404, "a", lambda: refused(404)) is None
    with pytest.raises(RegistryError):
        ours.ask("a", lambda: refused(404))
    ours.count()
    assert ours.made == 4


def test_only_that_status_is_no_error() -> None:
    ours = RegistryRequests()
    assert ours.ask_unless(409, "a", lambda: 7) == 7
    assert ours.ask_unless(409, "a", lambda: refused(409)) is None
    with pytest.raises(RegistryError):
        ours.ask_unless(409, "a", lambda: refused(404))


def test_a_failure_without_a_status_is_an_error() -> None:
    def fail() -> NoReturn:
        raise OSError("secret")

    with pytest.raises(RegistryError) as caught:
        RegistryRequests().ask_unless(404, "that", fail)
    assert "that" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_clients_exception_does_not_hang_on_the_error() -> None:
    ours = RegistryRequests()
    with pytest.raises(RegistryError) as asked:
        ours.ask("a", lambda: refused(500))
    with pytest.raises(RegistryError) as unless:
        ours.ask_unless(404, "a", lambda: refused(500))
    for error in (asked.value, unless.value):
        assert error.__cause__ is None
        assert error.__context__ is None


def test_an_error_of_ours_is_passed_on() -> None:
    ours = RegistryError("bad_answer", "as it is")

    def fail() -> NoReturn:
        raise ours

    with pytest.raises(RegistryError) as caught:
        RegistryRequests().ask("a", fail)
    assert caught.value is ours
