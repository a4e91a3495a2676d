"""A whole lab on loopback: probed over TLS, broken, fenced, its name moved through Route 53 and seen to move."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from botocore.config import Config
from botocore.exceptions import ConnectTimeoutError

from watchdogd.lab.client_program import Fate, missing, read_log
from watchdogd.lab.events import Event, What
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.knobs import Knobs
from watchdogd.lab.lab_file import LabFile, NoLab
from watchdogd.lab.route53 import Route53Knobs
from watchdogd.lab.serve import ServedLab, Settings
from watchdogd.lab.serve_socket import bound
from watchdogd.lab.serve_up import running
from watchdogd.lab.spec import WorldSpec
from watchdogd.rehearsal.free_ports import free_port

pytestmark = pytest.mark.live

EPOCH_UTC_S = 1_795_315_464.0
EAST, WEST = "vault-east.example.test.", "vault-west.example.test."
PATIENT = aiohttp.ClientTimeout(total=20)
GIVEN_UP_S = 0.6  # on what is never answered
PROPAGATION_S = 1.5  # time enough to ask a server that does not know yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    lab: ServedLab
    file: LabFile
    directory: Path
    session: aiohttp.ClientSession

    async def health(self, url: str) -> tuple[int, Mapping[str, Any]]:
        async with self.session.get(f"{url}/v1/sys/health") as reply:
            return reply.status, await reply.json(content_type=None)

    async def wait_for(self, what: What, seen: Callable[[Event], bool] = lambda _event: True) -> Event:
        """The first such event; fails after 10 s."""
        after = 0
        async with asyncio.timeout(10):
            while True:
                events = await self.lab.events.wait_after(after, timeout_s=10)
                if found := [event for event in events if event.what is what and seen(event)]:
                    return found[0]
                after = events[-1].seq if events else after


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Running]:
    settings = Settings(
        spec=WorldSpec(port=free_port(), knobs=Knobs(promote_s=0.3, demote_s=0.2)),
        seed=1,
        epoch_utc_s=EPOCH_UTC_S,
        directory=tmp_path,
        ttl_s=1,
        route53=Route53Knobs(propagation_s=PROPAGATION_S),
    )
    async with running(settings) as (lab, file):
        connector = aiohttp.TCPConnector(ssl=lab.authority.client_context())
        async with aiohttp.ClientSession(connector=connector, timeout=PATIENT) as session:
            yield Running(lab=lab, file=file, directory=tmp_path, session=session)


async def test_every_address_of_every_place_answers_as_the_node_behind_it(served: Running) -> None:
    east, west = served.file.clusters["east"], served.file.clusters["west"]
    seen = [(await served.health(url))[0] for url in (*east.nodes, *east.client_nodes, *west.nodes)]
    assert seen == [200, 473, 473, 200, 473, 473, 472, 472, 472]
    assert (await served.health(east.nodes[0]))[1]["cluster_id"] == east.vault_id


async def test_the_lab_file_is_for_its_owner_only_and_goes_with_the_lab(served: Running) -> None:
    path = served.directory / "lab.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert LabFile.read(served.directory) == served.file
    with pytest.raises(NoLab, match="start one with `watchdogd-lab up --dir "):
        LabFile.read(served.directory / "nowhere")


async def test_a_crashed_region_refuses_from_the_first_moment_on(served: Running) -> None:
    url = served.file.clusters["east"].nodes[0]
    assert (await served.health(url))[0] == 200
    served.lab.add_fault(Fault(kind=FaultKind.CRASH, target="region:east"))
    with pytest.raises(aiohttp.ClientConnectorError) as info:
        await served.health(url)
    assert isinstance(info.value.os_error, ConnectionRefusedError)


async def test_a_black_hole_swallows_old_and_new_connections_until_it_is_gone(served: Running) -> None:
    url = served.file.clusters["east"].nodes[0]
    assert (await served.health(url))[0] == 200
    fault_id = served.lab.add_fault(Fault(kind=FaultKind.BLACKOUT, target="region:east"))
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(GIVEN_UP_S):
                await served.health(url)
    assert (await served.health(served.file.clusters["west"].nodes[0]))[0] == 472
    served.lab.clear_faults(fault_id)
    assert (await served.health(url))[0] == 200


async def test_a_broken_link_concerns_one_place_only(served: Running) -> None:
    east = served.file.clusters["east"]
    served.lab.add_fault(Fault(kind=FaultKind.DROP, target="link:bastion>east"))
    assert (await served.health(east.client_nodes[0]))[0] == 200
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(GIVEN_UP_S):
            await served.health(east.nodes[0])


async def test_reset_and_garbage_come_from_the_node_that_they_are_hung_on(served: Running) -> None:
    nodes = served.file.clusters["east"].nodes
    served.lab.add_fault(Fault(kind=FaultKind.RESET, target="node:east/2"))
    served.lab.add_fault(Fault(kind=FaultKind.GARBAGE, target="node:east/3"))
    assert (await served.health(nodes[0]))[0] == 200
    with pytest.raises(aiohttp.ClientOSError):
        await served.session.post(f"{nodes[1]}/v1/sys/health")
    with pytest.raises(aiohttp.ClientResponseError):
        await served.health(nodes[2])


async def test_a_fence_closes_the_clients_way_and_leaves_the_bastions_open(served: Running) -> None:
    east = served.file.clusters["east"]
    assert (await served.health(east.client_nodes[0]))[0] == 200
    served.lab.fence("east", on=True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(GIVEN_UP_S):
            await served.health(east.client_nodes[0])
    assert (await served.health(east.nodes[0]))[0] == 200
    served.lab.fence("east", on=False)
    assert (await served.health(east.client_nodes[0]))[0] == 200


async def test_a_promotion_is_logged_when_it_arrives_and_shows_when_it_is_done(served: Running) -> None:
    west = served.file.clusters["west"].nodes[0]
    served.lab.add_fault(Fault(kind=FaultKind.CRASH, target="region:east"))
    body = {"dr_operation_token": served.file.credentials["dr_token_a"]}
    async with served.session.post(f"{west}/v1/sys/replication/dr/secondary/promote", json=body) as reply:
        assert reply.status == 200, await reply.text()
    sent = await served.wait_for(What.SENT, lambda e: str(e.detail["path"]).endswith("dr/secondary/promote"))
    applied = await served.wait_for(What.APPLIED, lambda e: e.detail["verb"] == "promote")
    assert (sent.detail["target"], applied.detail["cluster"]) == ("west/1", "west")
    async with asyncio.timeout(10):
        while served.lab.world.primary() != "west":
            await asyncio.sleep(0.05)
    lines = (served.directory / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert any(json.loads(line)["what"] == "applied" for line in lines)


async def test_the_control_endpoint_wants_its_token_and_tells_events_as_they_happen(served: Running) -> None:
    url, token = served.file.control_url, {"Authorization": f"Bearer {served.file.control_token}"}
    for headers in ({}, {"Authorization": "Bearer guess"}):
        async with served.session.put(f"{url}/fence/east", json={"on": True}, headers=headers) as reply:
            assert reply.status == 401
    assert not served.lab.world.is_fenced("east")
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(events_after(served, 0, token))
        await asyncio.sleep(0)
        async with served.session.put(f"{url}/fence/east", json={"on": True}, headers=token) as reply:
            assert (reply.status, await reply.json()) == (200, {"cluster": "east", "closed": True})
    assert [(e["what"], e["cluster"]) for e in waiting.result()] == [("fenced", "east")]
    async with served.session.put(f"{url}/fence/east", json={"on": "yes"}, headers=token) as reply:
        assert reply.status == 400


async def events_after(served: Running, seq: int, headers: Mapping[str, str]) -> list[Mapping[str, Any]]:
    async with served.session.get(f"{served.file.control_url}/events?after={seq}&wait_s=15", headers=headers) as reply:
        return list((await reply.json())["events"])


# ------------------------------------------------------------------ names


async def ask(
    server: str, name: str, rtype: str = "A", *, tcp: bool = False, patience_s: float = 20.0
) -> dns.message.Message:
    host, _, port = server.partition(":")
    query = dns.message.make_query(name, rtype)
    send = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    return await send(query, host, timeout=patience_s, port=int(port))


async def target(server: str, *, tcp: bool = False, patience_s: float = 20.0) -> str:
    reply = await ask(server, "vault.example.test", "CNAME", tcp=tcp, patience_s=patience_s)
    return str(reply.answer[0][0])


@pytest.mark.parametrize("tcp", [False, True])
async def test_authoritative_servers_answer_with_the_whole_chain(served: Running, tcp: bool) -> None:
    for server in served.file.authoritative:
        reply = await ask(server, "vault.example.test", tcp=tcp)
        assert [str(rrset[0]) for rrset in reply.answer] == [EAST, "127.2.1.100"]
        assert (bool(reply.flags & dns.flags.AA), bool(reply.flags & dns.flags.RA)) == (True, False)
        soa = await ask(server, "example.test", "SOA", tcp=tcp)
        assert soa.answer[0].rdtype == dns.rdatatype.SOA


async def test_a_resolver_says_that_it_is_one(served: Running) -> None:
    reply = await ask(served.file.resolvers["clients"], "vault.example.test", tcp=True)
    assert (bool(reply.flags & dns.flags.AA), bool(reply.flags & dns.flags.RA)) == (False, True)


async def test_questions_that_have_no_answer_get_their_proper_code(served: Running) -> None:
    server = served.file.authoritative[0]
    asked = [
        ("nothing.example.test", "A"),
        ("example.com", "A"),
        ("vault.example.test", "AAAA"),
        ("example.test", "MX"),
    ]
    codes = [(await ask(server, name, rtype)).rcode() for name, rtype in asked]
    assert codes == [dns.rcode.NXDOMAIN, dns.rcode.REFUSED, dns.rcode.NOERROR, dns.rcode.NOTIMP]


async def test_something_that_is_no_dns_message_is_not_answered_and_does_no_harm(served: Running) -> None:
    server = served.file.authoritative[0]
    host, _, port = server.partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"\x00", (host, int(port)))
    assert await target(server) == EAST


@pytest.mark.parametrize("tcp", [False, True])
async def test_dead_name_servers_are_silent_on_both_transports(served: Running, tcp: bool) -> None:
    served.lab.add_fault(Fault(kind=FaultKind.DNS_DEAD, target="dns:ns1"))
    with pytest.raises((dns.exception.Timeout, TimeoutError)):
        await target(served.file.authoritative[0], tcp=tcp, patience_s=GIVEN_UP_S)
    assert await target(served.file.authoritative[1], tcp=tcp) == EAST
    assert await target(served.file.resolvers["bastion"], tcp=tcp) == EAST


def swap(file: LabFile, patience_s: float = 20.0) -> Mapping[str, Any]:
    """One batch with an unmodified client: the compare-and-swap from east to west."""

    def change(action: str, value: str) -> Mapping[str, Any]:
        records = [{"Value": value}]
        rrset = {"Name": file.service_name, "Type": "CNAME", "TTL": file.ttl_s, "ResourceRecords": records}
        return {"Action": action, "ResourceRecordSet": rrset}

    client = boto3.session.Session().client(
        "route53",
        region_name=file.aws_region,
        endpoint_url=file.route53_url,
        aws_access_key_id=file.aws_access_key_id,
        aws_secret_access_key=file.aws_secret_access_key,
        config=Config(
            connect_timeout=patience_s, read_timeout=patience_s, retries={"total_max_attempts": 1}, proxies={}
        ),
    )
    try:
        batch: Any = {"Comment": "epoch 1", "Changes": [change("DELETE", EAST), change("CREATE", WEST)]}
        return dict(client.change_resource_record_sets(HostedZoneId=file.zone_id, ChangeBatch=batch)["ChangeInfo"])
    finally:
        client.close()


async def in_thread(call: Callable[..., Any], *arguments: Any) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, call, *arguments)


async def until(server: str, wanted: str) -> float:
    """When a server shows the target, on the loop's clock; fails after 10 s."""
    async with asyncio.timeout(10):
        while await target(server) != wanted:
            await asyncio.sleep(0.02)
    return asyncio.get_running_loop().time()


