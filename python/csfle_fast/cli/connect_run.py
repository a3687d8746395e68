"""What the commands of ``csfle-fast connect`` have in common: clients, signals, exit codes, progress."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, TypeVar

import typer
from confluent_kafka import Consumer, KafkaException, Message
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from csfle_fast.cli.row_files import RowFileError
from csfle_fast.connect import PipelineReport
from csfle_fast.connect.settings import ConnectorSettings
from csfle_fast.errors import ConfigError, CsfleError

__all__ = [
    "LimitedConsumer",
    "Watch",
    "consumer_conf",
    "ends_with_a_code",
    "ensure_dead_letter_topic",
    "made",
    "producer_conf",
    "require_topics",
    "stop_on_signals",
    "tell",
    "watched",
]

T = TypeVar("T")

_QUERY_SEC = 30.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_log = logging.getLogger(__name__)


def _conf(settings: ConnectorSettings, client: str, given: Mapping[str, Any]) -> dict[str, Any]:
    if not given.get("bootstrap.servers"):
        raise ConfigError(f"bootstrap.servers: the {settings.kind} needs brokers for its {client}: name them")
    return dict(given)


def consumer_conf(settings: ConnectorSettings, *, until_end: bool, replay: bool = False) -> dict[str, Any]:
    """Configuration of the consumer: defaults, then what the connector's configuration gives.

    Raises:
        ConfigError: there are no brokers, or offsets would be committed before the rows are safe.
    """
    defaults: dict[str, Any] = {
        # A replay is a group of its own: it must not take part in the rebalances of the running connector.
        "group.id": f"connect-{settings.name}{'-replay' if replay else ''}",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    if until_end:
        defaults["enable.partition.eof"] = True
    conf = defaults | _conf(settings, "consumer", settings.consumer)
    if str(conf["enable.auto.commit"]).lower() != "false":
        raise ConfigError(
            "consumer.override.enable.auto.commit: leave it out, offsets are committed when rows are safe"
        )
    return conf


def producer_conf(settings: ConnectorSettings, *, transactional: str | None = None) -> dict[str, Any]:
    """Configuration of the producer, likewise.

    Args:
        settings: whose.
        transactional: the ``transactional.id`` where none is given.

    Raises:
        ConfigError: there are no brokers.
    """
    defaults: dict[str, Any] = {"enable.idempotence": True}
    if transactional is not None:
        defaults["transactional.id"] = transactional
    return defaults | _conf(settings, "producer", settings.producer)


def made(client: str, make: Callable[[dict[str, Any]], T], conf: Mapping[str, Any]) -> T:
    """A client of Kafka.

    Args:
        client: its name for the error.
        make: its class.
        conf: its configuration.

    Raises:
        ConfigError: librdkafka refuses the configuration; it names the property, if that can be told.
    """
    try:
        return make(dict(conf))
    except (KafkaException, TypeError, ValueError) as error:
        text = str(error)  # may quote values
    named = [name for name in conf if f'"{name}"' in text]
    what = ", ".join(named) or f"look at {client}.override.*"
    raise ConfigError(f"the {client} refuses its configuration: {what}")


class LimitedConsumer(Consumer):
    """A consumer that ends a pipeline after so many messages.

    Args:
        conf: librdkafka's.
        limit: how many.
        stop: is set when no more are to come and none is at hand.
    """

    def __init__(self, conf: dict[str, Any], limit: int, stop: threading.Event) -> None:
        super().__init__(conf)
        self._left = limit
        self._stop = stop

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Message]:
        """As Consumer does, but no more than are left."""
        if not self._left:
            if timeout > 0:  # the pipeline does not wait while it has a batch at hand
                self._stop.set()
            return []
        found = super().consume(min(num_messages, self._left), timeout)
        self._left -= sum(message.error() is None for message in found)
        return found


def require_topics(conf: Mapping[str, Any], topics: list[str]) -> None:
    """See that topics are there: one that is not has no end to read to.

    Args:
        conf: configuration of the consumer.
        topics: their names.

    Raises:
        ConfigError: one is not there.
        KafkaException: Kafka does not answer.
    """
    there = made("consumer", AdminClient, _connection(conf)).list_topics(timeout=_QUERY_SEC).topics
    for topic in topics:
        if topic not in there:
            raise ConfigError(f"topic {topic} does not exist")


def ensure_dead_letter_topic(settings: ConnectorSettings) -> None:
    """Create the dead letter topic where it is missing, as Kafka Connect does.

    Raises:
        KafkaException: Kafka does not answer.
    """
    name = settings.dead_letter_topic
    if name is None:
        return
    admin = made("producer", AdminClient, _connection(settings.producer))
    if name in admin.list_topics(timeout=_QUERY_SEC).topics:
        return
    topic = NewTopic(name, num_partitions=1, replication_factor=settings.dead_letter_replication_factor)
    try:
        admin.create_topics([topic])[name].result(_QUERY_SEC)
    except KafkaException as error:
        _log.warning("dead letter topic %s cannot be created (%s)", name, error.args[0].name())


def _connection(conf: Mapping[str, Any]) -> dict[str, Any]:
    """What an admin client needs of another client's configuration."""
    parts = ("bootstrap.servers", "security.", "sasl.", "ssl.", "client.", "broker.", "socket.")
    return {name: value for name, value in conf.items() if name.startswith(parts)}


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second one of them ends the process at once."""
    stop = threading.Event()

    def ask(_number: int, _frame: object) -> None:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        # The thread that was interrupted may hold the lock of the event.
        threading.Thread(target=stop.set).start()

    before = {number: signal.signal(number, ask) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _ToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        typer.echo(f"{record.levelname}: {self.format(record)}", err=True)


@contextmanager
def ends_with_a_code() -> Iterator[None]:
    """Tell errors in one line, and end with 2 for the configuration and 1 for what came later.

    Warnings and errors of the package go to stderr meanwhile.
    """
    log, handler = logging.getLogger("csfle_fast"), _ToStderr(logging.WARNING)
    log.addHandler(handler)
    code, message = 1, ""
    try:
        yield
    except ConfigError as error:
        code, message = 2, error.message
    except (CsfleError, RowFileError) as error:
        message = str(error)
    except KafkaException as error:
        message = f"Kafka refuses, or is out of reach ({error.args[0].name()})"
    except BrokenPipeError:
        # Python would complain at its end that it cannot flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        message = "nobody reads stdout any more"
    except OSError as error:
        message = f"{error.filename or 'stdin or output'}: {error.strerror or type(error).__name__}"
    else:
        return
    finally:
        log.removeHandler(handler)
    typer.echo(message, err=True)
    raise typer.Exit(code)


class Watch:
    """How far a pipeline is, for somebody who watches.

    Args:
        progress: of rich.
        task: its only task.
    """

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task
        self._rows = 0

    def add(self, rows: int) -> None:
        """So many rows more."""
        self._rows += rows
        self._progress.update(self._task, description=f"{self._rows:,} rows")

    def at(self, rows: int, position: int) -> None:
        """So many rows altogether, and where in the input that is."""
        self._rows = rows
        self._progress.update(self._task, description=f"{rows:,} rows", completed=position)


@contextmanager
def watched(total: int | None = None) -> Iterator[Watch]:
    """Show progress on stderr, on a terminal only.

    Args:
        total: size of the input, if that is known.
    """
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        redirect_stdout=False,  # rows may be on their way there
        transient=True,
    )
    with progress:
        yield Watch(progress, progress.add_task("0 rows", total=total))


def tell(report: PipelineReport, *, as_json: bool, err: bool) -> None:
    """Print what a pipeline did."""
    numbers = asdict(report)
    if as_json:
        typer.echo(json.dumps(numbers), err=err)
        return
    typer.echo(", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in numbers.items()), err=err)
