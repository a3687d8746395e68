"""``csfle-fast connect``: files to topics, topics to files, topics to topics, encrypted and decrypted."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from confluent_kafka import Consumer, Producer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from csfle_fast.cli.connect_rows import FileHandler, FileRows, key_of
from csfle_fast.cli.connect_run import (
    LimitedConsumer,
    consumer_conf,
    ends_with_a_code,
    ensure_dead_letter_topic,
    made,
    producer_conf,
    require_topics,
    stop_on_signals,
    tell,
    watched,
)
from csfle_fast.cli.latest import LatestSchemas
from csfle_fast.cli.row_files import STREAM, Format, format_of, open_reader
from csfle_fast.cli.row_writers import open_writer
from csfle_fast.connect import (
    HookPlan,
    PipelineReport,
    SinkHook,
    SourceHook,
    run_sink,
    run_source,
    run_topic,
)
from csfle_fast.errors import ConfigError

__all__ = ["connect_app"]

_CODES = """
Exit codes: 0 done, or stopped by SIGINT or SIGTERM in good order; 1 something failed on the way, a message
on stderr says what; 2 the command or the configuration is not right.
"""

connect_app = typer.Typer(
    help="Connectors: rows from files to Kafka and back, by Confluent's connector settings.\n" + _CODES,
    no_args_is_help=True,
)

_Config = Annotated[Path, typer.Argument(help="Connector settings: a .properties or .json file.")]
_Form = Annotated[
    Format | None, typer.Option("--format", help="json (lines) or avro (container). Default: by the suffix.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


@connect_app.callback()
def connect() -> None:
    """Connectors: rows from files to Kafka and back, by Confluent's connector settings."""


@connect_app.command(epilog=_CODES)
def source(
    config: _Config,
    *,
    topic: Annotated[str, typer.Option(help="The topic to produce to.")],
    input_: Annotated[str, typer.Option("--input", help="The file of rows; - is stdin.")] = STREAM,
    form: _Form = None,
    key: Annotated[
        str | None, typer.Option(help="The field of the row to take for the record's key.")
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Most rows in a batch; a batch is produced when it is full.")
    ] = 500,
    as_json: _Json = False,
) -> None:
    """Encrypt the rows of a file and produce them to a topic, at least once.

    A row that does not fit ends the command, unless errors.tolerance is all. The report tells how many
    rows from the first on were dealt with (consumed).
    """
    with ends_with_a_code(), stop_on_signals() as stop, ExitStack() as stack:
        form = format_of(input_, form)
        hook = stack.enter_context(SourceHook.from_file(config))
        producer = made("producer", Producer, producer_conf(hook.settings))
        schemas = stack.enter_context(LatestSchemas(hook.settings.value))
        shape = schemas.shape(topic)
        take_key = key_of(hook, topic, shape, key) if key is not None else None
        reader = stack.enter_context(open_reader(input_, form, shape, stop))
        rows = FileRows(reader, take_key, goes_on=hook.settings.tolerance == "all")
        watch = stack.enter_context(watched(reader.size))
        report = run_source(
            hook,
            producer,
            topic,
            rows,
            safe=lambda count: watch.at(count, reader.position),
            stop=stop,
            batch_size=batch_size,
        )
        stack.close()
        report.consumed += rows.left_out
        report.failed += rows.left_out
        tell(report, as_json=as_json, err=False)
        if rows.failure is not None:
            raise rows.failure


