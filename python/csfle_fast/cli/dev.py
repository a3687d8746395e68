"""``csfle-fast dev``: servers for development."""

from __future__ import annotations

import secrets
from typing import Annotated

import typer

from csfle_fast.errors import ConfigError

__all__ = ["dev_app"]

dev_app = typer.Typer(help="Servers for development, on loopback.", no_args_is_help=True)

# What comes with [dev]; a missing module of another name is a fault of ours and stays a traceback.
_DEV_MODULES = {"fastapi", "pydantic", "starlette", "uvicorn"}


@dev_app.callback()
def dev() -> None:
    """Servers for development, on loopback."""


@dev_app.command()
def registry(
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port, 0 for a free one.")] = 8081,
    host: Annotated[str, typer.Option(help="A loopback address.")] = "127.0.0.1",
    secret: Annotated[
        str | None,
        typer.Option(
            envvar="LOCAL_SECRET",
            show_default=False,
            help="Secret of the local KMS, for shared KEKs; rather set LOCAL_SECRET. Default: a random one.",
        ),
    ] = None,
) -> None:
    """Run a Schema Registry with a DEK registry, in memory, until Ctrl-C.

    Prints its URL once it answers.
    """
    try:
        from csfle_fast.dev import DevRegistry  # noqa: PLC0415 - needs more than [cli]
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in _DEV_MODULES:
            raise
        typer.echo("The development registry needs more packages: pip install 'csfle-fast[dev]'", err=True)
        raise typer.Exit(2) from None

    def ready(url: str) -> None:
        if not secret:
            typer.echo(
                "No secret given (LOCAL_SECRET): shared KEKs use a random one until this process ends.",
                err=True,
            )
        typer.echo(url)

    try:
        DevRegistry(host=host, port=port, secret=secret or secrets.token_urlsafe()).serve_forever(ready)
    except (ConfigError, OSError) as error:
        typer.echo(f"Cannot serve on {host}:{port}: {error}", err=True)
        raise typer.Exit(1) from None
