"""Which version of a subject has an id: one look-up, or one for each version where there is no other way."""

from __future__ import annotations

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.common.schema_registry_client import SchemaVersion

from csfle_fast.dev import DevRegistry
from csfle_fast.errors import RegistryError
from csfle_fast.registry import Registry
from csfle_fast.settings import Settings
from manual_clock import ManualClock
from registry_world import SUBJECT, client, clock, foreign, http, ours, put, record

__all__ = ["client", "clock", "http", "ours"]  # fixtures


def test_one_look_up_whatever_the_number_of_versions(
    http: DevRegistry, client: SchemaRegistryClient, ours: Registry
) -> None:
    ids = [put(client, record(*"abcde"[: n + 1])) for n in range(5)]
    ours.latest(SUBJECT)
    http.clear_requests()
    member = ours.member(SUBJECT, ids[0])
    assert [r.path for r in http.requests] == [
        f"/schemas/ids/{ids[0]}/versions",
        f"/subjects/{SUBJECT}/versions/1",
    ]
    assert (member.version, member.guid) == (1, client.get_version(SUBJECT, 1).guid)
    http.clear_requests()
    assert ours.member(SUBJECT, ids[0]) is member
    assert ours.member(SUBJECT, ids[-1]) is ours.latest(SUBJECT)
    assert http.requests == []


def test_what_is_no_version_of_the_subject_is_refused_and_remembered(
    http: DevRegistry, client: SchemaRegistryClient, ours: Registry
) -> None:
    put(client, record("a"))
    other = put(client, record("x", name="X"), "other")
    ours.latest(SUBJECT)
    http.clear_requests()
    assert foreign(ours, other)
    assert foreign(ours, 77)
    asked = [f"/schemas/ids/{one}/versions" for one in (other, 77)]
    assert [r.path for r in http.requests] == asked
    assert foreign(ours, other)
    assert foreign(ours, 77)
    assert len(http.requests) == 2


@pytest.mark.parametrize("context", ["", ":.ctx:"])
def test_versions_of_other_subjects_are_not_looked_at(
    client: SchemaRegistryClient, ours: Registry, monkeypatch: pytest.MonkeyPatch, context: str
) -> None:
    subject, other = f"{context}a:b", f"{context}other"
    put(client, record("x"), other)
    put(client, record("y"), other)
    shared = put(client, record("a"), other)
    assert put(client, record("a"), subject) == shared
    put(client, record("a", "b"), subject)
    pairs = [SchemaVersion(other, 3), SchemaVersion(subject, 1)]  # of a registry that does not filter
    monkeypatch.setattr(client, "get_schema_versions", lambda _id, _subject: pairs)
    found = ours.member(subject, shared)
    assert (found.version, found.subject) == (1, subject)


@pytest.mark.parametrize("subject", ["a:b", ":.ctx:a:b"])
def test_the_context_may_stand_in_the_address(http: DevRegistry, clock: ManualClock, subject: str) -> None:
    with SchemaRegistryClient({"url": f"{http.url}/contexts/.ctx"}) as client:
        first = put(client, record("a"), subject)
        put(client, record("a", "b"), subject)
        pairs = client.get_schema_versions(first, subject)
        assert [pair.subject for pair in pairs] == [":.ctx:a:b"]
        assert Registry(client, settings=Settings(), clock=clock).member(subject, first).version == 1


def test_a_registry_without_that_call_is_asked_for_each_version(
    http: DevRegistry, client: SchemaRegistryClient, ours: Registry
) -> None:
    first = put(client, record("a"))
    put(client, record("a", "b"))
    put(client, record("a", "b", "c"))
    http.faults.add("GET", "/schemas/ids/.*/versions", status=404)
    assert ours.member(SUBJECT, first).version == 1
    assert foreign(ours, 77)


def test_a_registry_that_cannot_tell_is_an_error(
    http: DevRegistry, client: SchemaRegistryClient, ours: Registry
) -> None:
    put(client, record("a"))
    http.faults.add("GET", "/versions", status=403)
    with pytest.raises(RegistryError) as caught:
        ours.member(SUBJECT, 77)
    assert caught.value.code == "forbidden"
