"""Style as tests: sizes, bans and names, instead of a habit of reviewers."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import watchdogd

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "watchdogd").rglob("*.py"))
EVERYTHING = [*PACKAGE, *sorted((ROOT / "tests").rglob("*.py"))]
FILE_LINES_MAX, FUNCTION_LINES_MAX, NESTING_MAX = 500, 60, 3

# The vocabulary of the architecture: a cluster has no leader, and is called what the config calls it.
# "too_old" and "each_other" are adverbs, not clusters; the name of a test is a sentence.
BANNED_WORDS = re.compile(
    r"(?:^|_)(?:leader|master|live|(?<!each_)other|(?<!too_)old|cluster1|cluster2|self_cluster)(?:_|$)"
)
BANNED_MODULES = {"utils", "helpers", "common", "manager", "base", "util", "helper", "misc"}
# Vault's own field names and outcome enums, spelled as in its API; a live test is one on real sockets, and has support.
EXEMPT_NAMES = {"OTHER", "leader_address", "leader_cluster_address", "performance_standby_last_remote_wal", "is_leader"}
EXEMPT_FILES = {*(ROOT / "tests" / "live").rglob("*.py"), *(ROOT / "tests" / "support").glob("live_*.py")}
# What core may import: modules that hold or transform data. Everything else is the shell's.
CORE_MAY_IMPORT = set(
    "__future__ abc base64 binascii bisect collections dataclasses datetime decimal enum fractions functools hashlib "
    "heapq itertools json math operator re statistics string types typing watchdogd".split()
)
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)


def trees(paths: list[Path]) -> Iterator[tuple[Path, ast.Module]]:
    for path in paths:
        yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def nesting(node: ast.AST) -> int:
    """How deep blocks stand in blocks. `elif` is not deeper than its `if`; a nested function starts anew."""
    depth = 0
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            is_elif = field == "orelse" and isinstance(node, ast.If) and isinstance(child, ast.If)
            depth = max(depth, nesting(child) + (isinstance(child, BLOCKS) and not is_elif))
    return depth


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)


def names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.lineno, node.name
                if not node.name.startswith("__"):  # __eq__(self, other) is Python's own name
                    arguments = node.args
                    yield from (
                        (a.lineno, a.arg) for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
                    )
            case ast.ClassDef():
                yield node.lineno, node.name
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr


def test_no_file_is_longer_than_500_lines() -> None:
    counts = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path, _ in trees(EVERYTHING)}
    assert {path: n for path, n in counts.items() if n > FILE_LINES_MAX} == {}


def test_no_function_is_longer_than_60_lines() -> None:
    lengths = {
        f"{p}:{f.lineno} {f.name}": (f.end_lineno or 0) - f.lineno + 1
        for p, t in trees(EVERYTHING)
        for f in functions(t)
    }
    assert {where: n for where, n in lengths.items() if n > FUNCTION_LINES_MAX} == {}


def test_nothing_is_nested_deeper_than_3_levels() -> None:
    depths = {f"{p}:{f.lineno} {f.name}": nesting(f) for p, t in trees(EVERYTHING) for f in functions(t)}
    assert {where: n for where, n in depths.items() if n > NESTING_MAX} == {}


def test_no_name_uses_a_word_that_means_two_things_here() -> None:
    bad = [
        f"{path}:{line} {name}"
        for path, tree in trees([path for path in EVERYTHING if path not in EXEMPT_FILES])
        for line, name in names(tree)
        if name not in EXEMPT_NAMES and not name.startswith(("__", "test_")) and BANNED_WORDS.search(name.lower())
    ]
    assert bad == []


def test_no_module_is_a_drawer_for_everything() -> None:
    assert [path for path, _ in trees(EVERYTHING) if path.stem in BANNED_MODULES] == []


def test_core_imports_data_modules_and_itself_only() -> None:
    core = [p for p in PACKAGE if p.is_relative_to(ROOT / "watchdogd" / "core")]
    bad = [
        f"{path}:{line} {module}"
        for path, tree in trees(core)
        for line, module in imported(tree)
        if module.split(".")[0] not in CORE_MAY_IMPORT
        or (module.startswith("watchdogd.") and not module.startswith("watchdogd.core"))
    ]
    assert bad == []


def test_the_lab_imports_nothing_of_the_rest() -> None:
    lab = [p for p in PACKAGE if p.is_relative_to(ROOT / "watchdogd" / "lab")]
    bad = [
        f"{path}:{line} {module}"
        for path, tree in trees(lab)
        for line, module in imported(tree)
        if module.split(".")[0] == "watchdogd" and not module.startswith("watchdogd.lab")
    ]
    assert bad == []


@pytest.mark.parametrize("banned", ["unittest.mock", "mock", "aioresponses"])
def test_nobody_imports_mocks(banned: str) -> None:
    bad = [
        f"{p}:{line}"
        for p, t in trees(EVERYTHING)
        for line, m in imported(t)
        if m == banned or m.startswith(f"{banned}.")
    ]
    assert bad == []


def test_only_a_loop_edge_may_catch_everything_and_says_so() -> None:
    bad = [
        f"{path}:{node.lineno}"
        for path, tree in trees(PACKAGE)
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")))
        and "loop edge" not in (ROOT / path).read_text(encoding="utf-8").splitlines()[node.lineno - 1]
    ]
    assert bad == []


def test_the_version_is_the_newest_heading_of_the_changelog_or_that_is_unreleased() -> None:
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert headings, "CHANGELOG.md has no '## [x.y.z]' heading"
    released = [heading for heading in headings if heading != "Unreleased"]
    assert "Unreleased" not in headings[1:], "Unreleased belongs at the top"
    if released:
        version = watchdogd.__version__
        assert version == released[0] or (headings[0] == "Unreleased" and version > released[0])
    assert re.fullmatch(r"\d+\.\d+\.\d+", watchdogd.__version__)


def test_the_version_stands_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" in project["project"]["dynamic"]
    assert "version" not in project["project"]


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock", "requirements-build.lock"])
def test_a_lock_file_holds_hashes_and_no_host_or_path(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*(?:-|/|\./)(?!-hash=)", text, flags=re.MULTILINE)
    packages = re.split(r"\n(?=[a-z])", text.strip())
    assert all("--hash=sha256:" in package for package in packages)


def test_every_extra_that_a_locked_package_asks_for_is_locked_by_name() -> None:
    """pip in hash mode takes the newest `coverage[toml]` beside a locked `coverage`, and refuses it."""
    locked = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    pins = set(re.findall(r"^([a-z0-9._-]+(?:\[[a-z0-9,._-]+\])?)==", locked, flags=re.MULTILINE))
    asked = {
        f"{wanted.name.lower()}[{','.join(sorted(wanted.extras))}]"
        for distribution in metadata.distributions()
        for wanted in map(Requirement, distribution.requires or [])
        if wanted.extras and distribution.name in pins and (not wanted.marker or wanted.marker.evaluate({"extra": ""}))
    }
    assert asked, "no locked package asks for an extra: this test then tests nothing"
    assert asked <= pins
