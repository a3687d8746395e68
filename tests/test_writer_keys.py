"""Keys for writers: rotation by age and by seals, races, the budget of seals."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.rules.encryption.encrypt_executor import Clock

import incumbent
from csfle_fast.errors import KeyServiceError, KmsError, RegistryError
from key_world import KEK, SUBJECT, KeyWorld, encrypt_rule, key_world, spend

__all__ = ["key_world"]  # a fixture

DAILY = encrypt_rule(expiry_days=1)


def versions(world: KeyWorld) -> list[int]:
    return world.http.deks.versions(KEK, SUBJECT)


class TestAge:
    def test_an_expired_dek_is_followed_by_the_next_version(self, key_world: KeyWorld) -> None:
        ours = key_world.service()
        assert ours.writer_key(DAILY, SUBJECT).value.version == 1
        key_world.move_days(1)
        assert ours.writer_key(DAILY, SUBJECT).value.version == 2
        assert versions(key_world) == [1, 2]
        cold = key_world.service()
        assert [cold.reader_key(DAILY, SUBJECT, v).value.cipher.version for v in (1, 2)] == [1, 2]

    def test_a_writers_key_ends_with_the_entry_of_its_kek(self, key_world: KeyWorld) -> None:
        ours = key_world.service(conf={"kek.cache.ttl.sec": 60})
        end = key_world.clock.now + 60
        assert ours.writer_key(encrypt_rule(), SUBJECT).until == end
        key_world.clock.now += 29
        assert ours.writer_key(encrypt_rule(), "other-value").until == end
        key_world.http.keks.put({"name": KEK, "kmsType": "local-kms", "kmsKeyId": "another"})
        key_world.clock.now += 30
        assert ours.writer_key(encrypt_rule(), SUBJECT).value.version == 1
        key_world.clock.now += 1
        for subject in (SUBJECT, "other-value"):
            with pytest.raises(KeyServiceError) as caught:
                ours.writer_key(encrypt_rule(), subject)
            assert caught.value.code == "kek_mismatch"

    def test_a_dek_past_its_age_is_not_kept_beyond_its_ttl(self, key_world: KeyWorld) -> None:
        key_world.service().writer_key(DAILY, SUBJECT)
        key_world.move_days(1)
        key_world.http.faults.add("POST", "/deks/", status=500)
        key = key_world.service(conf={"dek.cache.ttl.sec": 3}).writer_key(DAILY, SUBJECT)
        assert (key.value.provisional, key.until) == (True, key_world.clock.now + 3)

    def test_days_are_counted_whole(self, key_world: KeyWorld) -> None:
        rule = encrypt_rule(expiry_days=2)
        key_world.service().writer_key(rule, SUBJECT)
        made_ms = key_world.http.deks.get(KEK, SUBJECT)["ts"]
        key_world.wall.now = (made_ms + 2 * 86_400_000 - 1) / 1000
        assert key_world.service().writer_key(rule, SUBJECT).value.version == 1
        key_world.wall.now = (made_ms + 2 * 86_400_000) / 1000
        assert key_world.service().writer_key(rule, SUBJECT).value.version == 2

    def test_a_writer_asks_again_when_the_dek_ends_not_when_the_cache_does(self, key_world: KeyWorld) -> None:
        ours = key_world.service()
        ours.writer_key(DAILY, SUBJECT)
        made_s = key_world.http.deks.get(KEK, SUBJECT)["ts"] / 1000
        key_world.wall.now = made_s + 86_400 - 60
        cold = key_world.service()
        assert cold.writer_key(DAILY, SUBJECT).renew == pytest.approx(key_world.clock.now + 60)
        key_world.wall.now += 60
        key_world.clock.now += 60
        assert cold.writer_key(DAILY, SUBJECT).value.version == 2

    def test_a_rule_without_rotation_stays_with_version_1(self, key_world: KeyWorld) -> None:
        key_world.service().writer_key(DAILY, SUBJECT)
        key_world.move_days(1)
        key_world.service().writer_key(DAILY, SUBJECT)
        assert key_world.service().writer_key(encrypt_rule(), SUBJECT).value.version == 1
        assert key_world.service().reader_key(encrypt_rule(), SUBJECT).value.cipher.version == 1


class TestRaces:
    def test_confluent_kafkas_loser_posts_for_every_message_for_ever(self, key_world: KeyWorld) -> None:
        params = incumbent.encrypt_rule()["params"] | {"encrypt.dek.expiry.days": "1"}
        schema = incumbent.record(incumbent.field("v", "string", "PII"))
        with (
            SchemaRegistryClient({"url": key_world.http.url}) as one,
            SchemaRegistryClient({"url": key_world.http.url}) as other,
        ):
            winner = incumbent.Subject(schema, incumbent.encrypt_rule(params=params), registry=one).theirs
            loser = incumbent.Incumbent(other)
            for theirs in (winner, loser):
                theirs.serialize({"v": "mine"})
            # Two days later, by their clocks. What they make carries the registry's time, hence is not old.
            key_world.http.clock.advance(days=2)
            later_ms = key_world.http.clock.now_ms() + 60_000
            for theirs in (winner, loser):
                theirs.executor.executor.clock = FixedClock(later_ms)
            winner.serialize({"v": "mine"})
            key_world.http.clear_requests()
            for _ in range(20):
                loser.serialize({"v": "mine"})
            theirs_posts = key_world.posts("/deks")
            for theirs in (winner, loser):
                theirs.executor.close()
        assert theirs_posts == 20

    def test_the_loser_of_a_rotation_moves_on_with_the_winner(self, key_world: KeyWorld) -> None:
        """Several writers, one expired DEK: one POST more than needed each, and none after that."""
        writers = [key_world.service() for _ in range(3)]
        for one in writers:
            one.writer_key(DAILY, SUBJECT)
        key_world.move_days(1)
        key_world.http.clear_requests()
        writers[0].writer_key(DAILY, SUBJECT)
        # The losers read just before the winner wrote, as if all three had asked at once.
        stale = key_world.http.deks.get(KEK, SUBJECT, 1)
        for loser in writers[1:]:
            key_world.http.faults.add("GET", "/versions/-1$", status=200, body=stale, count=1)
            for _ in range(50):
                assert loser.writer_key(DAILY, SUBJECT).value.version == 2
        assert key_world.posts("/deks") == 3
        assert versions(key_world) == [1, 2]

    def test_a_registry_that_keeps_saying_conflict_does_not_wedge_the_writer(
        self, key_world: KeyWorld
    ) -> None:
        ours = key_world.service()
        ours.writer_key(DAILY, SUBJECT)
        key_world.move_days(1)
        key_world.http.clear_requests()
        key_world.http.faults.add("POST", "/deks/", status=409, body={"error_code": 40971, "message": ""})
        for _ in range(50):
            key = ours.writer_key(DAILY, SUBJECT).value
            assert (key.version, key.provisional) == (1, True)
        assert key_world.posts("/deks") == 1
        key_world.http.faults.clear()
        key_world.clock.now += 10
        assert ours.writer_key(DAILY, SUBJECT).value.version == 2

    def test_an_expired_dek_is_used_while_no_new_one_can_be_made(
        self, key_world: KeyWorld, caplog: pytest.LogCaptureFixture
    ) -> None:
        ours = key_world.service()
        ours.writer_key(DAILY, SUBJECT)
        key_world.move_days(1)
        fault = key_world.http.faults.add("POST", "/deks/", status=500)
        with caplog.at_level(logging.WARNING):
            for _ in range(50):
                assert ours.writer_key(DAILY, SUBJECT).value.version == 1
        assert fault.hits == 1
        assert [r.levelname for r in caplog.records if r.name == "csfle_fast.writer_keys"] == ["WARNING"]
        assert f"Kek:{KEK}, subject {SUBJECT}" in caplog.text
        key_world.http.faults.clear()
        key_world.clock.now += 10
        assert ours.writer_key(DAILY, SUBJECT).value.version == 2


class TestClocks:
    @pytest.mark.parametrize("days", [-20_000, -1.5, 1.5, 400])
    def test_a_registry_with_another_time_is_not_asked_for_a_new_dek_all_the_time(
        self, key_world: KeyWorld, caplog: pytest.LogCaptureFixture, days: float
    ) -> None:
        key_world.http.clock.advance(days=days)
        ours = key_world.service()
        for _ in range(100):
            ours.writer_key(DAILY, SUBJECT)
            key_world.clock.now += 10
        assert key_world.http.deks.versions(KEK, SUBJECT) == [1]
        [warning] = [r.message for r in caplog.records if r.levelname == "WARNING"]
        assert f"dates DEK version 1, made this moment, {-days:.1f} days back" in warning

    def test_who_made_a_dek_knows_its_age(self, key_world: KeyWorld) -> None:
        key_world.http.clock.advance(days=-3)
        ours = key_world.service()
        for day in range(5):
            assert ours.writer_key(DAILY, SUBJECT).value.version == day + 1
            key_world.move_days(1)

    def test_a_writers_clock_that_is_set_right_changes_nothing_for_what_it_made(
        self, key_world: KeyWorld
    ) -> None:
        key_world.wall.now += 365 * 86_400
        ours = key_world.service()
        ours.writer_key(DAILY, SUBJECT)
        key_world.wall.now -= 365 * 86_400
        key_world.move_days(1)
        assert ours.writer_key(DAILY, SUBJECT).value.version == 2

    def test_a_rule_without_rotation_is_not_told_of(
        self, key_world: KeyWorld, caplog: pytest.LogCaptureFixture
    ) -> None:
        key_world.http.clock.advance(days=-3)
        key_world.service().writer_key(encrypt_rule(), SUBJECT)
        assert caplog.records == []

    def test_minutes_do_not_count(self, key_world: KeyWorld, caplog: pytest.LogCaptureFixture) -> None:
        key_world.http.clock.advance(days=-0.9 / 24)
        key_world.service().writer_key(DAILY, SUBJECT)
        assert caplog.records == []


FULL = {"error_code": 40972, "message": "Too many keys"}


class TestAFullRegistry:
    """It refuses a new key with 409, the status that otherwise means that somebody else was first."""

    @pytest.mark.parametrize("path", ["/keks$", "/deks/"])
    def test_without_a_first_key_nothing_is_sealed(self, key_world: KeyWorld, path: str) -> None:
        key_world.http.faults.add("POST", path, status=409, body=FULL)
        with pytest.raises(RegistryError, match=f"Kek:{KEK}") as caught:
            key_world.service().writer_key(encrypt_rule(), SUBJECT)
        assert caught.value.code == "too_many_keys"

    def test_an_expired_dek_stays_in_use_with_a_warning(
        self, key_world: KeyWorld, caplog: pytest.LogCaptureFixture
    ) -> None:
        ours = key_world.service()
        ours.writer_key(DAILY, SUBJECT)
        key_world.move_days(1)
        key_world.http.faults.add("POST", "/deks/", status=409, body=FULL)
        key_world.http.clear_requests()
        key = ours.writer_key(DAILY, SUBJECT).value
        assert (key.version, key.provisional) == (1, True)
        assert [r.method for r in key_world.http.requests if "/deks/" in r.path] == ["GET", "POST"]
        assert [r.levelname for r in caplog.records] == ["WARNING"]
        assert "too_many_keys" in caplog.text


class FixedClock(Clock):
    """confluent-kafka's clock, standing still."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now(self) -> int:
        return self._now_ms


