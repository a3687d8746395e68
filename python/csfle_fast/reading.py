"""READ: the snapshot that a topic's frames are opened with, and how what it lacks is found."""

from __future__ import annotations

import copy
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from csfle_fast._core import Cipher, Reader, ReadLane
from csfle_fast.errors import OUTAGE_CODES, ConfigError, CsfleError, KmsError
from csfle_fast.keys import KeyService
from csfle_fast.objects import Codec
from csfle_fast.plans import Compiled, Plans
from csfle_fast.registry import Registry, Version
from csfle_fast.rules import EncryptRule, RulesToRun
from csfle_fast.settings import Settings
from csfle_fast.subjects import check_field

__all__ = ["ReadSide"]

#: Refusals that are remembered at a time.
_MOST_REFUSALS = 1_024

#: What a snapshot lacks: ``("id", schema id)``, ``("guid", GUID)`` or ``("dek", lane, rule, version)``.
Miss = tuple[Literal["id"], int] | tuple[Literal["guid"], bytes] | tuple[Literal["dek"], int, int, int]

#: A key that no writer has made yet, or that was never needed, is nothing to warm up.
_NOT_YET = frozenset({"no_kek", "no_dek", "unknown_dek_version"})

_NEVER = float("inf")

#: Nobody is asked again in a batch who did not answer, or asked for a pause: each may cost a time-out.
_AWAY_CODES = OUTAGE_CODES - {"registry_failed"}

#: Who is away: None for the registry, the name of a KEK for its KMS.
_Away = dict[str | None, CsfleError]


@dataclass
class _Deks:
    """What is known of the DEK versions of one rule."""

    loaded: dict[int, Cipher] = field(default_factory=dict)
    refused: dict[int, CsfleError] = field(default_factory=dict)
    latest: int | None = None


@dataclass
class Lane:
    """One writer schema on READ.

    Attributes:
        version: the writer's version.
        compiled: its plan with its rules.
        codec: for rows; None where only bodies are wanted.
        deks: the DEK versions of each rule.
    """

    version: Version
    compiled: Compiled
    codec: Codec | None
    deks: list[_Deks]


