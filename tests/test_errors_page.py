"""docs/errors.md names exactly the codes that the code raises, each under the class that carries it."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from csfle_fast import _core, errors, registry_errors
from csfle_fast.connect import errors as connect_errors
from csfle_fast.kms import refusal

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "csfle_fast"
PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")

# A RetriableError is the handlers' own, and has one code.
CLASSES = {*errors.__all__, *connect_errors.__all__} - {"RetriableError", "is_retriable", "OUTAGE_CODES"}
# Where the code stands among the arguments; first, unless said here.
POSITIONS = {"ConfigError": 1, "RowError": 2, "DataException": 2}
DEFAULTS = {"ConfigError": "bad_config"}
CODE = re.compile(r"[a-z][a-z0-9_]+")
# The tables that registry_error takes its code from.
TABLES = {*registry_errors._BY_NUMBER.values(), *registry_errors._BY_STATUS.values()}
# Raising again with a code that was raised before, or that the core told: these add none.
PASSED_ON = {("RowError", "batches.py"), ("KmsError", "refusal.py")}
# Codes that a Delivery is made with.
DELIVERIES = re.compile(r'Delivery\(producer(?:, "(\w+)")?\)|failed: str = "(\w+)"')


def raised_in_python() -> Iterator[tuple[str, str]]:
    """(class, code) of every error that a module of the package makes."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name == "errors.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for call in ast.walk(function):
                    if (
                        isinstance(call, ast.Call)
                        and isinstance(call.func, ast.Name)
                        and call.func.id in CLASSES
                    ):
                        yield from codes_of(call, call.func.id, function, path)


def codes_of(
    call: ast.Call, name: str, function: ast.FunctionDef | ast.AsyncFunctionDef, path: Path
) -> Iterator[tuple[str, str]]:
    position = POSITIONS.get(name, 0)
    keyword = next((keyword.value for keyword in call.keywords if keyword.arg == "code"), None)
    given = keyword or (call.args[position] if len(call.args) > position else None)
    if given is None:
        yield name, DEFAULTS[name]
    elif isinstance(given, ast.Attribute) and given.attr in ("code", "_failed"):
        return  # another error's, or a Delivery's
    else:
        found = texts(given) if not isinstance(given, ast.Name) else assigned(given.id, function)
        assert found or (name, path.name) in PASSED_ON, f"{path.name}:{call.lineno}: which code is this?"
        for code in found:
            yield name, code


def texts(expression: ast.expr) -> set[str]:
    """Texts in an expression that may be codes."""
    return {
        node.value
        for node in ast.walk(expression)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value)
    }


def assigned(name: str, function: ast.AST) -> set[str]:
    """Codes that a function assigns to a local name, alone or as the first of several."""
    found: set[str] = set()
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id == name:
                found |= texts(node.value)
            elif isinstance(target, ast.Tuple) and getattr(target.elts[0], "id", None) == name:
                firsts = [pair.elts[0] for pair in ast.walk(node.value) if isinstance(pair, ast.Tuple)]
                found |= {code for first in firsts for code in texts(first)}
    return found


def raised_in_rust() -> Iterator[tuple[str, str]]:
    """(class, code) of every error that the compiled core makes besides those of rows."""
    for path in sorted((ROOT / "rust").glob("*/src/**/*.rs")):
        text = path.read_text(encoding="utf-8")
        for code in re.findall(r'SchemaError::of\(\s*"(\w+)"', text):
            yield "SchemaError", code
        if "SchemaError::invalid(" in text:
            yield "SchemaError", "invalid_schema"
        for code in re.findall(r'batch_error\(\s*"(\w+)"', text):
            yield "BatchError", code
        for code in re.findall(r'KeyError::\w+ => "(\w+)"', text):
            yield "KeyServiceError", code


def raised() -> dict[str, set[str]]:
    """Every code by its class."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    found["RowError"] = {code for code, _ in _core.row_codes()}
    found["RegistryError"] = set(TABLES)
    found["KmsError"] = set(refusal.CAUSES)
    for path in (PACKAGE / "connect").glob("*.py"):
        for codes in DELIVERIES.findall(path.read_text(encoding="utf-8")):
            found["PipelineError"].update(code for code in codes if code)
    for name, code in [*raised_in_python(), *raised_in_rust()]:
        found[name].add(code)
    return dict(found)


def on_page() -> dict[str, list[str]]:
    """The first cells of the page's tables by the class in the heading above."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in PAGE.splitlines():
        heading = re.match(r"## (\w+)", line)
        row = re.match(r"\| `([^`]+)` \|", line)
        if heading:
            current = found.setdefault(heading[1], [])
        elif row:
            current.append(row[1])
    return {heading: codes for heading, codes in found.items() if codes}


def test_the_collection_sees_every_way_to_raise() -> None:
    found = raised()
    assert set(found) == CLASSES
    assert {"no_kek", "no_dek", "unknown_dek_version", "bad_key_proto"} <= found["KeyServiceError"]
    assert {"registry_failed", "registry_refused", "throttled", "bad_answer"} <= found["RegistryError"]
    assert {"not_decodable", "not_a_frame"} <= found["RowError"]
    assert {"bad_config", "unknown_setting", "bad_strategy"} <= found["ConfigError"]
    assert {"bad_tag_pattern", "invalid_schema", "not_avro", "undefined_name"} <= found["SchemaError"]


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_the_page_has_every_code_once_and_no_other(name: str) -> None:
    assert sorted(on_page().get(name, [])) == sorted(raised().get(name, set()))


def test_what_counts_as_an_outage_is_raised() -> None:
    assert {*raised()["RegistryError"], *raised()["KmsError"]} >= errors.OUTAGE_CODES


def test_the_page_has_no_table_for_what_is_no_class() -> None:
    assert set(on_page()) <= CLASSES


def test_each_code_is_told_what_it_means_and_what_to_do() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    empty = [row for row in rows if any(len(cell.strip()) < 3 for cell in row.strip("|").split("|"))]
    assert rows
    assert empty == []
