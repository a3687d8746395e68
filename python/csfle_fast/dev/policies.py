"""Configuration and mode, by subject, by context and for the whole registry."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, TypeVar

from csfle_fast.dev.models import ConfigUpdate, to_json
from csfle_fast.dev.names import DEFAULT_CONTEXT, split_subject
from csfle_fast.dev.refusal import Refusal
from csfle_fast.dev.state import Key, State

__all__ = ["GLOBAL", "Policies"]

_T = TypeVar("_T")

GLOBAL = ""
_CONFIGS = "config"
_MODES_SET = "mode"
_LEVELS = frozenset(
    {
        "NONE",
        "BACKWARD",
        "BACKWARD_TRANSITIVE",
        "FORWARD",
        "FORWARD_TRANSITIVE",
        "FULL",
        "FULL_TRANSITIVE",
    }
)
_MODES = frozenset({"READWRITE", "READONLY", "READONLY_OVERRIDE", "IMPORT"})


class Policies:
    """What applies to a subject: its own setting, else its context's, else the registry's.

    Scopes are a subject's full name, ``":.ctx:"`` for a context, GLOBAL for all.
    Compatibility levels are kept and returned, never enforced, hence the default NONE.

    Args:
        state: where they are kept.
    """

    def __init__(self, state: State | None = None) -> None:
        self._lock = threading.RLock()
        self._state = State() if state is None else state
        self._configs: dict[str, dict[str, Any]] = dict(self._state.records(_CONFIGS, _read))
        self._modes: dict[str, str] = dict(self._state.records(_MODES_SET, _read))

    def config(self, scope: str, *, default_to_global: bool = False) -> dict[str, Any]:
        """The settings of ``scope``, as JSON members.

        Raises:
            Refusal: 404/40408, it has none of its own.
        """
        with self._lock:
            if scope == GLOBAL or default_to_global:
                return {"compatibilityLevel": "NONE", **_in_scope(self._configs, scope, {})}
            if scope not in self._configs:
                raise Refusal(
                    404,
                    40408,
                    f"Subject '{scope}' does not have subject-level compatibility configured",
                )
            return dict(self._configs[scope])

    def effective_config(self, subject: str) -> ConfigUpdate:
        """What applies when ``subject`` gets a new version."""
        return ConfigUpdate.model_validate(self.config(subject, default_to_global=True))

    def put_config(self, scope: str, update: ConfigUpdate) -> dict[str, Any]:
        """Add to the settings of ``scope``; returns what was sent.

        Raises:
            Refusal: 422/42203, not a compatibility level.
        """
        level = update.compatibility or update.compatibility_level
        if level is not None and level not in _LEVELS:
            raise Refusal(422, 42203, "Invalid compatibility level. Valid values are " + _names(_LEVELS))
        members = to_json(update)
        members.pop("compatibility", None)
        if level is not None:
            members["compatibilityLevel"] = level
        with self._lock:
            config = {**self._configs.get(scope, {}), **members}
            self._state.save({(_CONFIGS, scope): config})
            self._configs[scope] = config
        answer = {name: value for name, value in members.items() if name != "compatibilityLevel"}
        return answer if level is None else {"compatibility": level, **answer}

    def delete_config(self, scope: str) -> dict[str, Any]:
        """Remove the settings of ``scope``; returns what they were."""
        with self._lock:
            old = self.config(scope)
            self._state.save({(_CONFIGS, scope): None})
            self._configs.pop(scope, None)
        return old

    def mode(self, scope: str, *, default_to_global: bool = False) -> str:
        """The mode of ``scope``.

        Raises:
            Refusal: 404/40409, it has none of its own.
        """
        with self._lock:
            if scope == GLOBAL or default_to_global:
                return _in_scope(self._modes, scope, "READWRITE")
            if scope not in self._modes:
                raise Refusal(404, 40409, f"Subject '{scope}' does not have subject-level mode configured")
            return self._modes[scope]

    def check_writable(self, subject: str) -> None:
        """Refuse any write to a subject in a read-only mode.

        Raises:
            Refusal: 422/42205.
        """
        if self.mode(subject, default_to_global=True).startswith("READONLY"):
            raise Refusal(422, 42205, f"Subject '{subject}' is in read-only mode")

    def check_registrable(self, subject: str, *, chooses_id: bool) -> None:
        """Refuse a registration that the mode does not allow: only IMPORT takes chosen ids, and only those.

        Raises:
            Refusal: 422/42205.
        """
        self.check_writable(subject)
        if chooses_id != (self.mode(subject, default_to_global=True) == "IMPORT"):
            state = "is not" if chooses_id else "is"
            raise Refusal(422, 42205, f"Subject '{subject}' {state} in import mode")

    def put_mode(self, scope: str, mode: str) -> None:
        """Set the mode of ``scope``.

        Raises:
            Refusal: 422/42204, not a mode.
        """
        if mode not in _MODES:
            raise Refusal(422, 42204, "Invalid mode. Valid values are " + _names(_MODES))
        with self._lock:
            self._state.save({(_MODES_SET, scope): mode})
            self._modes[scope] = mode

    def delete_mode(self, scope: str) -> str:
        """Remove the mode of ``scope``; returns what it was."""
        with self._lock:
            old = self.mode(scope)
            self._state.save({(_MODES_SET, scope): None})
            self._modes.pop(scope, None)
        return old


def _read(key: Key, value: Any) -> tuple[str, Any]:
    _, scope = key
    return scope, value


def _in_scope(settings: Mapping[str, _T], scope: str, default: _T) -> _T:
    context, _ = split_subject(scope)
    wider = [] if context == DEFAULT_CONTEXT else [f":{context}:"]
    for candidate in (scope, *wider, GLOBAL):
        if candidate in settings:
            return settings[candidate]
    return default


def _names(values: frozenset[str]) -> str:
    return ", ".join(sorted(values))
