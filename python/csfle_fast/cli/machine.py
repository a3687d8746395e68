"""Where figures come from: without this they mean nothing."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from csfle_fast._core import Cipher, build_info, generate_key
from csfle_fast.errors import ConfigError
from csfle_fast.settings import Settings

__all__ = ["describe", "provider_in_use", "providers", "told"]

# The flags that decide how fast AES and GHASH can be.
_FLAGS = ("aes", "pclmulqdq", "avx2", "avx512f", "vaes", "vpclmulqdq", "gfni", "sha_ni", "pmull")
_PACKAGES = ("csfle-fast", "confluent-kafka", "fastavro", "cryptography", "tink", "numpy")
_PROVIDERS = ("ring", "many")


def describe(provider: str = "auto") -> dict[str, Any]:
    """Processor, cores, load, Python, versions, how the core was built, and who does AES-GCM.

    Args:
        provider: the setting ``crypto.provider``.

    Raises:
        ConfigError: there is no such provider.
    """
    processor = _processor()
    flags = set(processor.get("flags", processor.get("Features", "")).split())
    return {
        "processor": processor.get("model name", platform.processor() or platform.machine()),
        "family_model": f"{processor.get('cpu family', '?')}/{processor.get('model', '?')}",
        "flags": [flag for flag in _FLAGS if flag in flags],
        "cores": _cores(),
        "load_at_start": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": _versions(),
        "build": _build(),
        "provider": provider_in_use(provider),
    }


def told(machine: Mapping[str, Any]) -> str:
    """The same in one line."""
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    build = ", ".join(f"{name} {value}" for name, value in machine["build"].items())
    return (
        f"{machine['processor']} ({', '.join(machine['flags'])}), {machine['cores']} cores, "
        f"load {machine['load_at_start']} at the start, {machine['system']}, {machine['python']}; "
        f"{packages}; core: {build}; AES-GCM by {machine['provider']}"
    )


def provider_in_use(setting: str) -> str:
    """Who does AES-GCM on this machine under ``crypto.provider``.

    Raises:
        ConfigError: there is no such provider.
    """
    chosen = Settings.parse({"crypto.provider": setting}).crypto_provider
    return Cipher("AES256_GCM", generate_key("AES256_GCM"), provider=chosen).provider


def providers() -> dict[str, str | None]:
    """The providers of AES-GCM that have a name; for each, why it cannot be measured here, or None."""
    return {name: _hindrance(name) for name in _PROVIDERS}


def _hindrance(provider: str) -> str | None:
    try:
        used = provider_in_use(provider)
    except ConfigError as error:
        return error.message
    return None if used == provider else f"on this machine, {used} stands in for it"


def _cores() -> int:
    # Only Linux tells which of them this process may use.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _versions() -> dict[str, str]:
    """Of those that are installed."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> dict[str, str]:
    """The first processor of /proc/cpuinfo; empty where there is none."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _build() -> dict[str, str]:
    return {key: value if isinstance(value, str) else " ".join(value) for key, value in build_info().items()}
