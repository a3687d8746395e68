"""The bench of a user's own schema: what is measured, compared and said."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from csfle_fast import Engine
from csfle_fast.cli import bench, bench_session, demo_incumbent
from csfle_fast.cli.bench import BenchReport, run_bench
from csfle_fast.cli.bench_input import BenchInput, read_input
from csfle_fast.cli.bench_session import BenchSession
from csfle_fast.cli.measure import Seconds
from csfle_fast.errors import ConfigError, CsfleError
from datasets import ROOTS
from incumbent import SECRET

DATA = ROOTS[0]


@pytest.fixture(autouse=True)
def one_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tink keeps the first client of a KMS key in a process, and with it the secret."""
    monkeypatch.setattr(bench_session, "_SECRET", SECRET)


def given(name: str = "payroll_employee", count: int = 10) -> BenchInput:
    return read_input(DATA / name / "schema.avsc", DATA / name / "ruleset.json", None, count)


def run(inputs: BenchInput, **options: Any) -> BenchReport:
    defaults: dict[str, Any] = {"rounds": 1, "threads": 1, "provider": "auto", "command": "the test"}
    return run_bench(inputs, **(defaults | options))


def with_rules(inputs: BenchInput, **rule_set: Any) -> BenchInput:
    payload = inputs.payload | {"ruleSet": rule_set}
    return BenchInput(inputs.name, payload, inputs.rows, inputs.notes)


def test_all_engines_are_measured_both_ways() -> None:
    inputs = given()
    rows = copy.deepcopy(inputs.rows)
    report = run(inputs, threads=2)
    assert inputs.rows == rows  # confluent-kafka overwrites what it gets
    assert [(one.engine, one.call) for one in report.figures] == [
        ("csfle_fast", "encrypt"),
        ("csfle_fast", "encrypt, 2 threads"),
        ("csfle_fast", "encrypt, singly"),
        ("csfle_fast", "serialize"),
        ("csfle_fast", "serialize, 2 threads"),
        ("csfle_fast", "serialize, singly"),
        ("confluent-kafka", "serialize, singly"),
        ("fastavro", "write, unencrypted"),
        ("csfle_fast", "decrypt"),
        ("csfle_fast", "decrypt, 2 threads"),
        ("csfle_fast", "decrypt, singly"),
        ("csfle_fast", "deserialize"),
        ("csfle_fast", "deserialize, 2 threads"),
        ("csfle_fast", "deserialize, singly"),
        ("confluent-kafka", "deserialize, singly"),
        ("fastavro", "read, unencrypted"),
    ]
    assert report.problems == []
    assert report.notes == ["no rows given: 10 were made from the schema"]
    assert (report.schema, report.batch, report.rounds, report.fields) == ("payroll_employee", 10, 1, 4)
    assert report.machine["provider"] in ("ring", "many")
    assert report.command == "the test"


def test_threads_and_provider_reach_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_incumbent, "missing", lambda: "left out by the test")
    threads_of: dict[str, set[int]] = {}
    confs: list[Any] = []

    class Noted(Engine):
        def __init__(self, client: Any, **options: Any) -> None:
            confs.append(options["conf"])
            super().__init__(client, **options)

    for call in ("encrypt", "decrypt", "serialize", "deserialize"):
        real = getattr(Engine, call)

        def noted(self: Engine, *values: Any, _call: str = call, _real: Any = real, **options: Any) -> Any:
            threads_of.setdefault(_call, set()).add(options.get("threads", 1))
            return _real(self, *values, **options)

        monkeypatch.setattr(Noted, call, noted, raising=False)
    monkeypatch.setattr(bench_session, "Engine", Noted)
    run(given(), threads=3, provider="ring")
    assert threads_of == {call: {1, 3} for call in ("encrypt", "decrypt", "serialize", "deserialize")}
    assert confs == [{"crypto.provider": "ring"}]


def test_a_provider_that_has_a_stand_in_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_incumbent, "missing", lambda: "left out by the test")
    monkeypatch.setattr(bench, "providers", lambda: {"ring": "on this machine, another stands in for it"})
    assert "provider ring: on this machine, another stands in for it" in run(given(), provider="ring").notes
    assert not any("stands in" in note for note in run(given()).notes)


