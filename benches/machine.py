"""Where the numbers come from: without this they mean nothing."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import csfle_fast

__all__ = ["describe"]

# The flags that decide how fast AES and GHASH can be.
_FLAGS = ("aes", "pclmulqdq", "avx2", "avx512f", "vaes", "vpclmulqdq", "gfni", "sha_ni", "pmull")
_PACKAGES = ("csfle-fast", "confluent-kafka", "fastavro", "cryptography", "tink", "numpy")


def describe() -> dict[str, Any]:
    """Processor, cores, load, Python, versions and how the core was built."""
    processor = _processor()
    flags = set(processor.get("flags", processor.get("Features", "")).split())
    return {
        "processor": processor.get("model name", platform.processor() or platform.machine()),
        "family_model": f"{processor.get('cpu family', '?')}/{processor.get('model', '?')}",
        "flags": [flag for flag in _FLAGS if flag in flags],
        "cores": len(os.sched_getaffinity(0)),
        "load_at_start": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {package: version(package) for package in _PACKAGES},
        "build": _build(),
    }


def _processor() -> dict[str, str]:
    """The first processor of /proc/cpuinfo; empty where there is none."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _build() -> dict[str, str]:
    info = csfle_fast.build_info()
    return {key: value if isinstance(value, str) else " ".join(value) for key, value in info.items()}
