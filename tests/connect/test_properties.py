"""Configurations in files: both formats, and every file that is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from csfle_fast.connect.properties import read_properties
from csfle_fast.errors import ConfigError

SECRET = "pa55word-of-nobody"


def written(folder: Path, name: str, contents: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_properties(path)
    assert caught.value.code == "bad_config"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    message = caught.value.message
    assert str(path) in message
    assert SECRET not in str(caught.value)
    return message


def test_properties_are_read_as_java_reads_them(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "c.properties",
        "# a comment\n! another\n\nname = my sink\ncsfle.enabled: true\ntopics=a,\\\n   b\n"
        f"value.converter.rule.executors._default_.param.secret={SECRET}\nempty=\nescaped=\\u00e9\\=\\\\\n",
    )
    assert read_properties(path) == {
        "name": "my sink",
        "csfle.enabled": "true",
        "topics": "a,b",
        "value.converter.rule.executors._default_.param.secret": SECRET,
        "empty": "",
        "escaped": "é=\\",
    }


def test_properties_are_latin_1(tmp_path: Path) -> None:
    assert read_properties(written(tmp_path, "c.properties", b"name=caf\xe9")) == {"name": "café"}


def test_a_flat_json_object_keeps_its_types(tmp_path: Path) -> None:
    config = {"name": "n", "csfle.enabled": True, "task.id": 3, "topics": None, "read.plaintext": "pass"}
    assert read_properties(written(tmp_path, "c.json", json.dumps(config))) == config


def test_a_path_may_be_text_and_its_suffix_in_capitals(tmp_path: Path) -> None:
    assert read_properties(str(written(tmp_path, "C.JSON", '{"name": "n"}'))) == {"name": "n"}
    assert read_properties(str(written(tmp_path, "C.Properties", "name=n"))) == {"name": "n"}


@pytest.mark.parametrize(
    "form",
    [
        {"name": "n", "config": {"csfle.enabled": "true"}},
        {"name": "n", "config": {"csfle.enabled": "true", "name": "n"}},
        {"config": {"csfle.enabled": "true", "name": "n"}},
        {"name": "n", "config": {"csfle.enabled": "true"}, "tasks": [{"task": 0}], "type": "sink"},
    ],
)
def test_the_form_of_connects_rest_interface(tmp_path: Path, form: object) -> None:
    path = written(tmp_path, "c.json", json.dumps(form))
    assert read_properties(path) == {"name": "n", "csfle.enabled": "true"}


def test_json_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    assert read_properties(written(tmp_path, "c.json", b'\xef\xbb\xbf{"name": "n"}')) == {"name": "n"}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "none.json")
    assert "cannot be read" in refusal(tmp_path / "none.properties")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "c.json").mkdir()
    assert "cannot be read" in refusal(tmp_path / "c.json")


@pytest.mark.parametrize("name", ["c.yaml", "c", "properties", "c.json.bak"])
def test_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    assert ".properties or .json" in refusal(written(tmp_path, name, SECRET))


@pytest.mark.parametrize("escape", ["\\u12", f"\\u{SECRET}", "\\uzzzz"])
def test_a_bad_escape_is_refused_without_it(tmp_path: Path, escape: str) -> None:
    message = refusal(written(tmp_path, "c.properties", f"name={escape}"))
    assert "backslash" in message
    assert "12" not in message.removeprefix(str(tmp_path))
    assert "zzzz" not in message


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (f'{{"secret": "{SECRET}"', "not valid JSON at line 1"),
        (f'{{"a": 1,\n"b": {SECRET}}}', "not valid JSON at line 2"),
        ("", "not valid JSON at line 1"),
        ('{"a": NaN}', "not valid JSON"),
        ('{"a": -Infinity}', "not valid JSON"),
        ('{"a": ' + "1" * 5_000 + "}", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (f'["{SECRET}"]', "one JSON object"),
        (f'"{SECRET}"', "one JSON object"),
        ("null", "one JSON object"),
    ],
)
def test_what_is_no_object_of_json_is_refused(tmp_path: Path, contents: str | bytes, reason: str) -> None:
    assert reason in refusal(written(tmp_path, "c.json", contents))


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"a": {"b": SECRET}}, "a"),
        ({"a": [SECRET]}, "a"),
        ({"config": [SECRET]}, "config"),
        ({"name": "n", "config": {"a": {}}}, "a"),
        ({"name": "n", "config": {"a": []}}, "a"),
    ],
)
def test_nested_values_are_refused_by_name(tmp_path: Path, config: object, name: str) -> None:
    assert f"{name} holds an object or a list" in refusal(written(tmp_path, "c.json", json.dumps(config)))


def test_nothing_may_stand_beside_config(tmp_path: Path) -> None:
    message = refusal(written(tmp_path, "c.json", json.dumps({"config": {}, "csfle.enabled": True})))
    assert "csfle.enabled stands beside config" in message


def test_the_name_beside_config_is_text(tmp_path: Path) -> None:
    assert "name must be text" in refusal(written(tmp_path, "c.json", '{"name": 3, "config": {}}'))


@pytest.mark.parametrize(
    ("name", "contents", "twice"),
    [
        ("c.properties", f"a={SECRET}\nb=1\na=other\n", "a"),
        ("c.json", f'{{"a": "{SECRET}", "a": "other"}}', "a"),
        ("c.json", f'{{"config": {{"a": "{SECRET}", "a": "other"}}}}', "a"),
        ("c.json", '{"name": "one", "config": {"name": "other"}}', "name"),
        ("c.json", '{"config": {}, "config": {"a": 1}}', "config"),
    ],
)
def test_a_property_with_two_values_is_refused(tmp_path: Path, name: str, contents: str, twice: str) -> None:
    message = refusal(written(tmp_path, name, contents))
    assert f"{twice} is given twice with different values: keep one" in message


def test_a_property_may_be_repeated_with_its_value(tmp_path: Path) -> None:
    assert read_properties(written(tmp_path, "c.properties", "a=1\na=1")) == {"a": "1"}
    assert read_properties(written(tmp_path, "c.json", '{"a": 1, "a": 1}')) == {"a": 1}
