"""What is said of the machine beside every figure."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version

import pytest

from bench_samples import MACHINE
from csfle_fast.cli import machine
from csfle_fast.errors import ConfigError


def test_the_head_says_what_decides_the_numbers_but_not_which_machine_it_was() -> None:
    found = machine.describe()
    assert found["system"] == platform.system()
    assert {"processor", "flags", "cores", "load_at_start", "python", "packages", "build"} <= set(found)
    assert platform.release() not in json.dumps(found)


def test_one_line_has_all_of_it() -> None:
    line = machine.told(MACHINE)
    assert "\n" not in line
    for fact in (
        "A Processor",
        "vaes",
        "2 cores",
        "load 0.5",
        "CPython 3.11",
        "fastavro 1.13",
        "release",
        "many",
    ):
        assert fact in line


def test_the_provider_is_the_one_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.describe("ring")["provider"] == "ring"
    with pytest.raises(ConfigError, match=r"crypto\.provider must be one of"):
        machine.describe("nobody")

    class StandIn:
        def __init__(self, *_given: object, **_options: object) -> None:
            self.provider = "another"

    monkeypatch.setattr(machine, "Cipher", StandIn)
    assert machine.describe("ring")["provider"] == "another"
    assert machine.providers()["ring"] == "on this machine, another stands in for it"


def test_a_provider_that_is_not_there_has_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.providers()["ring"] is None
    monkeypatch.setattr(machine, "_PROVIDERS", ("ring", "nobody"))
    found = machine.providers()
    assert found["ring"] is None
    assert found["nobody"] is not None
    assert "must be one of" in found["nobody"]


def test_packages_that_are_missing_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(package: str) -> str:
        if package == "tink":
            raise PackageNotFoundError
        return version(package)

    monkeypatch.setattr(machine, "version", lookup)
    packages = machine.describe()["packages"]
    assert "tink" not in packages
    assert packages["fastavro"] == version("fastavro")
