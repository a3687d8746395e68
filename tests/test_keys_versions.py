"""DEK versions that values name: which of them are worth a request."""

from __future__ import annotations

import pytest

from csfle_fast.errors import KeyServiceError
from key_world import KEK, SUBJECT, KeyWorld, encrypt_rule, key_world

__all__ = ["key_world"]  # a fixture

DAILY = encrypt_rule(expiry_days=1)


class TestVersionsFromTheWire:
    @pytest.mark.parametrize("version", [0, -1, -(2**31)])
    def test_below_1_costs_nothing(self, key_world: KeyWorld, version: int) -> None:
        with pytest.raises(KeyServiceError) as caught:
            key_world.service().reader_key(DAILY, SUBJECT, version)
        assert caught.value.code == "unknown_dek_version"
        assert key_world.http.requests == []

    def test_far_above_the_newest_costs_one_request_for_all(self, key_world: KeyWorld) -> None:
        key_world.service().writer_key(DAILY, SUBJECT)
        key_world.http.clear_requests()
        ours = key_world.service()
        for version in range(3, 300):
            with pytest.raises(KeyServiceError, match=f"DEK version {version}") as caught:
                ours.reader_key(DAILY, SUBJECT, version)
            assert caught.value.code == "unknown_dek_version"
        assert len(key_world.http.requests) == 1
        key_world.clock.now += 5
        for version in range(3, 300):
            with pytest.raises(KeyServiceError):
                ours.reader_key(DAILY, SUBJECT, version)
        assert len(key_world.http.requests) == 2

    def test_the_next_version_is_asked_for_and_remembered_as_missing(self, key_world: KeyWorld) -> None:
        key_world.service().writer_key(DAILY, SUBJECT)
        ours = key_world.service()
        key_world.http.clear_requests()
        for _ in range(5):
            with pytest.raises(KeyServiceError):
                ours.reader_key(DAILY, SUBJECT, 2)
        assert [r.path.rpartition("/")[2] for r in key_world.http.requests] == ["-1", KEK, "2"]

    def test_versions_made_since_are_found(self, key_world: KeyWorld) -> None:
        writer, reader = key_world.service(), key_world.service()
        writer.writer_key(DAILY, SUBJECT)
        assert reader.latest_version(DAILY, SUBJECT) == 1
        for days in (1, 1):
            key_world.wall.now += days * 86_400
            key_world.http.clock.advance(days=days)
            key_world.clock.now += 20
            key_world.service().writer_key(DAILY, SUBJECT)
        assert key_world.http.deks.versions(KEK, SUBJECT) == [1, 2, 3]
        assert reader.reader_key(DAILY, SUBJECT, 3).value.cipher.version == 3  # two above what it knew
        assert reader.latest_version(DAILY, SUBJECT) == 3

    def test_the_next_version_raises_what_is_known_to_be_the_newest(self, key_world: KeyWorld) -> None:
        writer, reader = key_world.service(), key_world.service()
        writer.writer_key(DAILY, SUBJECT)
        assert reader.latest_known(DAILY, SUBJECT) is None
        reader.latest_version(DAILY, SUBJECT)
        assert reader.latest_known(DAILY, SUBJECT) == 1
        key_world.put_dek(b"\x1a\x20" + bytes(32), version=2)
        reader.reader_key(DAILY, SUBJECT, 2)
        key_world.http.clear_requests()
        assert reader.latest_version(DAILY, SUBJECT) == 2
        assert key_world.http.requests == []

    def test_no_dek_at_all_is_version_0(self, key_world: KeyWorld) -> None:
        assert key_world.service().latest_version(DAILY, SUBJECT) == 0
