"""A key that is revoked under way is refused within its TTL, on both sides, whatever went before."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from aws_world import KEYS, refused
from csfle_fast import CsfleError, Engine
from incumbent import KEK, SECRET, SUBJECT, TOPIC
from services.fault_proxy import Fault, FaultProxy
from services.moto import MotoServer
from services.openbao import OpenBaoServer
from vault_world import clear_environment, mount_of, new_key, new_name, path
from vault_world import conf as vault_conf
from worlds import FLAT, World, flat, rule, world

__all__ = ["world"]  # a fixture

TTL = 1.0
#: Far longer than any test lasts: what may be used that long in an outage shall not be after a refusal.
STALE = 600.0
SETTINGS = {
    "kek.cache.ttl.sec": TTL,
    "dek.cache.ttl.sec": TTL,
    "stale.if.error.sec": STALE,
    "missing.cache.ttl.sec": 0.1,
}
ROWS = [flat(1), flat(2)]
PATIENCE_SEC = 30.0
REFRESHER = "csfle-fast-refresher"


class Call(NamedTuple):
    """One batch: when it was begun, and the code that it failed with."""

    begun: float
    code: str | None


class Side(threading.Thread):
    """A writer, or a reader, that never rests."""

    def __init__(self, batch: Callable[[], str | None]) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._batch = batch
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.01):
            begun = time.monotonic()
            self.calls.append(Call(begun, self._batch()))

    def end(self) -> None:
        self._over.set()
        self.join()

    def codes(self, since: float) -> set[str | None]:
        """How batches ended that were begun from then on."""
        return {call.code for call in self.calls if call.begun >= since}

    def await_code(self, code: str | None) -> None:
        """Return once a batch ends so; batches that were begun before do not count."""
        now, deadline = time.monotonic(), time.monotonic() + PATIENCE_SEC
        while code not in self.codes(now):
            assert time.monotonic() < deadline, f"no batch ends with {code}"
            time.sleep(0.01)


def writing(engine: Engine) -> str | None:
    try:
        engine.serialize(TOPIC, ROWS).raise_for_errors()
    except CsfleError as error:
        return error.code
    return None


class Traffic:
    """A writer and a reader with an engine each, both busy.

    Attributes:
        sides: the two.
        sent: the frames that the reader opens again and again.
    """

    def __init__(self, writer: Engine, reader: Engine) -> None:
        self.sent = writer.serialize(TOPIC, ROWS).values
        self._engines = writer, reader

        def reading() -> str | None:
            opened = reader.deserialize(TOPIC, self.sent)
            assert opened.errors or opened.values == ROWS
            return opened.errors[0].code if opened.errors else None

        self.sides = [Side(lambda: writing(writer)), Side(reading)]

    def flow(self, seconds: float) -> None:
        """Let it go on, and see that it is unharmed."""
        since = time.monotonic()
        time.sleep(seconds)
        for side in self.sides:
            assert side.codes(since) == {None}

    def await_code(self, code: str | None) -> None:
        for side in self.sides:
            side.await_code(code)

    def await_renewal(self) -> None:
        """Return when each side has just asked the KMS again: its key is good for a whole TTL."""
        calls, deadline = self._calls(), time.monotonic() + PATIENCE_SEC
        while any(now == before for now, before in zip(self._calls(), calls, strict=True)):
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def _calls(self) -> list[int]:
        return [engine.stats()["kms_calls"] for engine in self._engines]


@contextmanager
def traffic(
    world: World, kms_type: str, key_id: str, conf: dict[str, object], **changes: object
) -> Iterator[Traffic]:
    """Traffic under a KEK of that KMS."""
    made = rule()
    made["params"] |= {"encrypt.kms.type": kms_type, "encrypt.kms.key.id": key_id}
    world.put(FLAT, made)
    settings = SETTINGS | {name.replace("_", "."): value for name, value in changes.items()}
    running = Traffic(world.engine(settings, conf), world.engine(settings, conf))
    for side in running.sides:
        side.start()
    try:
        running.await_code(None)
        yield running
    finally:
        for side in running.sides:
            side.end()


def check_that_it_ends(running: Traffic, revoke: Callable[[], object], code: str) -> None:
    """Revoke at the worst moment, and see that both sides are refused in time and stay so."""
    running.await_renewal()
    revoke()
    revoked = time.monotonic()
    running.await_code(code)
    time.sleep(TTL)  # for who would be served again
    for side in running.sides:
        # No margin: a key that was loaded before has its TTL from before.
        assert side.codes(revoked + TTL) == {code}
        assert side.codes(revoked) == {code, None}, "there was traffic in between"


def refusals_in_background(caplog: pytest.LogCaptureFixture, code: str) -> int:
    """How often the refresher was refused."""
    return sum(
        record.name == "csfle_fast.cache" and record.threadName == REFRESHER and code in record.getMessage()
        for record in caplog.records
    )


@pytest.fixture
def proxy(moto: MotoServer, aws_environment: None) -> Iterator[FaultProxy]:
    """In front of AWS's stand-in, which opens with disabled keys: the proxy answers for them as AWS does."""
    del aws_environment
    with FaultProxy(moto.endpoint_url) as proxy:
        yield proxy


