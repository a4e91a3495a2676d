"""The container image, built by buildah without a daemon, on a Debian made here and from wheels that the locks name."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".venv" / "image"
SUITE, PACKAGES = "bookworm", "python3,python3-venv,ca-certificates"
BASE, IMAGE = "localhost/watchdogd-base", "localhost/watchdogd"
SENT = ("requirements.lock", "requirements-build.lock", "pyproject.toml", "README.md", "LICENSE", "Dockerfile")


@dataclass(frozen=True, slots=True, kw_only=True)
class Buildah:
    """buildah with a store of its own, without a daemon and without a kernel's help for layers."""

    program: str

    def words(self, *words: str) -> list[str]:
        store = ["--root", str(CACHE / "store"), "--runroot", str(CACHE / "run"), "--storage-driver", "vfs"]
        return [self.program, *store, *words]

    def run(self, *words: str) -> str:
        """What it says on standard output; it must succeed."""
        done = subprocess.run(self.words(*words), capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, f"buildah {' '.join(words)}: {done.stderr}"
        return done.stdout.strip()


def made_image(buildah: Buildah, mmdebstrap: str) -> None:
    """The image of this tree. No registry is asked; pip sees nothing but what stands in dist/."""
    CACHE.mkdir(parents=True, exist_ok=True)
    _make_base(buildah, mmdebstrap)
    context = CACHE / "context"
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir()
    for name in SENT:
        shutil.copy(ROOT / name, context)
    shutil.copytree(ROOT / "watchdogd", context / "watchdogd", ignore=shutil.ignore_patterns("__pycache__"))
    _fetch_wheels(context / "dist")
    arguments = (f"BASE={BASE}", "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/src")
    given = [word for argument in arguments for word in ("--build-arg", argument)]
    # The format of Docker: that of OCI has no health check.
    buildah.run(
        "build", "--isolation", "chroot", "--format", "docker", "--pull-never", "--quiet", "-t", IMAGE,
        *given, str(context),
    )  # fmt: skip


def _make_base(buildah: Buildah, mmdebstrap: str) -> None:
    if BASE in buildah.run("images", "--format", "{{.Name}}"):
        return
    tar = CACHE / "base.tar"
    made = [mmdebstrap, "--quiet", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(tar)]
    subprocess.run(made, check=True, timeout=600)
    container = buildah.run("from", "scratch")
    buildah.run("add", "--quiet", container, str(tar), "/")
    buildah.run("commit", "--quiet", "--rm", container, BASE)
    tar.unlink()


def _fetch_wheels(folder: Path) -> None:
    for lock in ("requirements.lock", "requirements-build.lock"):
        kept = str(CACHE / "wheels")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        found = ["--find-links", kept, "--only-binary=:all:", "--dest", kept, "-r", str(ROOT / lock)]
        Path(kept).mkdir(exist_ok=True)
        subprocess.run([*pip, *found], check=True, timeout=600)
    shutil.copytree(CACHE / "wheels", folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of the image. It shares the network with us, and `shared`, which has the same path in both."""

    buildah: Buildah
    name: str
    shared: Path

    def words(self, *words: str) -> list[str]:
        """What runs `words` in it, as the user of the image."""
        mounts = [f"{self.shared}:{self.shared}"]
        mounted = [word for mount in mounts for word in ("--volume", mount)]
        return self.buildah.words("run", "--isolation", "chroot", *mounted, self.name, "--", *words)

    async def run(self, *words: str) -> tuple[int, str]:
        """Its exit status, and everything it said."""
        return await said_by(self.words(*words))


async def said_by(words: Sequence[str]) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(120):
        text, _ = await process.communicate()
    return process.returncode or 0, text.decode(errors="replace")
