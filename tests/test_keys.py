"""The key service against a registry over HTTP: creation, caches, failures, versions from the wire."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from csfle_fast.errors import CsfleError, KeyServiceError, KmsError, RegistryError
from csfle_fast.keys import KeyService
from csfle_fast.kms.local import LocalKmsClient
from key_world import KEK, SECRET, SUBJECT, KeyWorld, encrypt_rule, key_world

__all__ = ["key_world"]  # a fixture

DAILY = encrypt_rule(expiry_days=1)


def kept(ours: KeyService) -> list[int]:
    """How much there is in each cache of keys and KMS clients."""
    caches = (ours._writers, ours._readers, ours._latest, ours._keks, ours._wrapper._clients)
    return [len(cache) for cache in caches]


class TestCreation:
    def test_a_writer_makes_kek_and_dek_and_a_reader_finds_them(self, key_world: KeyWorld) -> None:
        writer, reader = key_world.service(), key_world.service()
        key = writer.writer_key(encrypt_rule(), SUBJECT).value
        assert (key.version, key.cipher.version, key.cipher.algorithm) == (1, 1, "AES256_GCM")
        assert key_world.http.keks.get(KEK).kms_key_id == "key"
        assert reader.reader_key(encrypt_rule(), SUBJECT).value.cipher.version == 1
        assert reader.latest_version(encrypt_rule(), SUBJECT) == 1

    @pytest.mark.parametrize(
        ("algorithm", "proto"),
        [
            ("AES128_GCM", (b"\x1a\x10", 16)),
            ("AES256_GCM", (b"\x1a\x20", 32)),
            ("AES256_SIV", (b"\x12\x40", 64)),
        ],
    )
    def test_the_wrapped_dek_is_exactly_the_key_proto(
        self, key_world: KeyWorld, algorithm: str, proto: tuple[bytes, int]
    ) -> None:
        key_world.service().writer_key(encrypt_rule(algorithm=algorithm), SUBJECT)
        wrapped = key_world.wrapped(algorithm=algorithm)
        plain = LocalKmsClient(SECRET).unwrap(wrapped)
        assert (plain[:2], len(plain) - 2) == proto

    def test_an_existing_dek_is_used_and_none_is_made(self, key_world: KeyWorld) -> None:
        key_world.service().writer_key(encrypt_rule(), SUBJECT)
        key_world.http.clear_requests()
        key_world.service().writer_key(encrypt_rule(), SUBJECT)
        assert [r.method for r in key_world.http.requests] == ["GET", "GET"]

    @pytest.mark.parametrize("change", [{"kms_type": "aws-kms"}, {"kms_key_id": "other"}])
    def test_the_rule_must_agree_with_the_registry(self, key_world: KeyWorld, change: dict[str, str]) -> None:
        ours = key_world.service()
        ours.writer_key(encrypt_rule(), SUBJECT)
        for call in (ours.writer_key, ours.reader_key):
            with pytest.raises(KeyServiceError) as caught:
                call(encrypt_rule(**change), SUBJECT)
            assert caught.value.code == "kek_mismatch"

    def test_a_reader_makes_nothing(self, key_world: KeyWorld) -> None:
        with pytest.raises(KeyServiceError) as caught:
            key_world.service().reader_key(encrypt_rule(), SUBJECT)
        assert caught.value.code == "no_kek"
        key_world.put_kek()
        with pytest.raises(KeyServiceError) as caught:
            key_world.service().reader_key(encrypt_rule(), SUBJECT)
        assert caught.value.code == "no_dek"
        assert {r.method for r in key_world.http.requests} == {"GET"}

    def test_a_reader_finds_what_was_soft_deleted(self, key_world: KeyWorld) -> None:
        key_world.service().writer_key(encrypt_rule(), SUBJECT)
        key_world.http.deks.delete(KEK, SUBJECT)
        key_world.http.keks.delete(KEK)
        assert key_world.service().reader_key(encrypt_rule(), SUBJECT).value.cipher.version == 1

    def test_a_dek_lost_to_another_writer_is_theirs(self, key_world: KeyWorld) -> None:
        first = key_world.service()
        first.writer_key(encrypt_rule(), SUBJECT)
        key_world.http.faults.add("GET", "/versions/1$", status=404, count=1)
        second = key_world.service()
        assert second.writer_key(encrypt_rule(), SUBJECT).value.version == 1
        assert second.counters()["deks_created"] == 0
        assert key_world.http.deks.versions(KEK, SUBJECT) == [1]

    def test_two_rules_of_one_kek_share_a_dek(self, key_world: KeyWorld) -> None:
        ours = key_world.service()
        one, other = encrypt_rule(), replace(encrypt_rule(), name="other", tags=("OTHER",))
        assert ours.writer_key(one, SUBJECT).value.cipher is ours.writer_key(other, SUBJECT).value.cipher

    def test_the_mock_client_works_alike(self, key_world: KeyWorld) -> None:
        client = key_world.mock_client()
        key = key_world.service(client).writer_key(DAILY, SUBJECT).value
        reader = key_world.service(client)
        assert reader.reader_key(DAILY, SUBJECT, 1).value.cipher.version == key.version == 1


class TestCaches:
    def test_a_warm_service_asks_nobody(self, key_world: KeyWorld) -> None:
        ours = key_world.service()
        for _ in range(2):
            ours.writer_key(encrypt_rule(), SUBJECT)
            ours.reader_key(encrypt_rule(), SUBJECT)
        before, calls = len(key_world.http.requests), ours.counters()["kms_calls"]
        for _ in range(1_000):
            ours.writer_key(encrypt_rule(), SUBJECT)
            ours.reader_key(encrypt_rule(), SUBJECT)
        assert len(key_world.http.requests) == before
        assert ours.counters()["kms_calls"] == calls
        assert ours.counters()["dek_registry_requests"] == before

    def test_after_the_ttl_registry_and_kms_are_asked_again(self, key_world: KeyWorld) -> None:
        ours = key_world.service()
        key = ours.writer_key(encrypt_rule(), SUBJECT)
        assert key.until == key_world.clock.now + 300
        calls = ours.counters()["kms_calls"]
        key_world.clock.now += 300
        again = ours.writer_key(encrypt_rule(), SUBJECT)
        assert ours.counters()["kms_calls"] == calls + 1
        assert again.until == key.until + 300

    def test_in_an_outage_no_key_lasts_beyond_the_entry_of_its_kek(self, key_world: KeyWorld) -> None:
        conf = {"kek.cache.ttl.sec": 10, "dek.cache.ttl.sec": 300, "stale.if.error.sec": 20}
        ours = key_world.service(conf=conf)
        start = key_world.clock.now
        for lease in (ours.writer_key(encrypt_rule(), SUBJECT), ours.reader_key(encrypt_rule(), SUBJECT)):
            assert (lease.until, lease.end) == (start + 10, start + 30)

    def test_a_readers_key_comes_with_the_end_of_its_own_time(self, key_world: KeyWorld) -> None:
        ours = key_world.service()
        ours.writer_key(encrypt_rule(), SUBJECT)
        key_world.clock.now += 300
        key = ours.reader_key(encrypt_rule(), SUBJECT)
        assert (key.renew, key.until) == (key_world.clock.now + 300,) * 2
        key_world.clock.now += 299
        assert ours.reader_key(encrypt_rule(), SUBJECT) == key
        key_world.clock.now += 1
        again = ours.reader_key(encrypt_rule(), SUBJECT)
        assert again.value is not key.value
        assert again.until == key.until + 300

    def test_a_readers_key_ends_with_the_entry_of_its_kek(self, key_world: KeyWorld) -> None:
        key_world.service().writer_key(encrypt_rule(), SUBJECT)
        key_world.service().writer_key(encrypt_rule(), "other-value")
        ours, end = key_world.service(conf={"kek.cache.ttl.sec": 60}), key_world.clock.now + 60
        assert ours.reader_key(encrypt_rule(), SUBJECT).until == end
        key_world.clock.now += 29
        assert ours.reader_key(encrypt_rule(), "other-value").until == end
        key_world.http.keks.put({"name": KEK, "kmsType": "local-kms", "kmsKeyId": "another"})
        key_world.clock.now += 30
        ours.reader_key(encrypt_rule(), "other-value")
        key_world.clock.now += 1
        for subject in (SUBJECT, "other-value"):
            with pytest.raises(KeyServiceError) as caught:
                ours.reader_key(encrypt_rule(), subject)
            assert caught.value.code == "kek_mismatch"

    def test_no_key_outlives_its_ttl_because_the_other_end_loaded_it_late(self, key_world: KeyWorld) -> None:
        ours = key_world.service()
        ours.writer_key(encrypt_rule(), SUBJECT)
        key_world.clock.now += 299
        calls = ours.counters()["kms_calls"]
        ours.reader_key(encrypt_rule(), SUBJECT)  # good for 300 seconds from now, so the KMS is asked now
        assert ours.counters()["kms_calls"] == calls + 1

    def test_a_kek_revoked_in_the_kms_stops_working(self, key_world: KeyWorld) -> None:
        conf = {"secret": SECRET}
        ours = key_world.service(rule_conf=conf)
        ours.writer_key(encrypt_rule(), SUBJECT)
        ours.reader_key(encrypt_rule(), SUBJECT)
        key_world.http.deks.put(
            key_world.http.deks.get(KEK, SUBJECT)
            | {"encryptedKeyMaterial": key_world.wrap(b"\x1a\x20" + bytes(32), secret="another")}
        )
        key_world.clock.now += 300
        for call in (ours.writer_key, ours.reader_key):
            with pytest.raises(KmsError, match=f"Kek:{KEK}") as caught:
                call(encrypt_rule(), SUBJECT)
            assert caught.value.code == "unwrap_refused"

    def test_the_caches_are_bounded(self, key_world: KeyWorld) -> None:
        ours = key_world.service(conf={"dek.cache.size": 3, "kek.cache.size": 2})
        for n in range(6):
            ours.writer_key(replace(encrypt_rule(), kek_name=f"kek{n}"), SUBJECT)
            ours.reader_key(replace(encrypt_rule(), kek_name=f"kek{n}"), SUBJECT)
        assert [len(c) for c in (ours._writers, ours._readers, ours._keks)] == [3, 3, 2]

    def test_threads_that_start_together_make_one_dek(self, key_world: KeyWorld) -> None:
        key_world.http.faults.add("GET", "/deks/", delay=0.2)
        ours, start = key_world.service(), threading.Barrier(8)

        def work() -> Any:
            start.wait(30)
            return ours.writer_key(encrypt_rule(), SUBJECT).value.cipher

        with ThreadPoolExecutor(8) as pool:
            found = [pool.submit(work) for _ in range(8)]
            assert len({id(one.result(30)) for one in found}) == 1
        assert key_world.posts("/deks") == 1
        assert ours.counters()["kms_calls"] == 2

    def test_close_forgets_everything(self, key_world: KeyWorld) -> None:
        ours = key_world.service()
        ours.writer_key(encrypt_rule(), SUBJECT)
        ours.reader_key(encrypt_rule(), SUBJECT)
        ours.close()
        assert kept(ours) == [0] * 5
        assert ours.writer_key(encrypt_rule(), SUBJECT).value.version == 1
        assert kept(ours) == [0] * 5

    @pytest.mark.parametrize("request_name", ["get_kek", "get_dek"])
    @pytest.mark.parametrize("end", ["writer_key", "reader_key"])
    def test_what_is_being_loaded_at_the_close_is_not_kept(
        self, key_world: KeyWorld, monkeypatch: pytest.MonkeyPatch, request_name: str, end: str
    ) -> None:
        key_world.service().writer_key(encrypt_rule(), SUBJECT)
        ours = key_world.service()
        ask = getattr(ours._registry, request_name)

        def closed_meanwhile(*args: Any, **kwargs: Any) -> Any:
            ours.close()
            return ask(*args, **kwargs)

        monkeypatch.setattr(ours._registry, request_name, closed_meanwhile)
        getattr(ours, end)(encrypt_rule(), SUBJECT)
        assert kept(ours) == [0] * 5

    def test_after_a_fork_no_lock_is_held(self, key_world: KeyWorld) -> None:
        ours = key_world.service()
        registry: Any = ours._registry  # whose protocol tells nothing of locks
        holders: tuple[Any, ...] = (
            *(registry._requests, ours._wrapper, ours._keks, ours._deks, ours._deks._counts),
            *(
                ours._writers._cache,
                ours._readers,
                ours._latest,
                ours._keks._cache,
                ours._wrapper._clients._cache,
            ),
        )
        for holder in holders:
            holder._lock.acquire()
        ours.reset_locks()
        assert ours.writer_key(encrypt_rule(), SUBJECT).value.version == 1


class TestFailures:
    def test_a_failure_is_remembered_but_not_long(self, key_world: KeyWorld) -> None:
        ours = key_world.service(conf={"missing.cache.ttl.sec": 10})
        fault = key_world.http.faults.add("GET", "/keks/", status=500)
        for call in (ours.writer_key, ours.reader_key):
            for _ in range(5):
                with pytest.raises(RegistryError) as caught:
                    call(encrypt_rule(), SUBJECT)
                assert caught.value.code == "registry_failed"
        assert fault.hits == 2
        key_world.http.faults.clear()
        key_world.clock.now += 10
        assert ours.writer_key(encrypt_rule(), SUBJECT).value.version == 1

    def test_a_kms_that_refuses_is_not_asked_for_every_batch(self, key_world: KeyWorld) -> None:
        key_world.service().writer_key(encrypt_rule(), SUBJECT)
        ours = key_world.service(rule_conf={"secret": "wrong"})
        for _ in range(5):
            with pytest.raises(KmsError) as caught:
                ours.reader_key(encrypt_rule(), SUBJECT)
            assert caught.value.code == "unwrap_refused"
        assert ours.counters()["kms_calls"] == 1
        key_world.clock.now += 5
        with pytest.raises(KmsError):
            ours.reader_key(encrypt_rule(), SUBJECT)
        assert ours.counters()["kms_calls"] == 2

    def test_without_credentials(self, key_world: KeyWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("LOCAL_SECRET", raising=False)
        with pytest.raises(KmsError, match=f"Kek:{KEK}") as caught:
            key_world.service(rule_conf={}).writer_key(encrypt_rule(), SUBJECT)
        assert caught.value.code == "missing_credentials"

    def test_an_unknown_kms(self, key_world: KeyWorld) -> None:
        with pytest.raises(KmsError) as caught:
            key_world.service().writer_key(encrypt_rule(kms_type="moon-kms"), SUBJECT)
        assert caught.value.code == "unknown_kms"

    @pytest.mark.parametrize(
        ("proto", "code"),
        [
            (b"\x1a\x10" + bytes(16), "wrong_key_length"),
            (b"\x12\x40" + bytes(64), "bad_key_proto"),
            (b"not a proto", "bad_key_proto"),
            (bytes(32), "bad_key_proto"),
        ],
    )
    def test_a_dek_that_is_not_a_key_of_its_algorithm(
        self, key_world: KeyWorld, proto: bytes, code: str
    ) -> None:
        key_world.put_kek()
        key_world.put_dek(proto)
        for call in (key_world.service().writer_key, key_world.service().reader_key):
            with pytest.raises(
                KeyServiceError, match=f"Kek:{KEK}, subject {SUBJECT}, DEK version 1"
            ) as caught:
                call(encrypt_rule(), SUBJECT)
            assert caught.value.code == code
            assert caught.value.__context__ is None

    def test_a_dek_without_material_is_no_dek(self, key_world: KeyWorld) -> None:
        key_world.put_kek()
        body = {"version": 1, "algorithm": "AES256_GCM", "ts": 1}
        key_world.http.faults.add("GET", "/versions/1$", status=200, body=body)
        with pytest.raises(CsfleError) as caught:
            key_world.service().reader_key(encrypt_rule(), SUBJECT)
        assert caught.value.code == "no_dek"

    def test_a_dek_that_exists_and_is_not_there(self, key_world: KeyWorld) -> None:
        """A soft-deleted version 1: creating it again is a conflict, and reading gives nothing."""
        key_world.service().writer_key(encrypt_rule(), SUBJECT)
        key_world.http.deks.delete(KEK, SUBJECT)
        with pytest.raises(KeyServiceError) as caught:
            key_world.service().writer_key(encrypt_rule(), SUBJECT)
        assert caught.value.code == "no_dek"

    @pytest.mark.parametrize(
        ("status", "number", "code"), [(401, 401, "unauthorized"), (403, 403, "forbidden")]
    )
    def test_a_refusal_on_creating_names_the_kek(
        self, key_world: KeyWorld, status: int, number: int, code: str
    ) -> None:
        body = {"error_code": number, "message": "no"}
        key_world.http.faults.add("POST", "/deks/", status=status, body=body)
        with pytest.raises(RegistryError, match=f"subject {SUBJECT} under Kek:{KEK}") as caught:
            key_world.service().writer_key(encrypt_rule(), SUBJECT)
        assert caught.value.code == code

    def test_credentials_are_not_shown(self, key_world: KeyWorld) -> None:
        ours = key_world.service()
        ours.writer_key(encrypt_rule(), SUBJECT)
        assert SECRET not in repr(ours)
        assert SECRET not in repr(ours._wrapper)