class TestBudget:
    """What comes behind a key that has no room left; how much that is, the core knows (batch_budget.rs)."""

    def test_a_spent_dek_is_followed_by_the_next_version_before_its_time(self, key_world: KeyWorld) -> None:
        ours = key_world.service()
        key = ours.writer_key(DAILY, SUBJECT).value
        assert ours.key_after(DAILY, SUBJECT, key).value.version == 2
        assert ours.writer_key(DAILY, SUBJECT).value.version == 2
        assert versions(key_world) == [1, 2]

    def test_who_comes_later_with_the_spent_one_gets_the_same_next(self, key_world: KeyWorld) -> None:
        ours = key_world.service()
        key = ours.writer_key(DAILY, SUBJECT).value
        with ThreadPoolExecutor(8) as pool:
            found = [pool.submit(ours.key_after, DAILY, SUBJECT, key) for _ in range(8)]
            assert {one.result(30).value.version for one in found} == {2}
        assert versions(key_world) == [1, 2]

    def test_another_producer_may_have_rotated_already(self, key_world: KeyWorld) -> None:
        one, other = key_world.service(), key_world.service()
        key = one.writer_key(DAILY, SUBJECT).value
        other.key_after(DAILY, SUBJECT, other.writer_key(DAILY, SUBJECT).value)
        key_world.http.clear_requests()
        assert one.key_after(DAILY, SUBJECT, key).value.version == 2
        assert key_world.posts("/deks") == 0

    def test_one_that_cannot_be_replaced_is_not_used_and_not_tried_for_every_batch(
        self, key_world: KeyWorld
    ) -> None:
        ours = key_world.service()
        key = ours.writer_key(DAILY, SUBJECT).value
        fault = key_world.http.faults.add("POST", "/deks/", status=500)
        for _ in range(50):
            with pytest.raises(RegistryError) as caught:
                ours.key_after(DAILY, SUBJECT, key)
            assert caught.value.code == "registry_failed"
        assert fault.hits == 1
        key_world.http.faults.clear()
        key_world.clock.now += 10
        assert ours.key_after(DAILY, SUBJECT, key).value.version == 2

    def test_a_registry_that_says_conflict_and_has_none_ends_it(self, key_world: KeyWorld) -> None:
        ours = key_world.service()
        key = ours.writer_key(DAILY, SUBJECT).value
        key_world.http.faults.add("POST", "/deks/", status=409, body={"error_code": 40971, "message": ""})
        with pytest.raises(KeyServiceError, match="version 2") as caught:
            ours.key_after(DAILY, SUBJECT, key)
        assert caught.value.code == "no_dek"

    @pytest.mark.parametrize(("action", "days"), [("rotate", 0), ("warn", 1), ("error", 0), ("error", 1)])
    def test_where_it_does_not_rotate_there_is_none(
        self, key_world: KeyWorld, action: str, days: int
    ) -> None:
        ours, rule = key_world.service(conf={"dek.max.seals.action": action}), encrypt_rule(expiry_days=days)
        key = ours.writer_key(rule, SUBJECT).value
        with pytest.raises(KeyServiceError, match=r"dek\.max\.seals") as caught:
            ours.key_after(rule, SUBJECT, key)
        assert caught.value.code == "dek_exhausted"
        assert versions(key_world) == [1]

    @pytest.mark.parametrize(
        ("conf", "days", "held_back"),
        [
            ({}, 1, True),
            ({}, 0, False),
            ({"dek.max.seals.action": "warn"}, 1, False),
            ({"dek.max.seals.action": "error"}, 0, True),
        ],
    )
    def test_who_is_held_back_at_the_end_of_the_budget(
        self, key_world: KeyWorld, conf: dict[str, object], days: int, held_back: bool
    ) -> None:
        ours = key_world.service(conf=conf | {"dek.max.seals": 10})
        cipher = ours.writer_key(encrypt_rule(expiry_days=days), SUBJECT).value.cipher
        assert spend(cipher, 12) == (10 if held_back else 12)
        assert (cipher.sealed, cipher.exhausted, cipher.take_passed()) == (
            (10, True, False) if held_back else (12, False, True)
        )

    def test_producers_share_it(self, key_world: KeyWorld) -> None:
        conf = {"dek.max.seals": 11, "dek.max.seals.producers": 3}
        assert spend(key_world.service(conf=conf).writer_key(DAILY, SUBJECT).value.cipher, 12) == 3

    def test_siv_has_no_nonces_to_run_out_of(self, key_world: KeyWorld) -> None:
        ours = key_world.service(conf={"dek.max.seals": 10, "dek.max.seals.action": "error"})
        cipher = ours.writer_key(encrypt_rule(algorithm="AES256_SIV"), SUBJECT).value.cipher
        assert spend(cipher, 12) == 12
        assert (cipher.sealed, cipher.sealed_bytes, cipher.take_passed()) == (12, 12, False)


