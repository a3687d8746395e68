"""Programs of Apache Kafka: their jars by Maven, and the command that runs one."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from services.cache import NotInstallable, installed, run_installer

POM = Path(__file__).with_name("pom.xml")
COPY_JARS = "org.apache.maven.plugins:maven-dependency-plugin:3.11.0:copy-dependencies"
OLDEST_JAVA = 17


def jdk_program(name: str) -> str:
    """The path of ``java`` or another program beside it.

    Raises:
        NotInstallable: there is none, or it is too old for the broker.
    """
    home = os.environ.get("JAVA_HOME")
    path = shutil.which(name, path=str(Path(home, "bin"))) if home else shutil.which(name)
    if path is None:
        where = f"in JAVA_HOME={home}" if home else "on the PATH"
        raise NotInstallable(f"there is no {name} {where}; Java {OLDEST_JAVA} or later is needed")
    version = _version(path)
    if version < OLDEST_JAVA:
        raise NotInstallable(f"{path} is of Java {version}; {OLDEST_JAVA} or later is needed")
    return path


@cache
def _version(path: str) -> int:
    """The major version of a program of the JDK, 0 where it does not tell."""
    told = subprocess.run([path, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'(?:version "|javac )(\d+)', told.stderr + told.stdout)
    return int(version[1]) if version else 0


def kafka_jars() -> Path:
    """A folder with ``libs``, the class path of broker and Connect, and ``plugins``, the file connectors.

    Raises:
        NotInstallable: Java or Maven is missing, or Maven could not download.
    """
    jdk_program("java")
    return installed("kafka", hashlib.sha256(POM.read_bytes()).hexdigest()[:12], _install)


def _install(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise NotInstallable("there is no mvn on the PATH; Maven 3.8 or later is needed")
    run_installer(
        [
            maven,
            "--quiet",
            "--batch-mode",
            f"--file={POM}",
            COPY_JARS,
            f"-DoutputDirectory={folder / 'libs'}",
            "-DincludeScope=runtime",
        ]
    )
    plugin = folder / "plugins" / "file"  # Connect takes plug-ins from a path of their own
    plugin.mkdir(parents=True)
    (jar,) = (folder / "libs").glob("connect-file-*.jar")
    jar.rename(plugin / jar.name)


def java_command(main: str, *arguments: str, heap_mb: int = 256) -> list[str]:
    """What runs one program of the jars."""
    return [
        jdk_program("java"),
        "-Xms64m",
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",  # starts fastest, and takes no core from the tests
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-cp",
        f"{kafka_jars() / 'libs'}/*",  # java expands it
        main,
        *arguments,
    ]


def write_properties(path: Path, properties: dict[str, object]) -> None:
    """A file of settings as Kafka's programs read it; no value may need escaping."""
    path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()), encoding="utf-8")
