"""What a bench is given: schema, rules and rows out of files, made fit for this machine alone."""

from __future__ import annotations

import io
import json
import threading
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka.schema_registry import Schema

from csfle_fast import tagged_fields
from csfle_fast.cli.bench_rows import make_rows
from csfle_fast.cli.json_rows import JsonRows
from csfle_fast.cli.row_files import format_of, open_reader
from csfle_fast.errors import ConfigError

__all__ = ["BenchInput", "read_input"]

_LOCAL = {"encrypt.kms.type": "local-kms", "encrypt.kms.key.id": "bench"}
# What a rule keeps of its parameters: credentials and the address of a KMS are not among them.
_KEPT = ("encrypt.kek.name", "encrypt.dek.algorithm", "encrypt.dek.expiry.days")
_ENCRYPTING = ("ENCRYPT", "ENCRYPT_PAYLOAD")
_RULE_PLACES = ("domainRules", "encodingRules")


@dataclass(frozen=True, slots=True)
class BenchInput:
    """What is measured.

    Attributes:
        name: the record's name without its namespace, which serves as the topic.
        payload: what is registered: schema, rule set, metadata.
        rows: as fastavro takes them.
        notes: what was assumed or changed, a sentence each.
    """

    name: str
    payload: dict[str, Any]
    rows: list[Any]
    notes: tuple[str, ...]


def read_input(schema: Path, rules: Path | None, rows: str | None, count: int) -> BenchInput:
    """Read what is given, and make up the rest.

    Args:
        schema: an Avro schema, or what is registered: an object with ``schema`` and maybe ``ruleSet``
            and ``metadata``.
        rules: a rule set, or an object with ``ruleSet`` and maybe ``metadata``.
        rows: a file of rows; ``-`` is stdin; None to make them from the schema.
        count: how many rows are wanted; fewer are repeated.

    Raises:
        ConfigError: something is not there, or is not what it should be. The sentence names the file.
        CsfleError: the schema is not valid, or refused.
        RowFileError: a row cannot be read.
    """
    notes: list[str] = []
    given = _object(schema)
    if "schema" in given and "type" not in given:
        if not isinstance(given["schema"], str) or given.get("references"):
            raise ConfigError(f"{schema}: its schema must be one text, with all references written out")
    else:
        given = {"schema": json.dumps(given)}
    if rules is not None:
        found = _object(rules)
        given |= found if "ruleSet" in found else {"ruleSet": found}
    metadata = given.get("metadata")
    if metadata is not None and not _is_metadata(metadata):
        raise ConfigError(
            f"{rules or schema}: metadata must be an object of tags (lists) and properties (texts)"
        )
    tags = sorted({tag for tags in tagged_fields(given["schema"], metadata).values() for tag in tags})
    shape = _shape(schema, given["schema"])
    rule_set = given.get("ruleSet")
    if rule_set is None:
        if not tags:
            raise ConfigError(f"{schema}: no field has a tag (confluent:tags), so nothing would be encrypted")
        rule_set = _assumed(tags)
        notes.append(f"no rules given: one ENCRYPT rule with AES256_GCM for {', '.join(tags)} is assumed")
    else:
        rule_set = _localised(rules or schema, rule_set, notes)
    payload = {"schemaType": "AVRO", "schema": given["schema"], "ruleSet": rule_set}
    if metadata is not None:
        payload["metadata"] = metadata
    _check(rules or schema, payload)
    if rows is None:
        found_rows = make_rows(shape, count)
        notes.append(f"no rows given: {count:,} were made from the schema")
    else:
        found_rows = _read_rows(rows, shape, count, notes)
    _try(shape, found_rows, rows)
    name = str(shape.schema["name"]).rpartition(".")[2]
    return BenchInput(name, payload, found_rows, tuple(notes))


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
        json.dumps(found, ensure_ascii=False).encode()  # an escape may stand for half a character
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except (ValueError, RecursionError):
        reason = "it is not JSON"
    else:
        if isinstance(found, dict):
            return found
        reason = "a JSON object is wanted"
    raise ConfigError(f"{path}: {reason}")