@contextmanager
def aws_traffic(world: World, moto: MotoServer, proxy: FaultProxy, **changes: object) -> Iterator[Traffic]:
    conf: dict[str, object] = {**KEYS, "kms.aws.endpoint": proxy.url}
    with traffic(world, "aws-kms", moto.create_key(), conf, **changes) as running:
        yield running


@pytest.fixture
def aws(world: World, moto: MotoServer, proxy: FaultProxy) -> Iterator[Traffic]:
    with aws_traffic(world, moto, proxy) as running:
        yield running


DISABLED = refused("DisabledException")


class TestAKeyThatIsDisabled:
    def test_is_refused_within_the_ttl_and_serves_when_it_is_enabled(
        self, aws: Traffic, proxy: FaultProxy, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        check_that_it_ends(aws, lambda: proxy.add(DISABLED), "kms_key_disabled")
        assert refusals_in_background(caplog, "kms_key_disabled") >= 2, "neither side had to find out itself"
        proxy.clear()
        aws.await_code(None)
        aws.flow(1.5 * TTL)

    def test_is_not_kept_alive_by_an_outage_before(self, aws: Traffic, proxy: FaultProxy) -> None:
        proxy.down()
        aws.flow(1.5 * TTL)  # on what there is, past its TTL
        proxy.add(DISABLED)
        up = time.monotonic()
        proxy.up()
        aws.await_code("kms_key_disabled")
        for side in aws.sides:
            first = next(call for call in side.calls if call.code == "kms_key_disabled")
            assert first.begun < up + STALE / 10
            assert side.codes(first.begun) == {"kms_key_disabled"}

    def test_is_not_kept_alive_by_an_outage_behind(self, aws: Traffic, proxy: FaultProxy) -> None:
        proxy.add(DISABLED)
        aws.await_code("kms_key_disabled")
        proxy.down()
        proxy.clear()  # behind it: the key must not be reachable and enabled for a moment
        aws.await_code("kms_unreachable")
        since = time.monotonic()
        time.sleep(TTL)
        for side in aws.sides:
            assert None not in side.codes(since)

    def test_is_not_kept_alive_by_faults_in_between(self, aws: Traffic, proxy: FaultProxy) -> None:
        proxy.add(Fault(status=503), probability=0.5)
        proxy.add(DISABLED)
        aws.await_code("kms_key_disabled")
        since = time.monotonic()
        time.sleep(TTL)
        for side in aws.sides:
            assert None not in side.codes(since)


def test_a_failure_that_cannot_be_told_gives_no_more_than_the_ttl(
    world: World, moto: MotoServer, proxy: FaultProxy
) -> None:
    # Refused as nothing that is known, which is remembered for longer than the TTL.
    with aws_traffic(world, moto, proxy, missing_cache_ttl_sec=4 * TTL) as running:
        check_that_it_ends(running, lambda: proxy.add(refused("SomethingNewException")), "kms_failed")


class Bao:
    """A key of OpenBao, used by a token that may wrap and unwrap with it, and nothing else."""

    def __init__(self, server: OpenBaoServer) -> None:
        self.server = server
        self.key_id = new_key(server)
        self.policy = new_name("revocation")
        self.allow("encrypt", "decrypt")
        self.token = server.make_token(self.policy)
        self.conf = vault_conf(server, token__id=self.token)
        self._key = path(self.key_id, "keys")

    def allow(self, *operations: str) -> None:
        self.server.write_policy(self.policy, *(path(self.key_id, operation) for operation in operations))

    def rotate(self) -> None:
        self.server.call("POST", f"{self._key}/rotate")

    def configure(self, **settings: object) -> None:
        self.server.call("POST", f"{self._key}/config", settings)

    def retire_version_1(self) -> None:
        self.rotate()
        self.configure(min_decryption_version=2)

    def withdraw(self) -> None:
        self.allow("elsewhere")

    def withdraw_unwrapping(self) -> None:
        self.allow("encrypt")

    def end_token(self) -> None:
        self.server.call("POST", "auth/token/revoke", {"token": self.token})

    def delete_key(self) -> None:
        self.configure(deletion_allowed=True)
        self.server.call("DELETE", self._key)

    def unmount(self) -> None:
        self.server.call("DELETE", f"sys/mounts/{mount_of(self.key_id)}")


@pytest.fixture
def bao(openbao: OpenBaoServer, monkeypatch: pytest.MonkeyPatch) -> Bao:
    clear_environment(monkeypatch)
    return Bao(openbao)


@pytest.mark.parametrize(
    ("revoke", "code"),
    [
        (Bao.retire_version_1, "kms_key_disabled"),
        (Bao.withdraw, "kms_denied"),
        (Bao.withdraw_unwrapping, "kms_denied"),
        (Bao.end_token, "kms_unauthenticated"),
        (Bao.delete_key, "kms_key_unknown"),
        (Bao.unmount, "kms_wrong_location"),
    ],
)
def test_what_openbao_takes_away_is_gone_within_the_ttl(
    world: World, bao: Bao, revoke: Callable[[Bao], None], code: str
) -> None:
    with traffic(world, "hcvault", bao.key_id, bao.conf) as running:
        check_that_it_ends(running, lambda: revoke(bao), code)


def test_a_rotated_kek_opens_what_was_wrapped_before_and_wraps_anew(world: World, bao: Bao) -> None:
    with traffic(world, "hcvault", bao.key_id, bao.conf) as running:
        bao.rotate()
        running.flow(1.5 * TTL)
        assert world.engine(rule_conf=bao.conf).deserialize(TOPIC, running.sent).values == ROWS
        made = rule()
        made["params"] |= {"encrypt.kms.type": "hcvault", "encrypt.kms.key.id": bao.key_id}
        world.put(FLAT, made, subject="later-value")
        later = world.engine(rule_conf=bao.conf).serialize("later", ROWS)
        assert world.engine(rule_conf=bao.conf).deserialize("later", later.values).values == ROWS
    materials = [
        world.http.deks.get(KEK, subject)["encryptedKeyMaterial"] for subject in (SUBJECT, "later-value")
    ]
    assert [base64.b64decode(material)[:9] for material in materials] == [b"vault:v1:", b"vault:v2:"]


class TestAKekThatIsSoftDeletedInTheRegistry:
    """Its DEKs have to be soft-deleted first. The KMS knows nothing of it."""

    def test_still_opens_and_seals_nothing(self, world: World) -> None:
        with traffic(world, "local-kms", "tests-key", {"secret": SECRET}) as running:
            writer, reader = running.sides
            world.http.deks.delete(KEK, SUBJECT)
            world.http.keks.delete(KEK)
            deleted = time.monotonic()
            writer.await_code("no_dek")
            time.sleep(2 * TTL)
            assert writer.codes(deleted + TTL) == {"no_dek"}
            assert reader.codes(deleted) == {None}
            assert world.engine().deserialize(TOPIC, running.sent).values == ROWS
            # A create of an equal KEK undeletes it, which is the registry's rule for every client. Its DEK
            # stays deleted, for nobody has the same material to create it from.
            assert world.http.keks.names() == [KEK]
            assert world.http.deks.subjects(KEK) == []
            world.http.deks.undelete(KEK, SUBJECT)
            running.await_code(None)
            assert world.engine().deserialize(TOPIC, running.sent).values == ROWS