class TestCountsThatGoOn:
    """What an Engine has sealed with a key is counted whatever became of the key meanwhile."""

    def test_after_the_ttl(self, key_world: KeyWorld) -> None:
        ours = key_world.service()
        spend(ours.writer_key(encrypt_rule(), SUBJECT).value.cipher, 60)
        key_world.clock.now += 300
        assert ours.writer_key(encrypt_rule(), SUBJECT).value.cipher.sealed == 60

    def test_what_an_older_cipher_seals_is_seen(self, key_world: KeyWorld) -> None:
        ours = key_world.service()
        old = ours.writer_key(encrypt_rule(), SUBJECT).value
        key_world.clock.now += 300
        new = ours.writer_key(encrypt_rule(), SUBJECT).value
        assert new.cipher is not old.cipher
        spend(old.cipher, 60)
        assert new.cipher.sealed == 60

    def test_after_a_kms_that_failed_once(self, key_world: KeyWorld) -> None:
        ours = key_world.service(conf={"dek.max.seals": 100, "dek.max.seals.action": "error"})
        spend(ours.writer_key(encrypt_rule(), SUBJECT).value.cipher, 60)
        key_world.clock.now += 300
        answer = key_world.http.deks.get(KEK, SUBJECT)
        refused = answer | {"encryptedKeyMaterial": key_world.wrap(b"\x1a\x20" + bytes(32), secret="another")}
        key_world.http.faults.add("GET", "/versions/1$", status=200, body=refused, count=1)
        with pytest.raises(KmsError):
            ours.writer_key(encrypt_rule(), SUBJECT)
        key_world.clock.now += 10
        assert spend(ours.writer_key(encrypt_rule(), SUBJECT).value.cipher, 60) == 40

    def test_after_an_eviction(self, key_world: KeyWorld) -> None:
        ours = key_world.service(conf={"dek.cache.size": 1})
        spend(ours.writer_key(encrypt_rule(), SUBJECT).value.cipher, 60)
        assert ours.writer_key(encrypt_rule(), "other-value").value.cipher.sealed == 0
        assert ours.writer_key(encrypt_rule(), SUBJECT).value.cipher.sealed == 60

    def test_a_key_that_was_wrapped_anew_is_the_same(self, key_world: KeyWorld) -> None:
        key_world.put_kek()
        key_world.put_dek(b"\x1a\x20" + bytes(32))
        ours = key_world.service()
        spend(ours.writer_key(encrypt_rule(), SUBJECT).value.cipher, 60)
        before = key_world.wrapped()
        key_world.put_dek(b"\x1a\x20" + bytes(32))
        assert key_world.wrapped() != before
        key_world.clock.now += 300
        assert ours.writer_key(encrypt_rule(), SUBJECT).value.cipher.sealed == 60
        key_world.put_dek(b"\x1a\x20" + bytes(31) + b"1")
        key_world.clock.now += 300
        assert ours.writer_key(encrypt_rule(), SUBJECT).value.cipher.sealed == 0

    def test_with_a_kek_that_is_shared(self, key_world: KeyWorld) -> None:
        key_world.put_kek(shared=True)
        ours = key_world.service()
        spend(ours.writer_key(encrypt_rule(), SUBJECT).value.cipher, 60)
        answer = key_world.http.deks.get(KEK, SUBJECT) | {"encryptedKeyMaterial": None}
        key_world.http.faults.add("GET", "/versions/1$", status=200, body=answer)
        key_world.clock.now += 300
        assert ours.writer_key(encrypt_rule(), SUBJECT).value.cipher.sealed == 60