class ReadSide:
    """What is known for reading one topic's keys or values.

    ``reader`` is an immutable snapshot; what a batch misses is resolved here and swaps it.

    Args:
        registry: where versions come from.
        keys: where keys come from.
        plans: where plans come from.
        settings: TTLs, and whether the latest version decides.
        topic: the topic.
        part: ``key`` or ``value``.
        rows: whether bodies will be decoded, and so are checked to their end.
        rules: which rules open.
    """

    def __init__(
        self,
        registry: Registry,
        keys: KeyService,
        plans: Plans,
        settings: Settings,
        *,
        topic: str,
        part: str,
        rows: bool,
        rules: RulesToRun = "all",
    ) -> None:
        check_field(part)
        self._registry = registry
        self._keys = keys
        self._plans = plans
        self._settings = settings
        self._topic = topic
        self._part = part
        self._rows = rows
        self._rules = rules
        self._lock = threading.Lock()
        self._by_id: dict[int, int] = {}
        self._by_guid: dict[bytes, int] = {}
        self._refused: dict[int | bytes, CsfleError] = {}
        self.lanes: list[Lane] = []
        self.latest: Version | None = None
        self.latest_codec: Codec | None = None
        #: Monotonic seconds from which what is loaded is to be asked for again.
        self.fresh_until = time.monotonic() + settings.dek_cache_ttl_sec
        #: Monotonic seconds at which refusals are forgotten.
        self._forget_at = _NEVER
        if settings.use_latest_version:
            subject, subject_renew = registry.subject_until(topic, part)
            self.latest, latest_renew = registry.latest_until(subject)
            self.fresh_until = min(self.fresh_until, subject_renew, latest_renew)
            if rows:
                self.latest_codec = self._latest_codec(self.latest)
        self._reader = self._snapshot()

    def _latest_codec(self, latest: Version) -> Codec:
        where = f"subject {latest.subject}, latest version"
        left = self._plans.fields_hit(latest) if self._rules == "none" else frozenset()
        return Codec(self._plans.schema(latest), where, left)

    @property
    def reader(self) -> Reader:
        """The snapshot to begin a batch with."""
        # Not waited for: who resolves may be waiting for a KMS, and what it learns comes with the next batch.
        if time.monotonic() >= self._forget_at and self._lock.acquire(blocking=False):
            try:
                if time.monotonic() >= self._forget_at:  # nobody else has forgotten, and learnt, meanwhile
                    self._forget_refusals()
            finally:
                self._lock.release()
        return self._reader

    @property
    def resolved(self) -> Reader:
        """The snapshot to go on with after ``resolve``: what was just refused still is."""
        return self._reader

    @property
    def full(self) -> bool:
        """Whether it holds more writer schemas than it should."""
        return len(self.lanes) > self._settings.schema_cache_size

    @property
    def schema_ids(self) -> list[int | None]:
        """The writer schema's id of each lane."""
        return [lane.version.schema_id for lane in self.lanes]

    def codecs(self, lanes: Sequence[int | None]) -> list[Codec | None]:
        """The codec of each row by its lane; None where it has none."""
        if len(self.lanes) == 1 and None not in lanes:  # the common case, and several times faster
            return [self.lanes[0].codec] * len(lanes)
        return [None if lane is None else self.lanes[lane].codec for lane in lanes]

    def reset_locks(self) -> None:
        """To be called in a forked child."""
        self._lock = threading.Lock()

    def resolve(self, misses: Sequence[Miss]) -> None:
        """Find what a batch lacked, or the reason why it cannot be had, and make a new snapshot."""
        away: _Away = {}
        with self._lock:
            for miss in misses:
                if miss[0] == "dek":
                    _, index, rule, version = miss
                    self._resolve_dek(self.lanes[index], rule, version, away)
                else:
                    self._resolve_schema(miss[1], away)
            self._reader = self._snapshot()

    def adopt(self, old: ReadSide) -> None:
        """Take over what ``old`` held and what still holds, so that no batch has to miss it."""
        try:
            subject, renew = self._registry.subject_until(self._topic, self._part)
        except CsfleError:
            return  # the subject is each record's, or cannot be told: every schema is looked at anew
        # Without its lock, which may be held for as long as a KMS takes. A lane is there before its names,
        # so that the names are copied first.
        by_id, by_guid = dict(old._by_id), dict(old._by_guid)
        lanes = list(old.lanes)
        held = [[list(deks.loaded) for deks in lane.deks] for lane in lanes]
        if old.latest != self.latest or any(lane.compiled.subject != subject for lane in lanes):
            return
        self.fresh_until = min(self.fresh_until, renew)
        self._by_id, self._by_guid = by_id, by_guid
        for lane, versions in zip(lanes, held, strict=True):
            rules = zip(lane.compiled.rules, versions, strict=True)
            deks = [self._at_hand(rule, subject, numbers) for rule, numbers in rules]
            self.lanes.append(replace(lane, deks=deks))
        self._reader = self._snapshot()

    def _at_hand(self, rule: EncryptRule, subject: str, versions: Sequence[int]) -> _Deks:
        deks = _Deks()
        for version in versions:
            lease = self._keys.reader_key_at_hand(rule, subject, version if rule.rotated else None)
            if lease is not None:
                deks.loaded[version] = lease.value.cipher
                self.fresh_until = min(self.fresh_until, lease.renew)
        return deks

    def preload(self, version: Version) -> None:
        """Load the lane of a version and the newest DEK of each of its rules.

        Raises:
            CsfleError: what cannot be had, but for keys that do not exist yet.
        """
        if version.schema_id is None:
            return
        with self._lock:
            error = self._resolve_schema(version.schema_id, {})
            if error is None:
                index = self._by_id[version.schema_id]
                if version.guid is not None:
                    self._by_guid[uuid.UUID(version.guid).bytes] = index
                error = self._preload_deks(self.lanes[index])
            self._reader = self._snapshot()
        if error is not None:
            raise error

    def _preload_deks(self, lane: Lane) -> CsfleError | None:
        for rule, settled in enumerate(lane.compiled.rules):
            newest = 1
            if settled.rotated:
                newest = self._keys.latest_version(settled, lane.compiled.subject)
            error = self._resolve_dek(lane, rule, newest, {}) if newest > 0 else None
            if error is not None and error.code not in _NOT_YET:
                return error
        return None

    def _resolve_schema(self, name: int | bytes, away: _Away) -> CsfleError | None:
        """Find a schema, or refuse it; the error that it was refused with."""
        if name in self._by_id or name in self._by_guid:
            return None
        subject = None
        try:
            if None in away:
                raise away[None]
            subject, known = self._subject()
            lane = self._lane(name, subject, known)
        except CsfleError as error:
            until = None if subject is None else self._registry.refused_until(name, subject)
            refused = self._refused[name] = copy.copy(error)  # without its frames, which hold the batch
            self._note(refused, None, away, until)
            return refused
        self.lanes.append(lane)
        if isinstance(name, bytes):
            self._by_guid[name] = len(self.lanes) - 1
        else:
            self._by_id[name] = len(self.lanes) - 1
        return None

    def _subject(self) -> tuple[str, bool]:
        """The subject to look schemas up with, and whether it is theirs."""
        try:
            subject, renew = self._registry.subject_until(self._topic, self._part)
        except ConfigError as error:
            if error.code != "bad_strategy":
                raise
            # A strategy by record name has no subject before the schema is known, and the registry
            # takes any.
            return f"{self._topic}-{self._part}", False
        self.fresh_until = min(self.fresh_until, renew)
        return subject, True

    def _lane(self, name: int | bytes, subject: str, known: bool) -> Lane:
        registry, topic, part = self._registry, self._topic, self._part
        if isinstance(name, bytes):
            version = registry.by_guid(name, subject)
        else:
            version = registry.by_id(name, subject)
        if not known:
            subject = registry.subject(topic, part, self._plans.schema(version).name)
            version = replace(version, subject=subject)
        compiled = self._plans.read(version, self.latest, exact=self._rows, rules=self._rules)
        where = f"subject {subject}, {_named(name)}"
        codec = Codec(compiled.schema, where, compiled.left) if self._rows else None
        return Lane(version, compiled, codec, [_Deks() for _ in compiled.rules])

    def _resolve_dek(self, lane: Lane, rule: int, version: int, away: _Away) -> CsfleError | None:
        """Find a DEK version, or refuse it; the error that it was refused with."""
        deks = lane.deks[rule]
        if version in deks.loaded:
            return None
        settled, subject = lane.compiled.rules[rule], lane.compiled.subject
        number = version if settled.rotated else None
        try:
            gone = away.get(None) or away.get(settled.kek_name)
            if gone is not None:
                raise gone
            key, renew, _, _ = self._keys.reader_key(settled, subject, number)
            deks.loaded[version] = key.cipher
        except CsfleError as error:
            refused = deks.refused[version] = copy.copy(error)  # without its frames, which hold the batch
            until = self._keys.reader_refused_until(settled, subject, number)
            self._note(refused, settled.kek_name, away, until)
            if refused.code == "unknown_dek_version":
                deks.latest = self._keys.latest_known(settled, subject)
            return refused
        self.fresh_until = min(self.fresh_until, renew)
        return None

    def _note(self, error: CsfleError, kek_name: str | None, away: _Away, until: float | None) -> None:
        """What follows from a refusal: who need not be asked again in this batch, and when it is forgotten.

        Args:
            error: the reason.
            kek_name: the KEK that was needed.
            away: is told of who did not answer.
            until: when the failure is forgotten where it was met; None where it is not remembered there.
        """
        if error.code in _AWAY_CODES:
            away[kek_name if isinstance(error, KmsError) else None] = error
        count = len(self._refused) + sum(len(deks.refused) for lane in self.lanes for deks in lane.deks)
        if count > _MOST_REFUSALS:
            self._forget_refusals()
            return
        if until is None:
            until = time.monotonic() + self._settings.missing_cache_ttl_sec
        self._forget_at = min(self._forget_at, until)

    def _forget_refusals(self) -> None:
        self._refused.clear()
        for lane in self.lanes:
            for deks in lane.deks:
                deks.refused.clear()
                deks.latest = None
        self._forget_at = _NEVER
        self._reader = self._snapshot()

    def _snapshot(self) -> Reader:
        refusals: list[tuple[str, str]] = []

        def refuse(error: CsfleError) -> int:
            refusals.append((error.code, error.message))
            return len(refusals) - 1

        lanes = [
            ReadLane(
                lane.compiled.plan,
                [
                    (
                        list(deks.loaded.values()),
                        {version: refuse(error) for version, error in deks.refused.items()},
                        deks.latest,
                    )
                    for deks in lane.deks
                ],
            )
            for lane in self.lanes
        ]
        refused = {name: refuse(error) for name, error in self._refused.items()}
        refused_ids = {name: place for name, place in refused.items() if isinstance(name, int)}
        refused_guids = {name: place for name, place in refused.items() if isinstance(name, bytes)}
        return Reader(lanes, self._by_id, self._by_guid, refused_ids, refused_guids, refusals)


def _named(name: int | bytes) -> str:
    return f"schema GUID {uuid.UUID(bytes=name)}" if isinstance(name, bytes) else f"schema id {name}"
