"""Topic and field to subject: the subject name strategies of confluent-kafka 2.16."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.serde import AssociatedNameStrategy
from confluent_kafka.serialization import MessageField, SerializationContext

from csfle_fast.cache import LoadingCache
from csfle_fast.errors import ConfigError, CsfleError, RegistryError
from csfle_fast.refresher import Refresher
from csfle_fast.registry_errors import NOT_FOUND, bad_answer
from csfle_fast.settings import Settings

__all__ = ["SubjectNames", "check_field"]

T = TypeVar("T")


class _Ask(Protocol):
    """Calls the client, counts the call, and turns its failure into a RegistryError."""

    def __call__(self, what: str, call: Callable[[], T]) -> T: ...


class SubjectNames:
    """Subjects by the strategy of ``settings``; answers are kept for ``latest.cache.ttl.sec``.

    Args:
        client: the registry's client, for associations.
        settings: strategy, fallback, cluster id.
        ask: how the client is called.
        clock: monotonic seconds.
        refresher: asks again ahead of time.
    """

    def __init__(
        self,
        client: SchemaRegistryClient,
        settings: Settings,
        ask: _Ask,
        clock: Callable[[], float],
        refresher: Refresher | None = None,
    ) -> None:
        self._client = client
        self._strategy = settings.subject_name_strategy
        self._fallback = settings.subject_name_strategy_fallback_type
        self._namespace = settings.subject_name_strategy_kafka_cluster_id or "-"
        self._ask = ask
        self._clock = clock
        self._ttl = settings.latest_cache_ttl_sec
        self._cache: LoadingCache[tuple[str, str, str | None], str] = LoadingCache(
            size=settings.schema_cache_size,
            ttl=self._ttl,
            stale=settings.stale_if_error_sec,
            missing_ttl=settings.missing_cache_ttl_sec,
            clock=clock,
            refresher=refresher,
        )

    @property
    def bridged(self) -> int:
        """Questions that failed in an outage while an older answer went on serving."""
        return self._cache.bridged

    def subject_until(self, topic: str, field: str, record_name: str | None) -> tuple[str, float]:
        """The subject, and the monotonic seconds from which to ask again; see ``Registry.subject``."""
        check_field(field)
        strategy = self._strategy
        if callable(strategy):
            # The user's own function is asked every time: what it depends on is not ours to know. What
            # was made of its answer is kept no longer than an association would be.
            until = self._clock() + self._ttl
            return self._custom(strategy, topic, field, record_name), until
        if strategy == "ASSOCIATED":
            key = (topic, field, record_name)
            return self._cache.get_until(key, lambda: self._associated(topic, field, record_name))
        return _named(strategy, topic, field, record_name), float("inf")

    def reset_locks(self) -> None:
        """To be called in a forked child."""
        self._cache.reset_locks()

    def _associated(self, topic: str, field: str, record_name: str | None) -> str:
        try:
            found = self._ask(
                f"association of topic {topic}",
                lambda: self._client.get_associations_by_resource_name(
                    topic, self._namespace, "topic", [field], 0, -1
                ),
            )
        except RegistryError as error:
            if error.code not in NOT_FOUND:
                raise
            found = []  # a registry without associations says 404
        if len(found) > 1:
            raise RegistryError(
                "ambiguous_subject", f"topic {topic}: the registry has several subjects for its {field}"
            )
        subject: object = found[0].subject if found else None
        if isinstance(subject, str) and subject:
            return subject
        if subject is not None:
            raise bad_answer(f"association of topic {topic}", "its subject is no name")
        if self._fallback == "NONE":
            raise RegistryError(
                "unknown_subject", f"topic {topic}: the registry has no subject for its {field}"
            )
        return _named(self._fallback, topic, field, record_name)

    def _custom(self, strategy: Callable[..., Any], topic: str, field: str, record_name: str | None) -> str:
        context = SerializationContext(topic, MessageField.KEY if field == "key" else MessageField.VALUE)
        failure = "gave no subject"
        try:
            if isinstance(strategy, AssociatedNameStrategy):
                subject = self._ask(
                    f"association of topic {topic}", lambda: strategy(context, record_name, self._client)
                )
            else:
                subject = strategy(context, record_name)
            if isinstance(subject, str) and subject:
                return subject
        except CsfleError:
            raise
        except Exception as error:  # noqa: BLE001 - the function is the user's
            failure = f"failed ({type(error).__name__})"
        raise ConfigError(f"topic {topic}: the subject.name.strategy function {failure}", "bad_strategy")


def check_field(field: str) -> None:
    """Raise a ConfigError unless ``field`` is one of the two parts of a record."""
    if field not in ("key", "value"):
        raise ConfigError(f'field must be "key" or "value", not {field!r}')


def _named(strategy: str, topic: str, field: str, record_name: str | None) -> str:
    if strategy == "TOPIC":
        return f"{topic}-{field}"
    if not record_name:
        raise ConfigError(
            f"topic {topic}: subject name strategy {strategy} needs a named root record", "bad_strategy"
        )
    return record_name if strategy == "RECORD" else f"{topic}-{record_name}"
