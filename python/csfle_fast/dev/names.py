"""Subject names, contexts and version numbers as they stand in paths and bodies.

A subject of a context other than the default one is written ``:.context:subject``;
``:.:subject`` and ``subject`` are the same subject of the default context ``"."``.
"""

from __future__ import annotations

from csfle_fast.dev.refusal import Refusal

__all__ = [
    "ALL_CONTEXTS",
    "DEFAULT_CONTEXT",
    "LATEST",
    "normalize_context",
    "parse_version",
    "qualify",
    "split_subject",
    "subject_key",
]

DEFAULT_CONTEXT = "."
ALL_CONTEXTS = ":*:"
LATEST = -1
_MAX_VERSION = 2**31 - 1
_RESERVED = frozenset({"__GLOBAL", "__EMPTY"})


def normalize_context(context: str | None) -> str:
    """``None``, ``""`` and ``":.:"`` are the default context; ``":.ctx:"`` is ``".ctx"``."""
    name = (context or "").strip(":")
    if not name:
        return DEFAULT_CONTEXT
    return name if name.startswith(".") else f".{name}"


def split_subject(subject: str) -> tuple[str, str]:
    """``":.ctx:s"`` -> ``(".ctx", "s")``; ``"s"`` -> ``(".", "s")``."""
    if subject.startswith(":."):
        context, separator, name = subject[1:].partition(":")
        if separator:
            return context, name
    return DEFAULT_CONTEXT, subject


def qualify(context: str, subject: str) -> str:
    """The subject's full name, seen from ``context``: a subject that names its own context keeps it."""
    own, name = split_subject(subject)
    if own == DEFAULT_CONTEXT and not subject.startswith(":.:"):
        own = context
    return name if own == DEFAULT_CONTEXT else f":{own}:{name}"


def subject_key(subject: str) -> str:
    """The full name of a subject that may be registered.

    Raises:
        Refusal: 422/42208, the name is empty, reserved, or has control characters.
    """
    _, name = split_subject(subject)
    if not name or name in _RESERVED or any(ord(c) < 32 or 127 <= ord(c) < 160 for c in subject):
        raise Refusal(422, 42208, "The specified subject is not a valid subject name.")
    return qualify(DEFAULT_CONTEXT, subject)


def parse_version(text: str) -> int:
    """A version from a path: 1 to 2^31 - 1, or LATEST for ``latest`` and ``-1``.

    Raises:
        Refusal: 422/42202.
    """
    if text in ("latest", "-1"):
        return LATEST
    if text.isascii() and text.isdigit() and 1 <= int(text) <= _MAX_VERSION:
        return int(text)
    raise Refusal(
        422,
        42202,
        "The specified version is not a valid version id. Allowed values are between "
        '[1, 2^31-1] and the string "latest".',
    )
