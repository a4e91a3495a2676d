"""The daemon's doors on real sockets: the control socket with `watchdogctl`, the page, metrics, and a second daemon."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
import sys
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from tests.support.configs import Table
from tests.support.live_daemon import DaemonProcess, started
from tests.support.live_pair import PAIR, ServedWorld, served_world, until_ready

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module")]

NO_LOAD = {"reason": "a test"}
SOON_S = 60.0


class Doors:
    """One world, one daemon that is ready, and the ways to ask it."""

    def __init__(self, world: ServedWorld, daemon: DaemonProcess) -> None:
        self.world = world
        self.daemon = daemon

    async def ctl(self, *words: str) -> tuple[int, str]:
        """`watchdogctl` as its own process: exit code and what it said."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "watchdogd.cli.ctl",
            "--socket",
            str(self.world.socket),
            *words,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    def session(self) -> aiohttp.ClientSession:
        """HTTP over the control socket."""
        return aiohttp.ClientSession("http://local", connector=aiohttp.UnixConnector(str(self.world.socket)))

    @property
    def page(self) -> str:
        """Where the page is."""
        return "http://" + tomllib.loads(self.world.config.read_text())["listen"]["http"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Doors]:
    async with served_world(tmp_path_factory.mktemp("doors")) as world, world.daemon() as daemon:
        await until_ready(daemon)
        yield Doors(world, daemon)


# ------------------------------------------------------------------------------------------------------ watchdogctl


async def test_status_and_explain_are_for_people(doors: Doors) -> None:
    code, said = await doors.ctl("status")
    assert code == 0
    assert f"{PAIR}: STEADY  S-10 healthy" in said
    code, said = await doors.ctl("explain")
    assert code == 0
    assert "gates that are closed" in said
    assert "hears the primary" in said


async def test_with_json_the_answer_is_the_daemons_own(doors: Doors) -> None:
    code, said = await doors.ctl("--json", "explain", "--pair", PAIR)
    assert code == 0
    assert {"pair", "phase", "situation", "facts", "evidence", "gates", "would_act_when", "command"} <= set(
        json.loads(said)
    )


async def test_a_ready_pair_passes_the_check(doors: Doors) -> None:
    await until_ready(doors.daemon)
    assert (await doors.ctl("status", "--check"))[0] == 0


async def test_a_refused_command_names_its_reason_and_exits_3(doors: Doors) -> None:
    code, said = await doors.ctl("failover", "west", "--reason", "a test")
    assert code == 3
    assert "east is an active primary" in said


async def test_pause_and_resume_are_journalled_with_the_uid(doors: Doors) -> None:
    assert (await doors.ctl("pause", "--for", "90s", "--reason", "weekend"))[0] == 0
    code, said = await doors.ctl("status", "--check")
    assert code != 0
    assert "PAUSED     weekend" in said
    assert (await doors.ctl("resume", "--reason", "back"))[0] == 0
    code, said = await doors.ctl("history", "--limit", "5")
    assert code == 0
    assert "paused reason=weekend" in said
    assert "resumed" in said


@pytest.mark.parametrize(
    ("words", "code"),
    [(("run", "show", "nobody"), 2), (("explain", "--pair", "nobody"), 2), (("adopt", "west", "--reason", "x"), 3)],
)
async def test_what_makes_no_sense_exits_with_its_code(doors: Doors, words: tuple[str, ...], code: int) -> None:
    assert (await doors.ctl(*words))[0] == code


async def test_without_a_daemon_it_says_so_and_exits_4(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "watchdogd.cli.ctl", "--socket", str(tmp_path / "none.sock"), "status",
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode == 4
    assert b"no daemon answers" in said


# ------------------------------------------------------------------------------------------------------- the socket


async def test_the_socket_is_for_its_owner_and_group_from_the_first_moment(doors: Doors) -> None:
    assert stat.S_IMODE(doors.world.socket.stat().st_mode) == 0o660


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/nothing", b"", 404),
        ("POST", f"/v1/pairs/{PAIR}/pause", b"not json", 400),
        ("POST", f"/v1/pairs/{PAIR}/pause", b"[1]", 400),
        ("POST", f"/v1/pairs/{PAIR}/pause", b"{}", 400),
        ("POST", f"/v1/pairs/{PAIR}/pause", b"x" * 100_000, 413),
        ("POST", "/v1/pairs/*/failover", json.dumps(NO_LOAD | {"target": "west"}).encode(), 400),
        ("GET", "/v1/history?limit=none", b"", 400),
    ],
)
async def test_bad_requests_get_an_error_in_the_agreed_shape(
    doors: Doors, method: str, path: str, body: bytes, status: int
) -> None:
    await asyncio.sleep(0.2)  # the limit counts by uid, and these are all ours
    async with doors.session() as session, session.request(method, path, data=body or None) as reply:
        assert reply.status == status
        error = (await reply.json())["error"]
        assert set(error) == {"code", "message", "gates"}


