"""The order of the house: who may import whom, what is not installed or loaded, how long a file may be."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import csfle_fast

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "csfle_fast"
CORE = ROOT / "rust" / "csfle-core" / "src"

# The rooms that sit on top: nothing below may know them. Each may use what is listed beside it.
UPPER_ROOMS = {
    "__init__": {"connect"},
    "cli": {"dev", "connect", "confluent"},
    "dev": set[str](),
    "connect": set[str](),
    "confluent": set[str](),
}
# Third parties that only one room may import at module level: they come with that room's extra.
EXTRAS = {
    "typer": {"cli"},
    "rich": {"cli"},
    "fastapi": {"dev"},
    "starlette": {"dev"},
    "uvicorn": {"dev"},
    "matplotlib": {"cli"},
}
# What the import of the package must never load: cloud SDKs come with their driver, when it is first used.
HEAVY = {"tink", "boto3", "botocore", "azure", "google", "hvac", "pyarrow", "numpy", *EXTRAS}
# What no user of the base package has to install: any distribution whose name starts with one of these.
NOT_IN_BASE = ("aws", "azure", "boto", "google", "hvac", "numpy", "pyarrow", "tink", *EXTRAS)
# A disk is used in blocks of so many bytes, which the README's `du` counts.
BLOCK = 4096
MAX_LINES = 400


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every imported module of a file, absolute, and whether it is imported at module level."""
    package = ("csfle_fast", *path.relative_to(PACKAGE).parts[:-1])
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = {id(node) for statement in tree.body for node in _outside_functions(statement)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in top
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            for alias in node.names:
                yield f"{module}.{alias.name}", id(node) in top


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        for child in ast.iter_child_nodes(node):
            yield from _outside_functions(child)


def room(path: Path) -> str:
    """The folder of the package that a file lives in, or its own name at the top."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else path.stem


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    own = room(path)
    for name, at_top in imports(path):
        first, _, rest = name.partition(".")
        if first == "csfle_fast":
            target = rest.partition(".")[0]
            if target in UPPER_ROOMS and target != own:
                assert target in UPPER_ROOMS.get(own, set()), f"{own} must not know {target} ({name})"
            if own not in UPPER_ROOMS and own != "__init__":
                assert target not in {"engine", "Engine"} or own == "engine", f"{own} is below the engine"
        elif first in HEAVY and at_top:
            assert own in EXTRAS.get(first, set()), f"{own} imports {first} at module level"


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import json, sys, csfle_fast; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert sorted(HEAVY & set(json.loads(run.stdout))) == []


def closure(name: str, extras: frozenset[str] = frozenset()) -> Mapping[str, Distribution]:
    """A distribution of this environment with all that it needs, by canonical name."""
    found: dict[str, Distribution] = {}
    walked: set[tuple[str, frozenset[str]]] = set()
    ahead = [(name, extras)]
    while ahead:
        name, extras = ahead.pop()
        if (name, extras) in walked:
            continue
        walked.add((name, extras))
        found[canonicalize_name(name)] = here = distribution(name)
        for text in here.requires or ():
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras or {""}):
                ahead.append((needed.name, frozenset(needed.extras)))
    return found


def unwanted(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(NOT_IN_BASE))


def test_the_base_package_needs_nothing_heavy() -> None:
    base = closure("csfle-fast")
    assert {"confluent-kafka", "fastavro", "cryptography"} <= set(base)
    assert unwanted(base) == []


CLOUDS = {"aws": ("boto",), "azure": ("azure", "msal"), "gcp": ("google", "grpc"), "vault": ("hvac",)}


@pytest.mark.parametrize("extra", CLOUDS)
def test_the_extra_of_a_kms_brings_its_sdk_and_no_other(extra: str) -> None:
    added = set(closure("csfle-fast", frozenset({extra}))) - set(closure("csfle-fast"))
    others = tuple(start for other, starts in CLOUDS.items() if other != extra for start in starts)
    assert any(name.startswith(CLOUDS[extra]) for name in added)
    assert sorted(name for name in added if name.startswith(others)) == []
    assert "tink" not in added


def test_what_the_demo_compares_with_is_heavy() -> None:
    assert {"boto3", "fastapi", "rich", "tink"} <= set(unwanted(closure("csfle-fast", frozenset({"demo"}))))


def blocks(paths: Iterable[Path]) -> int:
    return sum(-(-path.stat().st_size // BLOCK) * BLOCK for path in paths if path.is_file())


def test_the_readme_tells_the_installed_size() -> None:
    stated = re.search(r"takes about (\d+) MiB installed", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert stated is not None
    others = [one for name, one in closure("csfle-fast").items() if name != "csfle-fast"]
    # The package itself may be installed in place, and is then not in its own list of files.
    own = blocks(Path(csfle_fast.__file__).parent.rglob("*"))
    size = own + sum(blocks(Path(str(one.locate_file(file))) for file in one.files or ()) for one in others)
    assert size / 2**20 == pytest.approx(int(stated[1]), rel=0.2)


def test_the_core_knows_no_python_and_its_halves_not_each_other() -> None:
    for path in CORE.rglob("*.rs"):
        text = path.read_text(encoding="utf-8")
        assert "pyo3" not in text, path
        half = path.relative_to(CORE).parts[0]
        other = {"avro": "crypto", "crypto": "avro"}.get(half)
        if other is not None:
            assert not re.search(rf"\b(crate|super)::({other}\b|\{{[^}}]*\b{other}\b)", text), path


def test_no_crate_may_use_unsafe_code() -> None:
    assert re.search(
        r'^unsafe_code = "forbid"', (ROOT / "Cargo.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    for manifest in ROOT.glob("rust/*/Cargo.toml"):
        assert re.search(
            r"^\[lints\]\nworkspace = true", manifest.read_text(encoding="utf-8"), re.MULTILINE
        ), manifest


def sources() -> list[Path]:
    folders = ("rust", "python", "tests", "benches", "examples")
    return [
        path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".rs"}
    ]


def test_no_file_is_too_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    assert len(lengths) > 1
    assert {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > MAX_LINES} == {}


def public_modules() -> list[str]:
    found = pkgutil.walk_packages(csfle_fast.__path__, "csfle_fast.")
    return ["csfle_fast", *(module.name for module in found if not module.name.endswith("__main__"))]


@pytest.mark.parametrize("name", public_modules())
def test_every_public_name_has_a_docstring(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    bare = [
        f"{name}.{public}.{member}" if member else f"{name}.{public}"
        for public in getattr(module, "__all__", ())
        for member, thing in _documented_parts(getattr(module, public))
        if not inspect.getdoc(thing)
    ]
    assert bare == []


def _documented_parts(thing: object) -> Iterator[tuple[str, object]]:
    """A class or function, and a class's own public methods and properties; constants document themselves."""
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        return
    yield "", thing
    if inspect.isclass(thing):
        for name, member in vars(thing).items():
            if not name.startswith("_") and (callable(member) or isinstance(member, property)):
                yield name, member
