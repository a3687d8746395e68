"""``csfle-fast connect`` without Kafka: what it refuses and explains, and by which schema it reads rows."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from cli.connect_place import Place
from connect_world import ConnectWorld, connect
from csfle_fast.cli.app import app
from csfle_fast.cli.connect import show_plan
from csfle_fast.cli.connect_run import watched
from csfle_fast.cli.json_rows import Misfit
from csfle_fast.cli.latest import LatestSchemas
from csfle_fast.connect import SourceHook
from csfle_fast.dev import DevRegistry
from incumbent import SECRET, field, record
from worlds import FLAT, rule

__all__ = ["connect"]  # a fixture

LATEST_IS_NOT_USED = {"use.latest.version": "false", "csfle.enabled": "false"}

run = CliRunner().invoke


@pytest.fixture(scope="module")
def registry() -> Iterator[ConnectWorld]:
    """A registry that nothing is changed in but for what ``place`` and its tests put there."""
    with ExitStack() as stack:
        yield ConnectWorld(stack.enter_context(DevRegistry(secret=SECRET)), stack)


@pytest.fixture
def place(tmp_path: Path, registry: ConnectWorld) -> Place:
    registry.put(FLAT, rule(), subject="t-value")
    return Place(tmp_path, registry, "place")


def refused(*arguments: str) -> str:
    result = run(app, ["connect", *arguments])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert SECRET not in result.stderr
    return result.stderr.strip().splitlines()[-1]


class TestRefusals:
    def test_help_tells_the_exit_codes(self) -> None:
        for command in ("source", "sink", "explain"):
            result = run(app, ["connect", command, "--help"])
            assert result.exit_code == 0
            assert "Exit codes: 0 done" in result.stdout

    @pytest.mark.parametrize("command", [["source", "--topic", "t"], ["sink"]])
    def test_a_configuration_that_is_not_there(self, command: list[str]) -> None:
        assert "cannot be read" in refused(*command, "nowhere.json")

    @pytest.mark.parametrize(
        ("arguments", "properties", "told"),
        [
            ([], {"csfle.enabled": SECRET}, "csfle.enabled"),
            ([], {"bootstrap.servers": None}, "bootstrap.servers: the source needs brokers for its producer"),
            ([], {"producer.override.batch.size": SECRET}, "refuses its configuration: batch.size"),
            ([], {"producer.override.nonsense": SECRET}, "the producer refuses its configuration: nonsense"),
            (["--input", "rows.txt"], {}, "--format json or avro"),
            (["--key", "v"], {}, "--key: v is encrypted in the value"),
            (["--key", "x"], {}, "--key: the rows of topic t have no field x"),
        ],
    )
    def test_source(
        self, place: Place, arguments: list[str], properties: dict[str, object], told: str
    ) -> None:
        assert told in refused("source", place.source(properties), "--topic", "t", *arguments)

    @pytest.mark.parametrize(
        ("arguments", "properties", "told"),
        [
            (["--topic", "t"], {"bootstrap.servers": None}, "bootstrap.servers: the sink needs brokers"),
            ([], {}, "topics: name the topics"),
            (["--topic", "t"], {"consumer.override.enable.auto.commit": "true"}, "enable.auto.commit"),
            (["--topic", "t"], {"consumer.override.nonsense": SECRET}, "refuses its configuration: nonsense"),
            (["--topic", "t"], LATEST_IS_NOT_USED, "use.latest.version"),
            (["--to-topic", "u"], {}, "--to-topic and --source-config belong together"),
            (["--to-topic", "u", "--source-config", "c.json", "--output", "f.json"], {}, "are for files"),
            (["--replay", "--topic", "t"], {}, "leave --topic out"),
            (["--replay"], {"errors.deadletterqueue.topic.name": ""}, "errors.deadletterqueue.topic.name"),
            (["--topic", "t", "--topic", "other", "--output", "FOLDER/o.avro"], {}, "rows of one schema"),
        ],
    )  # fmt: skip
    def test_sink(self, place: Place, arguments: list[str], properties: dict[str, object], told: str) -> None:
        place.connect.put(record(field("id", "long")), subject="other-value")
        given = [argument.replace("FOLDER", str(place.folder)) for argument in arguments]
        assert told in refused("sink", place.sink(properties), *given)

    @pytest.mark.parametrize(
        ("command", "told"),
        [
            (["source", "--topic", "nowhere"], "nowhere-value"),
            (["source", "--topic", "t", "--input", "nowhere.json"], "nowhere.json: No such file"),
            (["sink", "--topic", "t", "--output", "nowhere/rows.json"], "nowhere/rows.json: No such file"),
        ],
    )
    def test_what_fails_on_the_way_ends_with_1(self, place: Place, command: list[str], told: str) -> None:
        result = run(app, ["connect", *command, place.source()])
        assert result.exit_code == 1
        assert told in result.stderr
        assert "Traceback" not in result.output


class TestExplain:
    def test_json(self, place: Place) -> None:
        result = run(app, ["connect", "explain", place.source(), "--topic", "t", "--json"])
        assert result.exit_code == 0
        plan = json.loads(result.stdout)
        assert plan["kind"] == "source"
        assert {entry["path"]: entry["decision"] for entry in plan["fields"]} == {
            "v": "encrypt",
            "w": "encrypt",
        }

    def test_table(self, place: Place) -> None:
        result = run(app, ["connect", "explain", place.sink(), "--topic", "t", "--sink"])
        assert result.exit_code == 0
        assert "place: sink" in result.stdout
        assert "dead letters to dlq-place" in result.stdout

    def test_notes_are_shown(self, place: Place) -> None:
        shown = Console(file=io.StringIO(), width=200)
        with SourceHook.from_file(place.source({"csfle.enabled": "false"})) as hook:
            show_plan(hook.explain("t"), shown)
        assert isinstance(shown.file, io.StringIO)
        assert "Note: csfle.enabled is false for the value" in shown.file.getvalue()


class TestLatestSchemas:
    """What a row is looked at by, when the schema changes while a sink runs."""

    @pytest.fixture
    def latest(self, connect: ConnectWorld) -> Iterator[LatestSchemas]:
        connect.put(record(field("a", "long")), subject="t-value")
        with connect.sink() as hook, LatestSchemas(hook.settings.value) as schemas:
            yield schemas

    def test_a_newer_version_is_asked_for_once(self, connect: ConnectWorld, latest: LatestSchemas) -> None:
        older, _ = latest.to_json("t", {"a": 1})
        connect.put(record(field("a", "long"), field("b", "bytes", default="")), subject="t-value")
        assert latest.to_json("t", {"a": 1})[0] is older
        newer, text = latest.to_json("t", {"a": 1, "b": b"\xff"})
        assert newer is not older
        assert text == {"a": 1, "b": "\xff"}
        connect.http.clear_requests()
        assert latest.to_json("t", {"a": 1, "b": b""})[0] is newer
        assert connect.requests() == []

    def test_what_fits_no_version_is_a_misfit(self, latest: LatestSchemas) -> None:
        with pytest.raises(Misfit):
            latest.to_json("t", {"b": 1})


@pytest.mark.parametrize(("terminal", "shown"), [("1", "1,234 rows"), ("0", "")])
def test_progress_is_for_terminals(
    terminal: str, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", terminal)
    with watched(total=2_000) as watch:
        watch.at(1_000, 1_500)
        watch.add(234)
    told = capsys.readouterr()
    assert told.out == ""
    assert shown in told.err if shown else told.err == ""
