"""Versions from a Schema Registry: latest with a real TTL, by id, by GUID, with references."""

from __future__ import annotations

import json
import socket
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from csfle_fast.dev import DevRegistry
from csfle_fast.errors import ConfigError, RegistryError, SchemaError
from csfle_fast.registry import Registry, Version
from csfle_fast.settings import Settings
from manual_clock import ManualClock
from registry_world import SUBJECT, client, clock, foreign, http, ours, put, record

__all__ = ["client", "clock", "http", "ours"]  # fixtures


def put_references(client: SchemaRegistryClient) -> int:
    """A and B both refer to C; the subject's schema refers to A and B."""
    put(client, record("c", name="C"), "c")
    for name in ("A", "B"):
        put(
            client,
            json.dumps({"type": "record", "name": name, "fields": [{"name": "x", "type": "C"}]}),
            name,
            references=[{"name": "C", "subject": "c", "version": 1}],
        )
    return put(
        client,
        json.dumps(
            {
                "type": "record",
                "name": "R",
                "fields": [{"name": "a", "type": "A"}, {"name": "b", "type": "B"}],
            }
        ),
        references=[{"name": n, "subject": n, "version": 1} for n in ("A", "B")],
    )


class TestLatest:
    def test_it_has_schema_metadata_and_rules(self, client: SchemaRegistryClient, ours: Registry) -> None:
        rule = {
            "name": "r",
            "kind": "TRANSFORM",
            "mode": "WRITEREAD",
            "type": "ENCRYPT",
            "tags": ["PII"],
            "params": {"encrypt.kek.name": "k"},
        }
        schema_id = put(
            client,
            record("a"),
            metadata={"tags": {"R.*": ["PII"]}, "properties": {"owner": "me"}},
            ruleSet={"domainRules": [rule]},
        )
        found = ours.latest(SUBJECT)
        assert (found.subject, found.schema_id, found.version) == (SUBJECT, schema_id, 1)
        assert json.loads(found.schema) == json.loads(record("a"))
        assert found.guid is not None
        assert str(uuid.UUID(found.guid)) == found.guid
        assert found.metadata_tags == {"R.*": ("PII",)}
        assert found.metadata_properties == {"owner": "me"}
        assert [r.name for r in found.rule_set.domain] == ["r"]
        assert hash(found) == hash(ours.latest(SUBJECT))

    def test_a_new_version_is_seen_within_the_ttl_with_a_plain_client(
        self, client: SchemaRegistryClient, ours: Registry, clock: ManualClock
    ) -> None:
        put(client, record("a"))
        client.get_latest_version(SUBJECT)  # now their cache holds version 1 for ever
        assert ours.latest(SUBJECT).version == 1
        put(client, record("a", "b"))
        clock.now += 299
        assert ours.latest(SUBJECT).version == 1
        clock.now += 1
        assert client.get_latest_version(SUBJECT).version == 1
        assert ours.latest(SUBJECT).version == 2

    def test_a_version_comes_with_the_end_of_its_own_time(
        self, client: SchemaRegistryClient, ours: Registry, clock: ManualClock
    ) -> None:
        put(client, record("a"))
        end = clock.now + 300
        found, until = ours.latest_until(SUBJECT)
        assert (found.version, until) == (1, end)
        put(client, record("a", "b"))
        clock.now += 100
        assert ours.latest_until(SUBJECT) == (found, end)
        clock.now += 200
        found, until = ours.latest_until(SUBJECT)
        assert (found.version, until) == (2, end + 300)

    def test_it_is_asked_for_once_by_many_threads(
        self, http: DevRegistry, client: SchemaRegistryClient, ours: Registry
    ) -> None:
        put(client, record("a"))
        http.clear_requests()
        http.faults.add("GET", "/subjects/", delay=0.2)
        start = threading.Barrier(8)

        def work() -> Version:
            start.wait(30)
            return ours.latest(SUBJECT)

        with ThreadPoolExecutor(8) as pool:
            found = [pool.submit(work) for _ in range(8)]
            assert len({id(one.result(30)) for one in found}) == 1
        assert len(http.requests) == ours.requests == 1

    def test_after_the_ttl_a_registry_that_is_down_is_an_error(
        self, http: DevRegistry, client: SchemaRegistryClient, ours: Registry, clock: ManualClock
    ) -> None:
        put(client, record("a"))
        ours.latest(SUBJECT)
        http.faults.add("GET", "/subjects/", status=500)
        clock.now += 300
        ours.latest(SUBJECT)  # for stale.if.error.sec
        clock.now += 300
        with pytest.raises(RegistryError) as caught:
            ours.latest(SUBJECT)
        assert caught.value.code == "registry_failed"

    def test_after_the_ttl_a_registry_that_refuses_is_an_error_at_once(
        self, http: DevRegistry, client: SchemaRegistryClient, ours: Registry, clock: ManualClock
    ) -> None:
        put(client, record("a"))
        ours.latest(SUBJECT)
        http.faults.add("GET", "/subjects/", status=403)
        clock.now += 300
        with pytest.raises(RegistryError) as caught:
            ours.latest(SUBJECT)
        assert caught.value.code == "forbidden"

    def test_an_unknown_subject_is_remembered(
        self, http: DevRegistry, ours: Registry, clock: ManualClock
    ) -> None:
        for _ in range(3):
            with pytest.raises(RegistryError, match="nobody") as caught:
                ours.latest("nobody")
            assert caught.value.code == "unknown_subject"
        assert len(http.requests) == 1
        clock.now += 5
        with pytest.raises(RegistryError):
            ours.latest("nobody")
        assert len(http.requests) == 2

    def test_the_mock_client_works_alike(self, clock: ManualClock) -> None:
        mock = SchemaRegistryClient.new_client({"url": f"mock://{uuid.uuid4()}"})
        ours = Registry(mock, settings=Settings(), clock=clock)
        with pytest.raises(RegistryError) as caught:
            ours.latest(SUBJECT)
        assert caught.value.code == "unknown_subject"
        clock.now += 5
        schema_id = put(mock, record("a"))
        newer = put(mock, record("a", "b"))
        assert ours.subject("t") == SUBJECT
        assert ours.latest(SUBJECT).schema_id == newer
        assert ours.by_id(schema_id, SUBJECT).schema == record("a")
        assert ours.member(SUBJECT, schema_id).version == 1
        assert foreign(ours, newer + 1)