async def test_a_name_moved_through_route_53_shows_after_propagation_and_in_a_resolver_after_its_ttl(
    served: Running,
) -> None:
    resolver = served.file.resolvers["clients"]
    cached_s, _ = asyncio.get_running_loop().time(), await target(resolver)
    info = await in_thread(swap, served.file)
    assert info["Status"] == "PENDING"
    changed = await served.wait_for(What.NAME_CHANGED)
    assert (await target(served.file.authoritative[0]), changed.detail["comment"]) == (EAST, "epoch 1")
    for server in served.file.authoritative:
        await until(server, WEST)
    published = await served.wait_for(What.NAME_PUBLISHED)
    assert published.detail["cluster"] == "west"
    assert published.at_s - changed.at_s >= PROPAGATION_S
    assert await until(resolver, WEST) - cached_s >= served.file.ttl_s


async def test_a_dead_provider_lets_connects_run_into_their_timeout(served: Running) -> None:
    served.lab.add_fault(Fault(kind=FaultKind.AWS_DEAD, target="aws"))
    with pytest.raises(ConnectTimeoutError):
        await in_thread(swap, served.file, GIVEN_UP_S)
    assert len(served.lab.names.route53.accepted) == 0


# ------------------------------------------------------------------ processes


def lab_command(*words: str) -> list[str]:
    return [sys.executable, "-m", "watchdogd.cli.lab", *words]


