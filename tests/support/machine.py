"""A whole system that boots: a small Debian with the daemon installed as its manual says, in a container of systemd."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".venv" / "boot"
SUITE, PACKAGES = "bookworm", "systemd,systemd-sysv,dbus,python3"
SYSTEM_PYTHON = "/usr/bin/python3"  # the same path here and there, and the same minor version: what is compiled fits
UNIT = "watchdogd.service"
DROP_INS = Path("/etc/systemd/system/watchdogd.service.d")
BOOTED_S_MAX = 180.0
POLL_S = 0.2


def system_python() -> str:
    """Its minor version here; empty where there is none."""
    if not Path(SYSTEM_PYTHON).exists():
        return ""
    asked = [SYSTEM_PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def installed_root(mmdebstrap: str) -> Path:
    """The root file system of a Debian with the daemon in it. Debian itself is fetched once, and kept."""
    root, fresh = CACHE / SUITE, CACHE / f"{SUITE}.new"
    if not root.exists():
        shutil.rmtree(fresh, ignore_errors=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        made = [mmdebstrap, "--quiet", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(fresh)]
        subprocess.run(made, check=True, timeout=600)
        fresh.rename(root)
    make = ["make", "--silent", "-o", ".venv/.run", "install", f"DESTDIR={root}", f"PYTHON={SYSTEM_PYTHON}"]
    subprocess.run(make, cwd=ROOT, check=True, timeout=600)
    return root


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command in the machine ended with, and everything it wrote."""

    status: int
    text: str


class Machine:
    """A booted system. `root` is its root file system, as seen from here; `shared` has the same path here and there."""

    def __init__(self, root: Path, shared: Path, init_pid: int) -> None:
        self.root = root
        self.shared = shared
        self._init_pid = init_pid

    async def run(self, *words: str) -> Said:
        """A command in the machine, as root."""
        inside = ("nsenter", "--target", str(self._init_pid), "--all", *words)
        process = await asyncio.create_subprocess_exec(
            *inside,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(150):
            text, _ = await process.communicate()
        return Said(status=process.returncode or 0, text=text.decode(errors="replace"))

    async def is_up(self) -> bool:
        """Whether it has booted, and its init is who we think it is."""
        said = await self.run("systemctl", "is-system-running")
        return said.text.strip() in ("running", "degraded")

    async def systemctl(self, *words: str) -> str:
        """What it says; it must succeed."""
        said = await self.run("systemctl", *words)
        assert said.status == 0, f"systemctl {' '.join(words)}: {said.text}\n{await self.journal()}"
        return said.text

    async def shown(self, *properties: str) -> Mapping[str, str]:
        """What systemd knows of the unit."""
        text = await self.systemctl("show", UNIT, *(f"--property={name}" for name in properties))
        return dict(line.split("=", 1) for line in text.splitlines())

    async def until(self, name: str, wanted: str, *, timeout_s: float = 60.0) -> None:
        """Until a property of the unit reads `wanted`, or begins so where that ends in `...`."""
        begins = wanted.removesuffix("...")
        seen = ""
        try:
            async with asyncio.timeout(timeout_s):
                while (seen := (await self.shown(name))[name]) != wanted and not (
                    begins != wanted and seen.startswith(begins)
                ):
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise AssertionError(f"{name} is {seen!r}, not {wanted!r}:\n{await self.journal()}") from None

    async def journal(self, *words: str) -> str:
        """What the unit and systemd about it wrote to the journal since it was last reset."""
        return (await self.run("journalctl", "--no-pager", "--output=short", f"--unit={UNIT}", *words)).text

    def drop_in(self, name: str, text: str) -> None:
        """In force from the next `daemon-reload` on."""
        folder = self.root / DROP_INS.relative_to("/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.conf").write_text(f"[Service]\n{text}\n", encoding="utf-8")

    async def reset(self) -> None:
        """As just installed: no state, no config, no drop-in but the shipped one."""
        await self.run("systemctl", "stop", UNIT)
        await self.run("systemctl", "reset-failed", UNIT)
        await self.run("sh", "-c", "journalctl --rotate && journalctl --vacuum-time=1s")
        shutil.rmtree(self.root / "var/lib/watchdogd", ignore_errors=True)
        for kept in (self.root / DROP_INS.relative_to("/")).glob("*.conf"):
            if kept.name != "credentials.conf":
                kept.unlink()
        (self.root / "etc/watchdogd/watchdogd.toml").unlink(missing_ok=True)
        await self.systemctl("daemon-reload")

    def uid_of(self, user: str) -> int:
        """As its own /etc/passwd says."""
        lines = (self.root / "etc/passwd").read_text(encoding="utf-8").splitlines()
        return next(int(line.split(":")[2]) for line in lines if line.startswith(f"{user}:"))


@asynccontextmanager
async def booted(nspawn: str, root: Path, shared: Path) -> AsyncIterator[Machine]:
    """The system on `root` runs while the block does; it shares the network with us, and the folder `shared`."""
    console = shared / "console.log"
    words = ["--register=no", "--keep-unit", "--quiet", "--console=pipe", f"--bind={shared}", "-D", str(root), "--boot"]
    with console.open("wb") as written:
        process = await asyncio.create_subprocess_exec(
            nspawn, *words, stdin=asyncio.subprocess.DEVNULL, stdout=written, stderr=asyncio.subprocess.STDOUT
        )
    try:
        async with asyncio.timeout(BOOTED_S_MAX):
            while not await (machine := Machine(root, shared, _init_of(process.pid))).is_up():
                assert process.returncode is None, console.read_text(errors="replace")
                await asyncio.sleep(POLL_S)
        yield machine
    finally:
        with suppress(ProcessLookupError):
            process.terminate()  # it powers the system off
        await _gone(process)


def _init_of(pid: int) -> int:
    """The newest child of nspawn; its first one only makes way for it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return int(children[-1]) if children else 0


async def _gone(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(30):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