class TestByIdAndGuid:
    def test_a_writer_schema_by_id(
        self, http: DevRegistry, client: SchemaRegistryClient, ours: Registry
    ) -> None:
        first = put(client, record("a"))
        put(client, record("a", "b"))
        found = ours.by_id(first, SUBJECT)
        assert json.loads(found.schema) == json.loads(record("a"))
        assert found.schema_id == first
        http.clear_requests()
        assert ours.by_id(first, SUBJECT) is found
        assert http.requests == []

    def test_the_latest_version_is_not_asked_for_again(
        self, http: DevRegistry, client: SchemaRegistryClient, ours: Registry
    ) -> None:
        schema_id = put(client, record("a"))
        latest = ours.latest(SUBJECT)
        assert latest.guid is not None
        http.clear_requests()
        assert ours.by_id(schema_id, SUBJECT) is latest
        assert ours.by_guid(uuid.UUID(latest.guid).bytes, SUBJECT) is latest
        assert http.requests == []

    def test_a_writer_schema_by_guid(self, client: SchemaRegistryClient, ours: Registry) -> None:
        put(client, record("a"))
        guid = client.get_version(SUBJECT, 1).guid
        put(client, record("a", "b"))
        assert guid is not None
        found = ours.by_guid(uuid.UUID(guid).bytes, SUBJECT)
        assert json.loads(found.schema) == json.loads(record("a"))
        assert (found.schema_id, found.guid, found.version) == (None, guid, None)

    def test_ids_from_the_wire_do_not_become_requests(
        self, http: DevRegistry, ours: Registry, clock: ManualClock
    ) -> None:
        for _ in range(20):
            with pytest.raises(RegistryError) as caught:
                ours.by_id(99, SUBJECT)
            assert caught.value.code == "unknown_schema_id"
            with pytest.raises(RegistryError) as caught:
                ours.by_guid(bytes(16), SUBJECT)
            assert caught.value.code == "unknown_schema_guid"
        assert len(http.requests) == 2
        clock.now += 5
        with pytest.raises(RegistryError):
            ours.by_id(99, SUBJECT)
        assert len(http.requests) == 3


