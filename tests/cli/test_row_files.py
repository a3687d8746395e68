"""Rows in files: read by a schema, appended, and mended where a write was torn."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pytest

from csfle_fast import ConfigError
from csfle_fast.cli.json_rows import JsonRows
from csfle_fast.cli.row_files import Format, RowFileError, RowReader, format_of, open_reader
from csfle_fast.cli.row_writers import RowWriter, Shaped, open_writer
from datasets import Dataset, load_all
from incumbent import field, record

SHAPE = JsonRows(record(field("id", "long"), field("v", "string")))
ROWS = [{"id": number, "v": f"text {number}"} for number in range(3)]
SECRET = "s3cret"


def reading(path: Path, shape: JsonRows = SHAPE, stop: threading.Event | None = None) -> RowReader:
    return open_reader(str(path), format_of(str(path), None), shape, stop or threading.Event())


def read(path: Path, shape: JsonRows = SHAPE) -> list[Any]:
    with reading(path, shape) as reader:
        return list(reader)


def writing(path: Path) -> RowWriter:
    return open_writer(str(path), format_of(str(path), None))


def write(path: Path, rows: Sequence[Any] = ROWS, shape: JsonRows = SHAPE) -> None:
    with writing(path) as writer:
        writer.write([Shaped(shape, row, shape.to_json(row)) for row in rows])


def container(path: Path, schema: Any, rows: Sequence[Any]) -> None:
    with path.open("wb") as out:
        fastavro.writer(out, schema, rows)


def told(path: Path, shape: JsonRows = SHAPE) -> str:
    with pytest.raises(RowFileError) as error:
        read(path, shape)
    assert SECRET not in str(error.value)
    return str(error.value).removeprefix(str(path))


@pytest.fixture(params=["rows.jsonl", "rows.avro"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / str(request.param)


@pytest.mark.parametrize(
    ("name", "given", "form"),
    [
        ("a.json", None, Format.JSON), ("a.JSONL", None, Format.JSON), ("a.ndjson", None, Format.JSON),
        ("a.avro", None, Format.AVRO), ("-", None, Format.JSON), ("-", Format.AVRO, Format.AVRO),
        ("a.txt", Format.JSON, Format.JSON), ("a.json", Format.AVRO, Format.AVRO),
    ],
)  # fmt: skip
def test_the_format_is_given_or_told_by_the_suffix(name: str, given: Format | None, form: Format) -> None:
    assert format_of(name, given) is form


def test_a_suffix_that_tells_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="--format json or avro"):
        format_of("a.txt", None)


@pytest.mark.parametrize("dataset", list(load_all()), ids=lambda dataset: dataset.name)
def test_every_data_set_goes_through_a_file(dataset: Dataset, path: Path) -> None:
    shape = JsonRows(json.loads(dataset.schema))
    write(path, dataset.read_back, shape)
    found = read(path, shape)
    assert [dataset.encode(row) for row in found] == dataset.bodies


def test_rows_are_appended(path: Path) -> None:
    write(path, ROWS[:1])
    write(path, ROWS[1:])
    assert read(path) == ROWS


def test_what_was_torn_is_cut_off_at_any_place(path: Path) -> None:
    write(path, ROWS[:1])
    kept = path.stat().st_size
    write(path, ROWS[1:])
    whole = path.read_bytes()
    # Of JSON lines the second row may be whole.
    for size in range(kept, len(whole)):
        path.write_bytes(whole[:size])
        write(path, [{"id": 9, "v": "new"}])
        found = read(path)
        assert found[0] == ROWS[0]
        assert found[-1] == {"id": 9, "v": "new"}
        assert found[1:-1] in ([], ROWS[1:2], ROWS[1:])


def test_damage_in_the_middle_of_a_container_is_no_torn_write(tmp_path: Path) -> None:
    path = tmp_path / "rows.avro"
    with writing(path) as writer:
        writer.begin(SHAPE)
    head = path.stat().st_size
    write(path, ROWS[:1])
    first = path.stat().st_size
    write(path, ROWS[1:])
    whole = path.read_bytes()
    damaged = [
        whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :] for place in range(head + 2, first)
    ]
    for content in (*damaged, whole.replace(b"deflate", b"zzzzzzz")):
        path.write_bytes(content)
        try:
            write(path, [{"id": 9, "v": "new"}])
        except ConfigError as error:
            assert "cannot be read" in error.message  # noqa: PT017 - some damage is not seen by the frame of blocks
            assert path.read_bytes() == content, "nothing of it is cut off"
        else:
            assert path.read_bytes().startswith(content)


def test_a_file_without_rows_is_a_container_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "rows.avro"
    with writing(path) as writer:
        writer.begin(SHAPE)
    assert read(path) == []


def test_a_container_is_not_continued_with_another_schema(tmp_path: Path) -> None:
    path = tmp_path / "rows.avro"
    write(path)
    other = JsonRows(record(field("id", "long")))
    with writing(path) as writer, pytest.raises(ConfigError, match="another schema"):
        writer.begin(other)
    with writing(path) as writer:
        writer.begin(SHAPE)
        writer.begin(JsonRows(record(field("id", "long"), field("v", "string"))))
        with pytest.raises(ConfigError, match="rows of one schema"):
            writer.begin(other)
        with pytest.raises(RowFileError, match="rows of one schema"):
            writer.write([Shaped(other, {"id": 1}, {"id": 1})])
    assert read(path) == ROWS


def test_a_change_of_a_logical_type_is_another_schema(tmp_path: Path) -> None:
    path = tmp_path / "rows.avro"
    kind = {"type": "bytes", "logicalType": "decimal", "precision": 9}
    write(path, [{"d": Decimal("1.50")}], JsonRows(record(field("d", kind | {"scale": 2}))))
    with writing(path) as writer, pytest.raises(ConfigError, match="another schema"):
        writer.begin(JsonRows(record(field("d", kind | {"scale": 3}))))


def test_a_file_that_is_no_container_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.avro"
    path.write_text(SECRET)
    with writing(path) as writer, pytest.raises(ConfigError, match="no Avro container") as error:
        writer.begin(SHAPE)
    assert SECRET not in str(error.value)
    assert path.read_text() == SECRET


def test_a_row_that_fastavro_does_not_take_is_not_quoted(tmp_path: Path) -> None:
    with writing(tmp_path / "rows.avro") as writer, pytest.raises(RowFileError) as error:
        writer.write([Shaped(SHAPE, {"id": SECRET, "v": "a"}, None)])
    assert SECRET not in str(error.value)
    assert error.value.__cause__ is None


def test_tombstones_are_lines_of_null_and_have_no_place_in_a_container(tmp_path: Path) -> None:
    lines = tmp_path / "rows.jsonl"
    with writing(lines) as writer:
        writer.write([Shaped(None, None, None)])
    assert lines.read_text() == "null\n"
    with writing(tmp_path / "rows.avro") as writer, pytest.raises(RowFileError, match="no tombstones"):
        writer.write([Shaped(None, None, None)])


def test_lines_of_null_are_read_as_tombstones(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('null\n\n{"id": 1, "v": "a"}')
    assert read(path) == [None, {"id": 1, "v": "a"}]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f'{{"id": "{SECRET}", "v": "a"}}', "field id: a whole number is wanted"),
        (f'{{"id": 1, "v": "{SECRET}}}', "it is not JSON at column 24"),
        ('{"id": NaN, "v": "a"}', "it is not JSON"),
        (b'{"id": 1, "v": "\xff"}', "it is not JSON"),
        ('{"id": ' + "1" * 5_000 + "}", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
    ],
)
def test_a_line_that_cannot_be_read_is_told_by_number(line: str | bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    bad = line if isinstance(line, bytes) else line.encode()
    path.write_bytes(b'{"id": 1, "v": "a"}\n\n' + bad + b'\n{"id": 2, "v": "b"}\n')
    assert told(path) == f", line 3: {reason}"
    with reading(path) as reader:
        next(reader)
        with pytest.raises(RowFileError) as error:
            next(reader)
        assert not error.value.lasting
        assert next(reader) == {"id": 2, "v": "b"}


def test_a_container_is_resolved_to_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "rows.avro"
    container(path, record(field("id", "int"), field("old", "string")), [{"id": 1, "old": SECRET}])
    shape = JsonRows(record(field("id", "long"), field("v", "string", default="new")))
    assert read(path, shape) == [{"id": 1, "v": "new"}]
    assert told(path).endswith("not of a schema that fits the topic's (SchemaResolutionError)")


def test_records_of_a_union_keep_their_names(tmp_path: Path) -> None:
    path = tmp_path / "rows.avro"
    one, two = (record(field("x", "string"), name=f"n.{name}") for name in "AB")
    schema = record(field("u", ["null", one, two]), field("o", ["null", record(name="n.C")]))
    container(path, schema, [{"u": ("n.B", {"x": "a"}), "o": {}}])
    assert read(path, JsonRows(schema)) == [{"u": ("n.B", {"x": "a"}), "o": {}}]


@pytest.mark.parametrize("contents", [b"", SECRET.encode()])
def test_what_is_no_container_is_told(contents: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rows.avro"
    path.write_bytes(contents)
    assert told(path).startswith(": it is no Avro container")


def test_a_torn_container_is_told_behind_its_whole_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.avro"
    write(path, ROWS[:2])
    write(path, ROWS[2:])
    path.write_bytes(path.read_bytes()[:-20])
    with reading(path) as reader:
        assert [next(reader), next(reader)] == ROWS[:2]
        with pytest.raises(RowFileError, match="row 3 cannot be read") as error:
            next(reader)
    assert error.value.lasting


def test_how_far_a_file_is_read(path: Path) -> None:
    write(path)
    with reading(path) as reader:
        list(reader)
        assert reader.position == reader.size == path.stat().st_size


@pytest.mark.parametrize("form", list(Format))
def test_waiting_for_stdin_ends_when_it_is_to_stop(form: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, torn = b'{"id": 1, "v": "a"}\n', b'{"id": 2, "v"'
    if form is Format.AVRO:
        block = io.BytesIO()
        fastavro.writer(block, SHAPE.schema, [{"id": 1, "v": "a"}])
        whole, torn = block.getvalue(), b"\x02"
    out, into = os.pipe()
    with os.fdopen(out) as stdin, os.fdopen(into, "wb", buffering=0) as writer:
        monkeypatch.setattr("sys.stdin", stdin)
        writer.write(whole + torn)
        stop = threading.Event()
        with open_reader("-", form, SHAPE, stop) as reader:
            assert reader.size is None
            assert reader.position == 0
            assert next(reader) == {"id": 1, "v": "a"}
            threading.Timer(0.1, stop.set).start()
            assert list(reader) == []