async def test_one_uid_may_not_ask_without_end(doors: Doors) -> None:
    async with doors.session() as session:
        asked = await asyncio.gather(*(session.get("/v1/version") for _ in range(50)))
        statuses = [reply.status for reply in asked]
        for reply in asked:
            reply.close()
    assert 429 in statuses
    await asyncio.sleep(1.1)


async def test_a_second_daemon_on_the_same_state_exits_3_and_robs_nobody(doors: Doors) -> None:
    async with started(doors.world.config, doors.world.socket) as second:
        assert await second.ended() == 3
    assert any("in use by process" in line for line in second.raw)
    assert (await doors.ctl("version"))[0] == 0


async def test_a_second_daemon_with_a_state_of_its_own_takes_no_socket_away(doors: Doors, tmp_path: Path) -> None:
    table = doors.world.config.read_text()
    other = tmp_path / "other.toml"
    other.write_text(table.replace(str(doors.world.state_dir), str(tmp_path / "state")))
    async with started(other, doors.world.socket, environ=doors.world.environ) as second:
        told = await second.said(lambda line: "another daemon answers there" in str(line), timeout_s=SOON_S)
        assert told
        assert await second.terminate() == 0
    assert (await doors.ctl("version"))[0] == 0


# ---------------------------------------------------------------------------------------------------------- the page


async def test_the_page_is_static_and_may_load_nothing_from_elsewhere(doors: Doors) -> None:
    async with aiohttp.ClientSession() as session:
        for path, kind in (("/", "text/html"), ("/page.js", "text/javascript"), ("/icon.svg", "image/svg+xml")):
            async with session.get(doors.page + path) as reply:
                assert (reply.status, reply.content_type) == (200, kind)
                assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
        async with session.post(doors.page + "/") as reply:
            assert reply.status == 405


async def test_the_stream_gives_every_pair_with_its_explanation(doors: Doors) -> None:
    async with aiohttp.ClientSession() as session, session.get(doors.page + "/events") as reply:
        async for line in reply.content:
            if line.startswith(b"data: "):
                state = json.loads(line.removeprefix(b"data: "))
                break
    (pair,) = state["pairs"]
    assert pair["status"]["pair"] == pair["explain"]["pair"] == PAIR


async def test_metrics_are_well_formed_and_tell_of_the_pair(doors: Doors) -> None:
    async with aiohttp.ClientSession() as session, session.get(doors.page + "/metrics") as reply:
        text = await reply.text()
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["watchdogd_situation", (("pair", PAIR), ("situation", "S-10"))] == 1
    assert samples["watchdogd_situation", (("pair", PAIR), ("situation", "S-30"))] == 0
    assert samples["watchdogd_epoch", (("pair", PAIR),)] == 0
    assert any(name == "watchdogd_journal_writes_total" and value > 0 for (name, _), value in samples.items())


async def test_health_and_readiness_are_two_things(doors: Doors) -> None:
    await until_ready(doors.daemon)
    async with aiohttp.ClientSession() as session:
        async with session.get(doors.page + "/healthz") as reply:
            assert reply.status == 200
        async with session.get(doors.page + "/readyz") as reply:
            assert (reply.status, (await reply.json())["pairs"]) == (200, {PAIR: True})


# ---------------------------------------------------------------------------------------------------- all alone


async def test_it_starts_and_answers_and_stops_with_everything_around_it_dead(doors: Doors, tmp_path: Path) -> None:
    def dead(table: Table) -> None:
        table["state_dir"] = str(tmp_path / "state")
        table["control"]["socket"] = str(tmp_path / "c.sock")
        table["listen"]["http"] = "127.0.0.1:1"  # not ours to bind as a user, and taken or not: it goes on
        table["environment"] = "production"
        pair = table["pair"][PAIR]
        pair["timing"] = {}
        for k, cluster in enumerate(pair["cluster"].values(), start=1):
            cluster["nodes"] = [f"https://127.0.0.{k}:{1 + n}" for n in range(3)]
            cluster["address"] = f"https://nowhere-{k}.invalid:8200"
        pair["credentials"] = {"dr_operation_token": [{"file": str(tmp_path / "gone")}]}
        pair["dns"] |= {"endpoint_url": "http://127.0.0.9:9", "authoritative": ["ns.nowhere.invalid"]}
        pair["dns"]["resolvers"] = ["127.0.0.9:9"]
        table["self_check"]["anchors"] = [{"address": "nowhere.invalid:443", "place": "neutral"}]

    config = doors.world.config.read_text()
    try:
        doors.world.write_config(dead)
        alone = tmp_path / "dead.toml"
        alone.write_text(doors.world.config.read_text())
    finally:
        doors.world.config.write_text(config)
    async with started(alone, tmp_path / "c.sock") as daemon:
        await daemon.until(lambda explained: explained["situation"] == "S-02", timeout_s=SOON_S)
        daemon.send(signal.SIGTERM)
        assert await daemon.ended() == 0