class TestReferences:
    def test_they_come_dependencies_first_and_once(
        self, client: SchemaRegistryClient, ours: Registry
    ) -> None:
        schema_id = put_references(client)
        for found in (ours.latest(SUBJECT), ours.by_id(schema_id, SUBJECT)):
            assert [json.loads(text)["name"] for text in found.references] == ["C", "A", "B"]

    def test_a_soft_deleted_reference_still_serves_frames_of_its_time(
        self, http: DevRegistry, client: SchemaRegistryClient, ours: Registry
    ) -> None:
        schema_id = put_references(client)
        for subject in (SUBJECT, "A", "B", "c"):
            http.store.delete_subject(subject)
        assert len(ours.by_id(schema_id, SUBJECT).references) == 3

    def test_a_reference_that_is_gone_is_named(
        self, http: DevRegistry, client: SchemaRegistryClient, clock: ManualClock
    ) -> None:
        put_references(client)
        http.faults.add("GET", "/subjects/c/", status=404)
        with (
            SchemaRegistryClient({"url": http.url}) as cold,
            pytest.raises(RegistryError, match="subject c"),
        ):
            Registry(cold, settings=Settings(), clock=clock).latest(SUBJECT)


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (401, "unauthorized"),
            (403, "forbidden"),
            (422, "rejected"),
            (429, "throttled"),
            (418, "registry_refused"),
            (500, "registry_failed"),
        ],
    )
    def test_each_status_has_its_code_and_the_servers_text_is_left_out(
        self, http: DevRegistry, ours: Registry, status: int, code: str
    ) -> None:
        http.faults.add("GET", "/subjects/", status=status, body={"error_code": 1, "message": "quoted value"})
        with pytest.raises(RegistryError, match=SUBJECT) as caught:
            ours.latest(SUBJECT)
        assert caught.value.code == code
        assert "quoted value" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None

    @pytest.mark.parametrize(
        "answer",
        [
            {"subject": SUBJECT},
            {"id": 1, "version": 1},
            {"id": 1, "schema": "{}", "ruleSet": {"domainRules": [{"name": "r", "mode": "SIDEWAYS"}]}},
            {"id": 1, "schema": "{}", "ruleSet": [1]},
        ],
    )
    def test_an_answer_that_cannot_be_used(
        self, http: DevRegistry, ours: Registry, answer: dict[str, Any]
    ) -> None:
        http.faults.add("GET", "/subjects/", status=200, body=answer)
        with pytest.raises(RegistryError) as caught:
            ours.latest(SUBJECT)
        assert caught.value.code == "bad_answer"

    def test_another_schema_type_is_refused(self, http: DevRegistry, ours: Registry) -> None:
        body = {"id": 1, "version": 1, "schema": "{}", "schemaType": "JSON"}
        http.faults.add("GET", "/subjects/", status=200, body=body)
        with pytest.raises(SchemaError, match="JSON") as caught:
            ours.latest(SUBJECT)
        assert caught.value.code == "not_avro"

    def test_nobody_there(self, clock: ManualClock) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
            client = SchemaRegistryClient(
                {"url": f"http://user:hunter2@127.0.0.1:{taken.getsockname()[1]}", "max.retries": 0}
            )
            with pytest.raises(RegistryError) as caught:
                Registry(client, settings=Settings(), clock=clock).latest(SUBJECT)
        assert caught.value.code == "unreachable"
        assert "hunter2" not in str(caught.value)

    def test_something_else_than_a_client_is_refused(self) -> None:
        with pytest.raises(ConfigError):
            Registry({"url": "http://127.0.0.1"}, settings=Settings())  # type: ignore[arg-type]


def test_the_caches_are_bounded(client: SchemaRegistryClient, clock: ManualClock) -> None:
    ours = Registry(client, settings=Settings.parse({"schema.cache.size": 2}), clock=clock)
    for n in range(5):
        put(client, record("a", name=f"R{n}"), f"s{n}")
        ours.latest(f"s{n}")
    assert len(ours._latest) == 2


def test_after_a_fork_no_lock_is_held(client: SchemaRegistryClient, ours: Registry) -> None:
    put(client, record("a"))
    caches = (ours._latest, ours._by_id, ours._by_guid, ours._members, ours._names._cache)
    for lock in [ours._requests._lock, *(cache._lock for cache in caches)]:
        lock.acquire()
    ours.reset_locks()
    assert ours.latest(ours.subject("t")).version == 1