def test_rows_without_a_value_to_seal_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_incumbent, "missing", lambda: "left out by the test")
    schema = json.loads(given().payload["schema"])
    for one in schema["fields"]:
        if "confluent:tags" in one:
            one["type"] = ["null", "string"]
    payload = given().payload | {"schema": json.dumps(schema)}
    rows: list[dict[str, Any]] = [
        {one["name"]: 1 if one["type"] == "int" else None for one in schema["fields"]}
    ]
    rows[0]["gender"] = "x"
    report = run(BenchInput("payroll", payload, rows, ()))
    assert "the rows have no value to seal: every encrypted field is null" in report.notes


def test_a_ratio_is_to_their_figure_of_the_same_way() -> None:
    figures = bench._figures(
        {
            "csfle_fast encrypt": Seconds(1e-6, 2e-6),
            "confluent-kafka serialize, singly": Seconds(1e-3, 2e-3),
            "fastavro write, unencrypted": Seconds(1e-4, 1e-4),
            "csfle_fast deserialize": Seconds(1e-5, 1e-5),
            "confluent-kafka deserialize, singly": Seconds(2e-3, 2e-3),
            "fastavro read, unencrypted": Seconds(1e-4, 1e-4),
        },
        batch=10,
    )
    assert [round(one.ratio or 0) for one in figures] == [1_000, 1, 10, 200, 1, 20]
    assert figures[0].best_ns == pytest.approx(100)
    assert figures[0].median_ns == pytest.approx(200)
    assert figures[0].per_second == 10_000_000
    assert (figures[1].engine, figures[1].call) == ("confluent-kafka", "serialize, singly")


def test_without_their_packages_ours_is_measured_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_incumbent, "missing", lambda: "left out by the test")
    report = run(given())
    assert {one.engine for one in report.figures} == {"csfle_fast", "fastavro"}
    assert {one.ratio for one in report.figures} == {None}
    assert "no comparison with confluent-kafka: left out by the test" in report.notes


def test_where_they_fail_or_differ_ours_is_measured_alone() -> None:
    report = run(given("purchase"))  # its tagged values are decimals and UUIDs
    assert {one.engine for one in report.figures} == {"csfle_fast", "fastavro"}
    assert any(note.startswith("confluent-kafka is not measured: ") for note in report.notes)


def test_what_of_ours_does_not_hold_ends_without_a_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BenchSession, "wrong", lambda _: ["decrypt(encrypt)"])
    report = run(given())
    assert report.problems == ["decrypt(encrypt)"]
    assert report.figures == []


def test_rules_that_encrypt_nothing_are_refused() -> None:
    inputs = given()
    rules = inputs.payload["ruleSet"]["domainRules"]
    other = [rules[0] | {"tags": ["OTHER"]}]
    with pytest.raises(ConfigError, match="nothing would be encrypted: no enabled ENCRYPT rule"):
        run(with_rules(inputs, domainRules=other))
    with pytest.raises(ConfigError, match="nothing would be encrypted: no enabled ENCRYPT rule"):
        run(with_rules(inputs, domainRules=[rules[0] | {"disabled": True}]))
    with pytest.raises(ConfigError, match=r"nothing would be encrypted: .*GATEWAY"):
        run(with_rules(inputs, domainRules=rules, enableAt="GATEWAY"))


def test_what_the_registry_or_the_engine_refuses_is_told() -> None:
    inputs = given()
    rule = inputs.payload["ruleSet"]["domainRules"][0]
    with pytest.raises(ConfigError, match="the registry refuses schema or rules: ") as refused:
        run(with_rules(inputs, domainRules=[rule, rule]))
    assert refused.value.__cause__ is None
    with pytest.raises(CsfleError, match=r"rule encryptPII: parameter encrypt\.dek\.algorithm"):
        run(
            with_rules(
                inputs, domainRules=[rule | {"params": rule["params"] | {"encrypt.dek.algorithm": "AES7"}}]
            )
        )


def test_a_provider_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"crypto\.provider"):
        run(given(), provider="nobody")


@pytest.mark.parametrize("name", sorted(path.parent.name for path in DATA.glob("*/ruleset.json")))
def test_every_data_set_holds(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_incumbent, "missing", lambda: "left out by the test")
    folder = DATA / name
    registered = {"schema": (folder / "schema.avsc").read_text(encoding="utf-8")}
    if (folder / "metadata.json").exists():
        registered["metadata"] = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    schema = tmp_path / "registered.json"
    schema.write_text(json.dumps(registered), encoding="utf-8")
    report = run(read_input(schema, folder / "ruleset.json", None, 5))
    assert report.problems == []
    assert len(report.figures) == 10
