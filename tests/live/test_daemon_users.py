"""The control socket and real users: what the kernel says of the caller decides, also about supplementary groups."""

from __future__ import annotations

import asyncio
import grp
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio

from tests.conftest import Need
from tests.support.live_daemon import started
from tests.support.live_pair import ServedWorld, served_world

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

READERS, OPERATORS = 64_100, "games"  # of a group the daemon only knows the name; everybody has `games`
NOBODYS_GROUP = 64_200
# It becomes the user after its imports: the interpreter may lie where that user may not look.
PROGRAM = """
import encodings.idna, os, shutil, sys  # what is imported later must be here already
from watchdogd.cli.ctl import main
uid, gid, *groups = map(int, sys.argv[1].split(","))
os.setgroups(groups); os.setresgid(gid, gid, gid); os.setresuid(uid, uid, uid)
sys.exit(main(sys.argv[2:]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A uid that nobody else has, with its groups."""

    uid: int
    gid: int = NOBODYS_GROUP
    groups: Sequence[int] = ()


def operators() -> int:
    return grp.getgrnam(OPERATORS).gr_gid


@asynccontextmanager
async def answering(world: ServedWorld, path: Path) -> AsyncIterator[None]:
    """A daemon that answers at `path`; its folder belongs to the readers, as `Group=watchdogd` makes it."""
    world.write_config(lambda table: table["control"].update(socket=str(path), operators_group=OPERATORS))
    async with started(world.config, path, environ=world.environ) as daemon:
        await daemon.until(bool, timeout_s=60)
        for place, mode in ((path.parent, 0o750), (path, 0o660)):
            os.chown(place, 0, READERS)
            place.chmod(mode)
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def socket(tmp_path_factory: pytest.TempPathFactory, need: Need) -> AsyncIterator[Path]:
    need.root("takes on other users")
    with TemporaryDirectory(prefix="watchdogd-") as folder:
        path = Path(folder) / "control.sock"
        async with served_world(tmp_path_factory.mktemp("users")) as world, answering(world, path):
            yield path


async def ctl(socket: Path, user: User, *words: str) -> tuple[int, str]:
    who = ",".join(map(str, (user.uid, user.gid, *user.groups)))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, who, "--socket", str(socket), *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_a_reader_reads_and_is_told_that_it_may_not_act(socket: Path) -> None:
    reader = User(uid=64_001, groups=(READERS,))
    assert (await ctl(socket, reader, "status"))[0] == 0
    code, said = await ctl(socket, reader, "pause", "--reason", "mine")
    assert (code, "uid 64001 may look but not act" in said) == (5, True)
    assert (await ctl(socket, reader, "reload"))[0] == 5


@pytest.mark.parametrize("is_primary_group", [False, True])
async def test_an_operator_acts_by_any_of_its_groups_and_is_journalled(socket: Path, is_primary_group: bool) -> None:
    gid = operators() if is_primary_group else NOBODYS_GROUP
    operator = User(uid=64_002, gid=gid, groups=(READERS,) if is_primary_group else (7, READERS, operators()))
    assert (await ctl(socket, operator, "pause", "--reason", "ours"))[0] == 0
    assert (await ctl(socket, operator, "resume", "--reason", "ours"))[0] == 0
    assert "by_uid=64002" in (await ctl(socket, operator, "history", "--limit", "10"))[1]


async def test_who_is_in_neither_group_may_not_even_connect(socket: Path) -> None:
    code, said = await ctl(socket, User(uid=64_003), "status")
    assert (code, "you must be in the group that owns it" in said) == (5, True)