@connect_app.command(epilog=_CODES)
def sink(
    config: _Config,
    *,
    topic: Annotated[
        list[str] | None, typer.Option(help="A topic to consume; may be repeated. Default: topics of CONFIG.")
    ] = None,
    output: Annotated[str, typer.Option(help="The file to append rows to; - is stdout.")] = STREAM,
    form: _Form = None,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="End where the topics ended at the start.")
    ] = False,
    max_messages: Annotated[int | None, typer.Option(min=1, help="End after so many messages.")] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Read the connector's own dead letters, until their end.")
    ] = False,
    to_topic: Annotated[
        str | None, typer.Option(help="Produce to this topic instead of a file, exactly once.")
    ] = None,
    source_config: Annotated[
        Path | None, typer.Option(help="Settings of the source that encrypts for --to-topic.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Consume topics, decrypt, and write the rows to a file, at least once; or to another topic.

    Offsets are committed when the rows are on disk (or have left for stdout); after a crash, rows may
    stand in the file twice. Dead letters go to errors.deadletterqueue.topic.name. The report goes to
    stderr where the rows go to stdout.
    """
    with ends_with_a_code(), stop_on_signals() as stop, ExitStack() as stack:
        _refuse_contradictions(topic, output, form, max_messages, replay, to_topic, source_config)
        hook = stack.enter_context(SinkHook.from_file(config))
        settings = hook.settings
        until_end = until_end or replay
        topics = list(topic or settings.topics)
        if replay:
            if settings.dead_letter_topic is None:
                raise ConfigError("errors.deadletterqueue.topic.name: without it there are none to replay")
            topics = [settings.dead_letter_topic]
        if not topics:
            raise ConfigError("topics: name the topics to consume, there or by --topic")
        conf = consumer_conf(settings, until_end=until_end, replay=replay)
        if until_end:
            require_topics(conf, topics)
        options = {"topics": topics, "stop": stop, "until_end": until_end}
        if to_topic is not None and source_config is not None:
            run = _to_topic(stack, hook, conf, to_topic, source_config, options)
        else:
            run = _to_file(stack, hook, conf, output, format_of(output, form), max_messages, replay, options)
        if settings.dead_letter_topic is not None:
            ensure_dead_letter_topic(settings)
        report = run()
        stack.close()
        tell(report, as_json=as_json, err=to_topic is None and output == STREAM)


def _refuse_contradictions(
    topic: list[str] | None,
    output: str,
    form: Format | None,
    max_messages: int | None,
    replay: bool,
    to_topic: str | None,
    source_config: Path | None,
) -> None:
    if (to_topic is None) != (source_config is None):
        raise ConfigError("--to-topic and --source-config belong together")
    if to_topic is not None and (output != STREAM or form is not None or max_messages is not None):
        raise ConfigError("--to-topic: --output, --format and --max-messages are for files")
    if replay and topic:
        raise ConfigError("--replay: reads the dead letters; leave --topic out")


def _to_topic(
    stack: ExitStack,
    hook: SinkHook,
    conf: dict[str, Any],
    topic: str,
    source_config: Path,
    options: dict[str, Any],
) -> Callable[[], PipelineReport]:
    there = stack.enter_context(SourceHook.from_file(source_config))
    transactional = f"csfle-fast-{hook.settings.name}"
    producer = made("producer", Producer, producer_conf(there.settings, transactional=transactional))
    consumer = made("consumer", Consumer, conf)
    stack.callback(consumer.close)
    return lambda: run_topic(hook, there, consumer, producer, topic, **options)


def _to_file(
    stack: ExitStack,
    hook: SinkHook,
    conf: dict[str, Any],
    output: str,
    form: Format,
    max_messages: int | None,
    replay: bool,
    options: dict[str, Any],
) -> Callable[[], PipelineReport]:
    producer = None
    if hook.settings.dead_letter_topic is not None:
        producer = made("producer", Producer, producer_conf(hook.settings))
    stop: threading.Event = options["stop"]
    if max_messages is None:
        consumer = made("consumer", Consumer, conf)
    else:
        consumer = made("consumer", lambda given: LimitedConsumer(given, max_messages, stop), conf)
    stack.callback(consumer.close)
    schemas = stack.enter_context(LatestSchemas(hook.settings.value))
    shapes = [] if replay else [schemas.shape(topic) for topic in options["topics"]]
    writer = stack.enter_context(open_writer(output, form))
    for shape in shapes:  # in a replay, the dead letters tell which topics they come from
        writer.begin(shape)
    handle = FileHandler(
        schemas,
        writer,
        stack.enter_context(watched()),
        dead_letters=hook.settings.dead_letter_topic,
        takes_null=form is Format.JSON,
    )
    return lambda: run_sink(hook, consumer, handle, producer=producer, **options)


@connect_app.command(epilog=_CODES)
def explain(
    config: _Config,
    *,
    topic: Annotated[str, typer.Option(help="The topic.")],
    key: Annotated[bool, typer.Option("--key", help="Look at keys instead of values.")] = False,
    as_sink: Annotated[bool, typer.Option("--sink", help="CONFIG is a sink's; else a source's.")] = False,
    as_json: _Json = False,
) -> None:
    """Tell what happens to each tagged field of a topic, and why. Needs no Kafka."""
    with ends_with_a_code(), (SinkHook if as_sink else SourceHook).from_file(config) as hook:
        plan = hook.explain(topic, "key" if key else "value")
        if as_json:
            typer.echo(json.dumps(asdict(plan), indent=2))
        else:
            show_plan(plan)


def show_plan(plan: HookPlan, console: Console | None = None) -> None:
    """Print a plan as a table."""
    console = console or Console()
    table = Table(title=f"{plan.connector}: {plan.kind}", title_justify="left")
    columns = ("path", "type", "tags", "rule", "decision", "reason")
    for column in columns:
        table.add_column(column, overflow="fold")
    for entry in plan.fields:
        shown = asdict(entry) | {"tags": ", ".join(entry.tags)}
        # Text, not markup: a path may hold square brackets.
        table.add_row(*(Text(shown[column] or "") for column in columns))
    console.print(table)
    dead_letters = plan.dead_letter_topic or "nowhere"
    console.print(
        f"csfle.enabled {str(plan.csfle_enabled).lower()}, csfle.onFailure {plan.on_failure}, "
        f"dead letters to {dead_letters}",
        markup=False,
    )
    for note in plan.notes:
        console.print(f"Note: {note}.", style="yellow", markup=False)