def _is_metadata(metadata: Any) -> bool:
    if not isinstance(metadata, dict):
        return False
    tags, properties = (metadata.get(part) or {} for part in ("tags", "properties"))
    if not isinstance(tags, dict) or not isinstance(properties, dict):
        return False
    lists = [found for found in tags.values() if isinstance(found, list)]
    texts = [*properties.values(), *(tag for found in lists for tag in found)]
    return len(lists) == len(tags) and all(isinstance(text, str) for text in texts)


def _check(path: Path, payload: dict[str, Any]) -> None:
    """See that confluent-kafka's client takes it; it keeps schemas by their hash."""
    try:
        hash(Schema.from_dict(payload))
    except Exception as error:  # noqa: BLE001 - whatever it stumbles over
        reason = type(error).__name__
    else:
        return
    raise ConfigError(f"{path}: confluent-kafka's client cannot use the rule set ({reason})")


def _shape(path: Path, text: str) -> JsonRows:
    schema = json.loads(text)
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise ConfigError(f"{path}: a record is wanted, for only fields have tags")
    try:
        return JsonRows(schema)
    except Exception as error:  # noqa: BLE001 - whatever fastavro raises becomes one sentence
        reason = type(error).__name__
    raise ConfigError(f"{path}: fastavro cannot use the schema ({reason})")


def _assumed(tags: list[str]) -> dict[str, Any]:
    rule = {
        "name": "bench",
        "kind": "TRANSFORM",
        "type": "ENCRYPT",
        "mode": "WRITEREAD",
        "tags": tags,
        "params": {"encrypt.kek.name": "bench", "encrypt.dek.algorithm": "AES256_GCM"} | _LOCAL,
        "onFailure": "ERROR,ERROR",
    }
    return {"domainRules": [rule]}


def _localised(path: Path, rule_set: Any, notes: list[str]) -> dict[str, Any]:
    """The rule set with all KEKs in the local KMS, run both ways."""
    if not isinstance(rule_set, dict):
        raise ConfigError(f"{path}: a rule set is an object with domainRules or encodingRules")
    found = dict(rule_set)
    for place in _RULE_PLACES:
        rules = found.get(place) or []
        if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
            raise ConfigError(f"{path}: {place} must be a list of rules")
        found[place] = [_localised_rule(path, rule, notes) for rule in rules]
    if not any(found[place] for place in _RULE_PLACES):
        raise ConfigError(f"{path}: it has neither domainRules nor encodingRules")
    return found


def _localised_rule(path: Path, rule: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    if str(rule.get("type")).upper() not in _ENCRYPTING:
        return rule
    params = rule.get("params") or {}
    if not isinstance(params, dict) or not all(isinstance(value, str) for value in params.values()):
        raise ConfigError(f"{path}: params must be an object of texts")
    name, mode = rule.get("name"), rule.get("mode") or "WRITEREAD"
    kms = params.get("encrypt.kms.type", "the registry's KMS")
    if kms != "local-kms":
        notes.append(f"rule {name}: the KEK is put on local-kms in place of {kms}; no KMS is called")
    if mode != "WRITEREAD":
        notes.append(f"rule {name}: runs both ways, though its mode is {mode}")
    kept = {key: params[key] for key in _KEPT if key in params}
    return rule | {"mode": "WRITEREAD", "params": kept | _LOCAL}


def _read_rows(path: str, shape: JsonRows, count: int, notes: list[str]) -> list[Any]:
    """So many rows of a file, from the start again where it has fewer. Tombstones are left out."""
    form = format_of(path, None)
    try:
        with open_reader(path, form, shape, threading.Event()) as reader:
            found = list(islice((row for row in reader if row is not None), count))
    except OSError as error:
        reason = error.strerror or type(error).__name__
    else:
        if found:
            if len(found) < count:
                notes.append(f"{path} has {len(found):,} rows, which repeat")
            return list(islice(cycle(found), count))
        reason = "it has no rows"
    raise ConfigError(f"{path}: {reason}")


def _try(shape: JsonRows, rows: list[Any], path: str | None) -> None:
    """See that fastavro takes the rows: its own errors quote values, and shall not come up later."""
    for number, row in enumerate(rows, 1):
        try:
            fastavro.schemaless_writer(io.BytesIO(), shape.schema, row)
        except Exception as error:  # noqa: BLE001 - whatever fastavro raises
            reason = type(error).__name__
        else:
            continue
        raise ConfigError(f"{path or 'rows'}: fastavro cannot write row {number} ({reason})")