def run_lab(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(lab_command(*words), capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    command = lab_command("up", "--dir", str(tmp_path), "--port", str(free_port()), "--ttl", "1s")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        banner = [process.stdout.readline() for _ in range(3)]
        assert "SIMULATOR" in banner[0]
        try:
            yield process, tmp_path
        finally:
            process.terminate()
            process.wait(timeout=10)


def test_a_lab_ends_cleanly_when_it_is_told_to(up: tuple[subprocess.Popen[str], Path]) -> None:
    process, directory = up
    assert (directory / "lab.json").exists()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    assert not (directory / "lab.json").exists()


def test_people_see_break_and_mend_a_lab_from_the_command_line(up: tuple[subprocess.Popen[str], Path]) -> None:
    directory = ["--dir", str(up[1])]
    added = run_lab("fault", "add", "crash", "region:east", "--for", "30s", *directory)
    assert (added.returncode, added.stdout) == (0, "1\n")
    seen = json.loads(run_lab("status", "--json", *directory).stdout)
    assert seen["clusters"]["east"]["nodes"] == {"east/1": "down", "east/2": "down", "east/3": "down"}
    assert "fault 1: crash region:east for 2" in run_lab("fault", "list", *directory).stdout
    assert run_lab("fault", "clear", *directory).stdout == "cleared 1 fault\n"
    assert "SIMULATOR" in run_lab("status", *directory).stdout
    environment = run_lab("env", "west", *directory).stdout
    assert "export VAULT_ADDR=https://127.1.2.100:" in environment


NOT_POSSIBLE = (
    (
        ["fault", "add", "crush", "region:east"],
        "no fault 'crush': did you mean crash? `watchdogd-lab fault kinds` lists",
    ),
    (["fault", "add", "crash", "region:north"], "no target 'region:north': one of region:east, region:west"),
    (["fault", "add", "delay", "lb:east"], "delay needs seconds=NUMBER"),
    (["fault", "clear", "77"], "no fault 77"),
    (["env", "north"], "no cluster 'north': one of east, west"),
)


def test_what_a_lab_cannot_do_is_refused_with_what_it_can(up: tuple[subprocess.Popen[str], Path]) -> None:
    for words, said in NOT_POSSIBLE:
        done = run_lab(*words, "--dir", str(up[1]))
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_the_fence_command_looks_before_it_says_that_it_holds(up: tuple[subprocess.Popen[str], Path]) -> None:
    directory = ["--dir", str(up[1])]
    done = [run_lab("fence", "east", verb, *directory) for verb in ("check", "on", "on", "check", "off", "off")]
    assert [d.returncode for d in done] == [0, 0, 0, 0, 0, 0]
    assert "closed, verified" in done[1].stdout
    assert "127.2.1.100" in done[1].stdout
    assert "now closed" in done[3].stdout


def test_a_fence_without_its_lab_says_try_again(tmp_path: Path) -> None:
    assert run_lab("fence", "east", "on", "--dir", str(tmp_path)).returncode == 75


def test_a_second_lab_does_not_take_the_directory_of_the_first(up: tuple[subprocess.Popen[str], Path]) -> None:
    described = (up[1] / "lab.json").read_bytes()
    done = run_lab("up", "--dir", str(up[1]), "--port", "1")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"serves a lab from {up[1]}: end it, or take another --dir" in done.stderr
    assert (up[1] / "lab.json").read_bytes() == described


def test_a_directory_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run_lab("up", "--dir", str(tmp_path / "file"), "--port", str(free_port()))
    said = f"watchdogd-lab: cannot write to {tmp_path / 'file'}: File exists (choose --dir)\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def test_a_port_in_use_is_one_clear_line_and_nothing_of_the_directory_is_touched(tmp_path: Path) -> None:
    with bound("127.1.1.2", 0, socket.SOCK_STREAM) as taken:
        taken.listen(1)
        port = taken.getsockname()[1]
        kept, fresh = tmp_path / "kept", tmp_path / "fresh"
        kept.mkdir()
        (kept / "events.jsonl").write_text("of an earlier lab\n")
        for directory in (kept, fresh):
            done = run_lab("up", "--dir", str(directory), "--port", str(port))
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert {path.name: path.read_text() for path in tmp_path.rglob("*.*")} == {"events.jsonl": "of an earlier lab\n"}
    assert not fresh.exists()
    assert f"cannot listen on 127.1.1.2:{port}: Address already in use" in done.stderr


@pytest.mark.parametrize(
    "end",
    [
        Fault(kind=FaultKind.CRASH, target="region:east"),
        Fault(kind=FaultKind.LB_5XX, target="lb:east", params={"status": 503}),
    ],
    ids=lambda fault: fault.kind.value,
)
async def test_a_client_program_goes_on_by_the_name_and_its_log_tells_what_was_lost(
    served: Running, end: Fault
) -> None:
    log = served.directory / "writer.jsonl"
    words = ["--dir", str(served.directory), "--log", str(log), "--every", "0.05", "--timeout", "3"]
    command = [sys.executable, "-m", "watchdogd.lab.client_program", *words]
    log.touch()
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        await acknowledged_at(log, "127.2.1.100")
        await in_thread(swap, served.file)
        served.lab.add_fault(end)
        west = served.file.clusters["west"]
        body = {"dr_operation_token": served.file.credentials["dr_token_a"]}
        async with served.session.post(f"{west.nodes[0]}/v1/sys/replication/dr/secondary/promote", json=body):
            pass
        await acknowledged_at(log, "127.2.2.100")
    finally:
        process.terminate()
        assert await process.wait() == 0
    lines = list(read_log(log))
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    acknowledged, gone = await missing(served.file, log, client="writer", address=west.address)
    assert acknowledged == sum(line.fate is Fate.ACKNOWLEDGED for line in lines)
    assert set(gone) <= {line.number for line in lines if line.address == "127.2.1.100"}
    assert await missing(served.file, log_with(log, 999_999), client="writer", address=west.address) == (
        acknowledged + 1,
        [*gone, 999_999],
    )


async def acknowledged_at(log: Path, address: str) -> None:
    """Wait until a write was acknowledged by the server at this address; fails after 15 s."""
    async with asyncio.timeout(15):
        while not any(line.fate is Fate.ACKNOWLEDGED and line.address == address for line in read_log(log)):
            await asyncio.sleep(0.05)


def log_with(log: Path, number: int) -> Path:
    """The log, and one write more that its client believes in and nobody has."""
    forged = log.with_suffix(".forged")
    given = {"at_utc_s": 0.0, "number": number, "fate": "acknowledged", "status": 200, "address": None, "error": None}
    forged.write_text(log.read_text(encoding="utf-8") + json.dumps(given) + "\n", encoding="utf-8")
    return forged
