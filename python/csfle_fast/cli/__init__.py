"""The ``csfle-fast`` command. Its parts need the extra ``csfle-fast[cli]``, its demo ``csfle-fast[demo]``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    try:
        from csfle_fast.cli.app import app  # noqa: PLC0415 - the base package does not have it
    except ModuleNotFoundError as missing:
        if missing.name != "typer":  # which brings rich
            raise
        sys.exit("The csfle-fast command is an extra of the package: pip install 'csfle-fast[cli]'")
    app()
