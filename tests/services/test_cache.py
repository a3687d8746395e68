"""Installations: made once, whole or not at all, and by one process at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from services.cache import ROOT, NotInstallable, cache, installed, run_installer

# Installs slowly, and tells on standard output whether it was the one who did.
INSTALLER = """
import time
from pathlib import Path
from services.cache import installed

def install(folder: Path) -> None:
    print("installing")
    time.sleep(0.3)
    (folder / "jar").write_text("whole")

print((installed("thing", "1", install) / "jar").read_text())
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CSFLE_SERVICES_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def jar(text: str, calls: list[Path]) -> Path:
    def install(folder: Path) -> None:
        calls.append(folder)
        (folder / "jar").write_text(text)

    return installed("thing", text, install)


def test_once_for_each_key(folder: Path) -> None:
    calls: list[Path] = []
    first = jar("1", calls)
    assert first == folder / "thing-1"
    assert jar("1", calls) == first
    assert len(calls) == 1
    assert (jar("2", calls) / "jar").read_text() == "2"
    assert (first / "jar").read_text() == "1"
    assert sorted(path.name for path in folder.iterdir()) == ["thing-1", "thing-2", "thing.lock"]


def test_a_failed_installation_leaves_nothing(folder: Path) -> None:
    def install(folder: Path) -> None:
        (folder / "jar").write_text("half")
        raise NotInstallable("no network")

    with pytest.raises(NotInstallable, match="no network"):
        installed("thing", "1", install)
    assert [path.name for path in folder.iterdir()] == ["thing.lock"]
    assert (jar("1", []) / "jar").read_text() == "1"


def test_what_a_killed_installation_left_is_removed(folder: Path) -> None:
    (folder / "thing-1.part").mkdir(parents=True)
    (folder / "thing-1.part" / "half").touch()
    assert [path.name for path in jar("1", []).iterdir()] == ["jar"]


def test_two_processes_install_once() -> None:
    command = [sys.executable, "-c", INSTALLER]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT / "tests") for _ in range(2)
    ]
    told = sorted(process.communicate(timeout=30)[0].split() for process in both)
    assert told == [["installing", "whole"], ["whole"]]


def test_what_an_installer_said_is_told() -> None:
    run_installer([sys.executable, "-c", "print('fine')"])
    with pytest.raises(NotInstallable) as caught:
        run_installer([sys.executable, "-c", "print('no such package'); exit(3)"])
    assert caught.value.reason.endswith("ended with 3:\nno such package")


def test_the_folder_is_the_projects_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CSFLE_SERVICES_CACHE")
    assert cache() == ROOT / ".services"
    assert (ROOT / "pyproject.toml").is_file()
