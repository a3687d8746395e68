"""What a configuration gives: each property found in the table, checked, and free of contradictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from csfle_fast.connect.names import Place, locate, nearest
from csfle_fast.connect.table import PROPERTIES, ByKind, Kind, Part
from csfle_fast.errors import ConfigError

__all__ = ["Given", "GivenProperties", "read"]

_DEFAULTS = {row.name: row.default for row in PROPERTIES}


@dataclass(frozen=True, slots=True)
class Given:
    """One property that was given.

    Attributes:
        name: the name under which it was.
        value: its value, which may be a secret.
    """

    name: str
    value: Any = field(repr=False)


class GivenProperties:
    """The properties of the connector, or of one converter, by the names of the table."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._given: dict[str, Given] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def __getitem__(self, name: str) -> Any:
        """The value that was given, else the default of the table."""
        given = self._given.get(name)
        if given is not None:
            return given.value
        default = _DEFAULTS.get(name)
        return getattr(default, self._kind) if isinstance(default, ByKind) else default

    def items(self) -> Iterator[tuple[str, Any]]:
        """What was given, by the name in the table."""
        return ((name, given.value) for name, given in self._given.items())

    def name_of(self, name: str) -> str:
        """The name under which a property was given, or its own."""
        given = self._given.get(name)
        return given.name if given is not None else name

    def below(self, prefix: str) -> dict[str, Any]:
        """What was given under names that begin with ``prefix``, by the rest of the name."""
        return {name.removeprefix(prefix): value for name, value in self.items() if name.startswith(prefix)}

    def add(self, sets: str, given: Given) -> None:
        """Take a property.

        Raises:
            ConfigError: it was given before, under another name, with another value.
        """
        first = self._given.setdefault(sets, given)
        if first.value != given.value:
            raise ConfigError(
                f"{sets} is given as {first.name} and as {given.name} with different values: keep one"
            )


@dataclass(frozen=True)
class Reading:
    """A configuration, sorted.

    Attributes:
        connector: the properties of the connector itself.
        key: those of the converter of keys.
        value: those of the converter of values.
        warnings: what has no effect, in plain words.
    """

    connector: GivenProperties
    key: GivenProperties
    value: GivenProperties
    warnings: tuple[str, ...]


def read(config: Mapping[str, object], kind: Kind, *, has_client: bool) -> Reading:
    """Sort and check the properties one by one.

    Args:
        config: the properties, flat. None is the same as absent.
        kind: whose they are.
        has_client: whether a registry client was handed in, so that those of the registry do not count.

    Raises:
        ConfigError: (a ValueError) a value is not allowed, or contradicts that of another form.
    """
    connector = GivenProperties(kind)
    parts: dict[Part, GivenProperties] = {"key": GivenProperties(kind), "value": GivenProperties(kind)}
    warnings: list[str] = []
    unused: list[str] = []
    for name, value in config.items():
        if not isinstance(name, str):
            raise ConfigError("the names of properties must be text", "unknown_setting")
        if value is None:
            continue
        place = locate(name)
        warning = _without_effect(name, place, kind)
        if place is None or warning:
            warnings.append(warning)
        elif has_client and place.row.group == "registry":
            unused.append(name)
        else:
            _take(place, Given(name, place.row.parse(name, value)), connector, parts)
    if unused:
        verb = "has" if len(unused) == 1 else "have"
        warnings.append(f"{', '.join(unused)} {verb} no effect: a SchemaRegistryClient was handed in")
    return Reading(connector, parts["key"], parts["value"], tuple(warnings))


def _without_effect(name: str, place: Place | None, kind: Kind) -> str:
    """Why a property has no effect here; empty where it has one."""
    if place is None:
        return f"{name} is not known and has no effect here; the nearest known property is {nearest(name)}"
    if kind not in place.row.kinds:
        return f"{name} has no effect: {kind}s have none"
    return ""


def _take(place: Place, given: Given, connector: GivenProperties, parts: dict[Part, GivenProperties]) -> None:
    if given.value is None:
        return  # empty text
    if not place.parts and place.row.part is None:
        connector.add(place.sets, given)
    for part in place.parts:
        parts[part].add(place.sets, given)
