"""``csfle-fast dev``: servers for development."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from csfle_fast.errors import ConfigError

if TYPE_CHECKING:
    from csfle_fast.dev import Tls

__all__ = ["dev_app"]

dev_app = typer.Typer(help="Servers for development, on loopback.", no_args_is_help=True)

# What comes with [dev]; a missing module of another name is a fault of ours and stays a traceback.
_DEV_MODULES = {"fastapi", "pydantic", "starlette", "uvicorn"}
_RANDOM_SECRET = "No secret given (LOCAL_SECRET): shared KEKs use a random one until this process ends."  # noqa: S105
_NO_SECRET = (
    "No secret given (LOCAL_SECRET): shared KEKs are refused, for their keys would outlive a random one."  # noqa: S105
)


@dev_app.callback()
def dev() -> None:
    """Servers for development, on loopback."""


@dev_app.command()
def registry(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port, 0 for a free one.")] = 8081,
    host: Annotated[str, typer.Option(help="A loopback address.")] = "127.0.0.1",
    secret: Annotated[
        str | None,
        typer.Option(
            envvar="LOCAL_SECRET",
            show_default=False,
            help="Secret of the local KMS, for shared KEKs; rather set LOCAL_SECRET. Default: a random one, "
            "or none with --state.",
        ),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Serve https with this certificate (PEM); needs --key.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="The certificate's private key (PEM).")] = None,
    client_authority: Annotated[
        Path | None, typer.Option(help="Ask clients for a certificate that this authority (PEM) signed.")
    ] = None,
    users: Annotated[
        Path | None,
        typer.Option(help="File with a user a line, 'name:password', for basic authentication."),
    ] = None,
    tokens: Annotated[
        Path | None, typer.Option(help="File with a bearer token a line, 'name:token'.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="File that keeps everything stored; made if it is not there.")
    ] = None,
) -> None:
    """Run a Schema Registry with a DEK registry until Ctrl-C, in memory or with a state file.

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
            typer.echo(_RANDOM_SECRET if state is None else _NO_SECRET, err=True)
        typer.echo(url)

    try:
        DevRegistry(
            host=host,
            port=port,
            secret=secret or (secrets.token_urlsafe() if state is None else None),
            tls=_tls(certificate, key, client_authority),
            users=_named_secrets(users),
            tokens=_named_secrets(tokens),
            state=state,
        ).serve_forever(ready)
    except (ConfigError, OSError) as error:
        typer.echo(f"Cannot serve on {host}:{port}: {error}", err=True)
        raise typer.Exit(1) from None


def _tls(certificate: Path | None, key: Path | None, client_authority: Path | None) -> Tls | None:
    from csfle_fast.dev import Tls  # noqa: PLC0415 - needs more than [cli]

    if certificate is not None and key is not None:
        return Tls(certificate, key, client_authority)
    if certificate is None and key is None and client_authority is None:
        return None
    raise ConfigError("https needs --certificate and --key")


def _named_secrets(path: Path | None) -> dict[str, str] | None:
    """The lines ``name:secret`` of a file; empty ones do not count. A secret may have colons."""
    if path is None:
        return None
    found: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:  # it quotes what it could not read
        lines = [""]
    for number, line in enumerate(lines, 1):
        name, _, secret = line.partition(":")
        if line and (not name or not secret or name in found):
            raise ConfigError(f"{path}, line {number}: expected 'name:secret', each name once")
        if line:
            found[name] = secret
    if not found:  # or everybody would be let in
        raise ConfigError(f"{path}: there is no line 'name:secret'")
    return found
