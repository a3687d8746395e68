"""The commands of ``csfle-fast``; what they do lives in rooms of its own, imported when a command runs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from csfle_fast.cli.bench_command import bench
from csfle_fast.cli.connect import connect_app
from csfle_fast.cli.dev import dev_app

__all__ = ["app"]

app = typer.Typer(
    name="csfle-fast",
    help="Client-side field level encryption of Avro records, in Confluent's format.",
    no_args_is_help=True,
    add_completion=False,
    # A local variable of a traceback may be a key or a row.
    pretty_exceptions_show_locals=False,
)
app.add_typer(dev_app, name="dev")
app.add_typer(connect_app, name="connect")
app.command()(bench)

# What the demo needs beyond [cli]; a missing module of another name is a fault of ours and stays a traceback.
_DEMO_MODULES = {"fastapi", "starlette", "uvicorn", "confluent_kafka", "fastavro"}


@app.callback()
def commands() -> None:
    """Client-side field level encryption of Avro records, in Confluent's format."""


@app.command()
def demo(
    rows: Annotated[
        int, typer.Option("--rows", "-n", min=1, help="Rows of each data set; it repeats as needed.")
    ] = 1_000,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead of tables.")
    ] = False,
) -> None:
    """Encrypt rows through Kafka and back, check them on the wire, and compare with confluent-kafka.

    Starts everything it needs in this process: the development registry, a mock Kafka
    broker and a local KMS. Ends with code 1 when anything did not hold.
    """
    try:
        from csfle_fast.cli.demo import run_demo  # noqa: PLC0415 - needs more than [cli]
        from csfle_fast.cli.demo_view import progress_bar, show_report  # noqa: PLC0415 - as above
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in _DEMO_MODULES:
            raise
        typer.echo("The demo needs more packages: pip install 'csfle-fast[demo]'", err=True)
        raise typer.Exit(2) from None
    with progress_bar() as progress:
        report = run_demo(rows, progress)
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=2, ensure_ascii=False))
    else:
        show_report(report)
    if not report.ok:
        raise typer.Exit(1)
