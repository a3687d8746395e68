"""The command ``csfle-fast bench``: options, checks, exit codes."""

from __future__ import annotations

import importlib.util
import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from csfle_fast.cli.row_files import RowFileError
from csfle_fast.errors import ConfigError, CsfleError

if TYPE_CHECKING:
    from csfle_fast.cli.bench import BenchReport

__all__ = ["bench"]

# What comes with [bench]; a missing module of another name is a fault of ours and stays a traceback.
_BENCH_MODULES = {"fastapi", "pydantic", "starlette", "uvicorn"}
_MORE_PACKAGES = "The bench needs more packages: pip install 'csfle-fast[bench]'"


def bench(
    schema: Annotated[
        Path, typer.Argument(help="An Avro schema, or what is registered: schema and ruleSet in one object.")
    ],
    *,
    rules: Annotated[
        Path | None,
        typer.Option(help="The rule set. Default: SCHEMA's own, else one rule for all tags with AES256_GCM."),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(help="JSON lines or an Avro container; - is stdin. Default: made from the schema."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Rows in a batch.")] = 1_000,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contestant.")] = 10,
    threads: Annotated[int, typer.Option(min=1, help="Measure our calls with so many threads too.")] = 1,
    provider: Annotated[str, typer.Option(help="Who does AES-GCM: the setting crypto.provider.")] = "auto",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures into this file.")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw them into this file: .svg or .png.")] = None,
) -> None:
    """Measure your schema and rules through csfle_fast, confluent-kafka and fastavro, side by side.

    Starts a development registry in this process; every KEK is put on a local KMS, so that no cloud is
    called. Results are compared first; then all take turns on the same rows. Ends with code 2 where the
    input does not serve, and with code 1 where our own results did not hold.
    """
    told = _command(schema, rules, rows, batch, rounds, threads, provider)
    try:
        _check_outputs(json_file, picture)
        report = _run(schema, rules, rows, batch, rounds, threads, provider, told)
        _hand_over(report, json_file, picture)
    except (CsfleError, RowFileError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    if report.problems:
        raise typer.Exit(1)


def _command(
    schema: Path, rules: Path | None, rows: str | None, batch: int, rounds: int, threads: int, provider: str
) -> str:
    """The command as it could be given again, with names of files in place of paths."""
    words = ["csfle-fast", "bench", schema.name]
    if rules is not None:
        words += ["--rules", rules.name]
    if rows is not None:
        words += ["--rows", Path(rows).name]
    numbers = {"--batch": batch, "--rounds": rounds, "--threads": threads, "--provider": provider}
    for option, value in numbers.items():
        words += [option, str(value)]
    return shlex.join(words)


def _check_outputs(json_file: Path | None, picture: Path | None) -> None:
    """What would only come up when everything is measured.

    Raises:
        ConfigError: a file cannot be written, or not drawn.
    """
    for path in (json_file, picture):
        if path is not None and not path.parent.is_dir():
            raise ConfigError(f"{path}: there is no such folder")
    if picture is None:
        return
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigError(_MORE_PACKAGES)
    from csfle_fast.cli.pictures import FORMATS  # noqa: PLC0415 - needs matplotlib

    if picture.suffix.lower() not in FORMATS:
        raise ConfigError(f"{picture}: a picture is a file {' or '.join(FORMATS)}")


def _run(
    schema: Path,
    rules: Path | None,
    rows: str | None,
    batch: int,
    rounds: int,
    threads: int,
    provider: str,
    told: str,
) -> BenchReport:
    try:
        from rich.console import Console  # noqa: PLC0415 - as the next ones, not for --help

        from csfle_fast.cli.bench import run_bench  # noqa: PLC0415 - needs more than [cli]
        from csfle_fast.cli.bench_input import read_input  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in _BENCH_MODULES:
            raise
        raise ConfigError(_MORE_PACKAGES) from None
    given = read_input(schema, rules, rows, batch)
    with Console(stderr=True).status("measuring ..."):
        return run_bench(given, rounds=rounds, threads=threads, provider=provider, command=told)


def _hand_over(report: BenchReport, json_file: Path | None, picture: Path | None) -> None:
    """Show the report, and write the files.

    Raises:
        ConfigError: one cannot be written.
    """
    from csfle_fast.cli.bench_view import draw_report, show_report  # noqa: PLC0415 - not for --help

    show_report(report)
    try:
        if json_file is not None:
            text = json.dumps(asdict(report), indent=2, ensure_ascii=False)
            json_file.write_text(f"{text}\n", encoding="utf-8")
        if picture is not None and report.figures:
            draw_report(report, picture)
    except OSError as error:
        reason = f"{error.filename}: {error.strerror or type(error).__name__}"
    else:
        return
    raise ConfigError(reason)
