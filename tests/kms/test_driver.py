"""Finding the driver of a key URI: registered ones, built-in ones, entry points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from csfle_fast.errors import KmsError
from csfle_fast.kms import KmsClient, KmsDriver, driver_for, register_driver, unregister_driver
from csfle_fast.kms.driver import _entry_points, _from_entry_point
from csfle_fast.kms.local import LocalKmsDriver


class Reversing:
    """A KMS that reverses, so that a test sees which one was asked."""

    def wrap(self, plaintext: bytes) -> bytes:
        return plaintext[::-1]

    def unwrap(self, ciphertext: bytes) -> bytes:
        return ciphertext[::-1]

    def close(self) -> None:
        pass


class ReversingDriver:
    def __init__(self, scheme: str = "reversing-kms") -> None:
        self.scheme = scheme

    def client(self, uri: str, conf: Mapping[str, object]) -> KmsClient:
        assert uri.startswith(f"{self.scheme}://")
        assert conf == {}
        return Reversing()


@pytest.fixture
def clean() -> Iterator[None]:
    _entry_points.cache_clear()
    _from_entry_point.cache_clear()
    yield
    for scheme in ("reversing-kms", "local-kms"):
        unregister_driver(scheme)
    _entry_points.cache_clear()
    _from_entry_point.cache_clear()


def test_the_local_driver_is_built_in() -> None:
    assert isinstance(driver_for("local-kms://key"), LocalKmsDriver)
    assert isinstance(LocalKmsDriver(), KmsDriver)


@pytest.mark.parametrize("uri", ["moon-kms://key", "local-kms", "", "://key"])
def test_an_unknown_kms_is_named(uri: str) -> None:
    with pytest.raises(KmsError) as caught:
        driver_for(uri)
    assert caught.value.code == "unknown_kms"


@pytest.mark.usefixtures("clean")
def test_a_registered_driver_comes_first_until_it_is_taken_back() -> None:
    mine = ReversingDriver("local-kms")
    register_driver(mine)
    assert driver_for("local-kms://key") is mine
    unregister_driver("local-kms")
    assert isinstance(driver_for("local-kms://key"), LocalKmsDriver)
    unregister_driver("local-kms")


@pytest.mark.usefixtures("clean")
def test_an_installed_package_brings_a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "reversing-kms = kms_plugin:Driver", "locked-kms = kms_plugin:missing")
    client = driver_for("reversing-kms://key").client("reversing-kms://key", {})
    assert client.unwrap(client.wrap(b"abc")) == b"abc"
    with pytest.raises(KmsError) as caught:
        driver_for("locked-kms://key")
    assert caught.value.code == "kms_driver_failed"


@pytest.mark.usefixtures("clean")
def test_an_entry_point_that_is_no_driver_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "reversing-kms = builtins:dict")
    with pytest.raises(KmsError, match="not a KMS driver"):
        driver_for("reversing-kms://key")


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, *entry_points: str) -> None:
    """Put a distribution with these entry points on the path, as pip would."""
    info = folder / "kms_plugin-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kms-plugin\nVersion: 1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("\n".join(["[csfle_fast.kms]", *entry_points]), encoding="utf-8")
    (folder / "kms_plugin.py").write_text(
        "class Client:\n"
        "    wrap = unwrap = staticmethod(lambda data: data[::-1])\n"
        "class Driver:\n"
        "    scheme = 'reversing-kms'\n"
        "    def client(self, uri, conf):\n"
        "        return Client()\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(folder)
