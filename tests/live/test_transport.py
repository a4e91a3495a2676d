"""What the errors of real sockets mean (INTERFACES section 2): nothing of it may ever be taken for what it is not."""

from __future__ import annotations

import asyncio
import errno
import gzip
import os
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from tests.support.sockets import (
    PAIR,
    Serve,
    answer,
    at,
    ca_file,
    closed_port,
    full_accept_queue,
    no_descriptors_left,
    read_request,
    reset,
    server_tls,
    serving,
)
from watchdogd.adapters.vault.names import NameTable
from watchdogd.adapters.vault.shape import BODY_BYTES_MAX
from watchdogd.adapters.vault.transport import NodeTransport, TlsOptions, cause_of, tls_context
from watchdogd.core.model import NodeAddress
from watchdogd.errors import Cause, ConfigError, MalformedReply, OutcomeUnknown, Unreachable, WatchdogError
from watchdogd.ports import HttpReply, HttpRequest
from watchdogd.rehearsal.memory import DictMemory

pytestmark = pytest.mark.live
SOON_S = 0.3  # for what gets nowhere
ASKED_S = 1.0  # for what is asked, on the slowest machine, and then waited for in vain
PATIENCE_S = 20.0  # far from SOON_S on the slowest machine; what hangs, hangs for ever
LONG_S = 5.0
CA = trustme.CA()


async def to_loopback(host: str) -> Sequence[str]:
    return ("127.0.0.1",) if host == "vault.test" else ()


@asynccontextmanager
async def transport_to(node: NodeAddress, tls: TlsOptions | None = None) -> AsyncIterator[NodeTransport]:
    names = NameTable(pair=PAIR, nodes=[node], memory=DictMemory(), resolve=to_loopback)
    await names.refresh()
    async with NodeTransport(node=node, tls=tls or TlsOptions(), names=names) as transport:
        yield transport


def get(node: NodeAddress, method: str = "GET") -> HttpRequest:
    headers = {"X-Vault-Token": "hvs.very-secret"}
    return HttpRequest(method=method, url=f"{node}/v1/x", headers=headers, body=b"" if method == "GET" else b"{}")


async def ask(node: NodeAddress, tls: TlsOptions | None = None, timeout_s: float = LONG_S) -> HttpReply:
    async with transport_to(node, tls) as transport:
        return await transport(get(node), timeout_s=timeout_s)


async def failure(serve: Serve, *, timeout_s: float = LONG_S, method: str = "POST") -> WatchdogError:
    """How a request to a server that behaves as `serve` fails."""
    async with serving(serve) as port, transport_to(at(port)) as transport:
        with pytest.raises(WatchdogError) as caught:
            await transport(get(at(port), method), timeout_s=timeout_s)
        return caught.value


def after_request(*parts: bytes, pause_s: float = 0.0, hang: bool = False) -> Serve:
    """Read one request, write `parts`, then close (or hang)."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
        if hang:
            await reader.read()

    return serve


async def polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await read_request(reader)
        writer.write(answer())


class Counting:
    """Answers `served` requests on each connection, then closes it in the way asked for; counts what arrived."""

    def __init__(self, *, served: int, then: str) -> None:
        self.arrived = 0
        self.served = served
        self.then = then
        self.closed = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(self.served):
            await read_request(reader)
            self.arrived += 1
            writer.write(answer())
            await writer.drain()
        if self.then == "close when asked again":
            await read_request(reader)
            self.arrived += 1
        writer.close()
        self.closed.set()


async def test_an_answer_comes_whole_whatever_its_status() -> None:
    async with serving(after_request(answer(b'{"errors":[]}', status="503 Busy"))) as port:
        reply = await ask(at(port))
    assert (reply.status, reply.body, reply.peer) == (503, b'{"errors":[]}', "127.0.0.1")
    assert "hvs.very-secret" not in repr(get(at(port)))


async def test_a_redirect_is_an_answer_and_never_followed() -> None:
    extra = "Location: http://127.0.0.1:1/\r\n"
    async with serving(after_request(answer(status="307 Temporary Redirect", extra=extra))) as port:
        assert (await ask(at(port))).status == 307


async def test_a_connection_is_kept_and_has_a_number() -> None:
    async with serving(polite) as port, transport_to(at(port)) as transport:
        first = await transport(get(at(port)), timeout_s=LONG_S)
        again = await transport(get(at(port)), timeout_s=LONG_S, only_on_connection=first.connection)
    assert first.connection == again.connection > 0


async def test_requests_at_the_same_time_have_connections_of_their_own() -> None:
    async with serving(after_request(answer(), hang=True)) as port, transport_to(at(port)) as transport:
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(transport(get(at(port)), timeout_s=LONG_S)) for _ in range(3)]
    assert len({task.result().connection for task in asked}) == 3


async def test_what_must_go_out_over_one_connection_is_not_sent_when_the_server_closed_it() -> None:
    counting = Counting(served=1, then="close")
    async with serving(counting) as port, transport_to(at(port)) as transport:
        reply = await transport(get(at(port)), timeout_s=LONG_S)
        await counting.closed.wait()
        with pytest.raises(Unreachable) as caught:
            await transport(get(at(port), "POST"), timeout_s=LONG_S, only_on_connection=reply.connection)
        assert caught.value.cause is Cause.RESET
        await asyncio.sleep(0.05)
        assert counting.arrived == 1, "nothing arrived"


async def test_what_must_go_out_over_one_connection_is_not_sent_when_a_newer_one_took_its_place() -> None:
    counting = Counting(served=1, then="close")
    async with serving(counting) as port, transport_to(at(port)) as transport:
        first = await transport(get(at(port)), timeout_s=LONG_S)
        await counting.closed.wait()
        second = await transport(get(at(port)), timeout_s=LONG_S)
        assert second.connection > first.connection
        with pytest.raises(Unreachable):
            await transport(get(at(port), "POST"), timeout_s=LONG_S, only_on_connection=first.connection)
        assert counting.arrived == 2


async def test_what_must_go_out_over_a_connection_in_use_is_not_sent_elsewhere() -> None:
    async with serving(after_request(answer(), hang=True)) as port, transport_to(at(port)) as transport:
        reply = await transport(get(at(port)), timeout_s=LONG_S)
        busy = asyncio.gather(transport(get(at(port)), timeout_s=1.0), return_exceptions=True)
        await asyncio.sleep(0.02)
        with pytest.raises(Unreachable) as caught:
            await transport(get(at(port), "POST"), timeout_s=LONG_S, only_on_connection=reply.connection)
        assert caught.value.cause is Cause.RESET
        await busy


async def soon_set(event: asyncio.Event) -> None:
    for _ in range(10):
        await asyncio.sleep(0)
    event.set()


async def test_what_waited_for_a_connection_that_was_replaced_meanwhile_is_not_sent_over_the_new_one() -> None:
    # I10: whatever answers on the newer connection was not looked at. aiohttp repeats the GET, not we.
    asked_again, let_go, posts = asyncio.Event(), asyncio.Event(), list[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(2):
            request = await read_request(reader)
            if request.startswith(b"POST"):
                posts.append(request)
            if number == 1 and not asked_again.is_set():
                asked_again.set()
                await let_go.wait()
                return
            writer.write(answer())
            await writer.drain()

    async with serving(serve) as port, transport_to(at(port)) as transport:
        first = await transport(get(at(port)), timeout_s=LONG_S)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(transport(get(at(port)), timeout_s=LONG_S))
            await asked_again.wait()
            tasks.create_task(soon_set(let_go))
            with pytest.raises(Unreachable) as caught:
                await transport(get(at(port), "POST"), timeout_s=LONG_S, only_on_connection=first.connection)
        assert reading.result().connection > first.connection
    assert caught.value.cause is Cause.RESET
    assert posts == []


@pytest.mark.parametrize(("method", "arrives"), [("GET", 3), ("POST", 2), ("PUT", 2), ("DELETE", 2)])
async def test_only_a_get_is_ever_sent_twice(method: str, arrives: int) -> None:
    counting = Counting(served=1, then="close when asked again")
    async with serving(counting) as port, transport_to(at(port)) as transport:
        await transport(get(at(port)), timeout_s=LONG_S)
        asked = transport(get(at(port), method), timeout_s=LONG_S)
        if method == "GET":
            assert (await asked).status == 200
        else:
            with pytest.raises(OutcomeUnknown) as caught:
                await asked
            assert not caught.value.answered
    assert counting.arrived == arrives


async def test_nobody_listening_is_refused() -> None:
    with closed_port() as port, pytest.raises(Unreachable) as caught:
        await ask(at(port))
    assert caught.value.cause is Cause.REFUSED


async def test_a_full_accept_queue_is_a_time_out_with_nothing_sent() -> None:
    with full_accept_queue() as port, pytest.raises(Unreachable) as caught:
        await ask(at(port), timeout_s=SOON_S)
    assert caught.value.cause is Cause.TIMEOUT


async def test_a_stopped_process_that_never_shakes_hands_is_a_time_out_with_nothing_sent() -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(LONG_S)

    async with serving(never) as port:
        with pytest.raises(Unreachable) as caught:
            await ask(at(port, scheme="https"), timeout_s=SOON_S)
    assert caught.value.cause is Cause.TIMEOUT


async def test_a_reset_in_the_handshake_is_a_reset_with_nothing_sent() -> None:
    async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        reset(writer)

    async def shut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    for behaviour in (slam, shut):
        async with serving(behaviour) as port:
            with pytest.raises(Unreachable) as caught:
                await ask(at(port, scheme="https"))
        assert caught.value.cause is Cause.RESET


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EMFILE, errno.ENOBUFS, errno.EACCES])
async def test_an_error_of_our_own_machine_is_local(number: int) -> None:
    assert cause_of(OSError(number, "x")) is Cause.LOCAL
    assert cause_of(OSError("no number")) is Cause.LOCAL


async def test_an_address_without_a_route_is_local() -> None:
    with pytest.raises(Unreachable) as caught:
        await ask(NodeAddress("http://255.255.255.255:8200"))
    assert caught.value.cause is Cause.LOCAL


async def test_no_descriptor_left_is_local() -> None:
    async with serving(polite) as port, transport_to(at(port)) as transport:
        with no_descriptors_left(), pytest.raises(Unreachable) as caught:
            await transport(get(at(port)), timeout_s=LONG_S)
    assert caught.value.cause is Cause.LOCAL


async def test_a_name_without_any_known_address_is_a_name_error_and_one_in_the_table_is_reached() -> None:
    with pytest.raises(Unreachable) as caught:
        await ask(at(1, host="nowhere.test"))
    assert caught.value.cause is Cause.NAME
    async with serving(polite) as port:
        assert (await ask(at(port, host="vault.test"))).status == 200


async def test_a_server_that_closes_without_a_byte_leaves_the_outcome_unknown() -> None:
    lost = await failure(after_request())
    assert isinstance(lost, OutcomeUnknown)
    assert not lost.answered


async def test_a_reset_after_the_request_leaves_the_outcome_unknown() -> None:
    async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        reset(writer)

    lost = await failure(slam)
    assert isinstance(lost, OutcomeUnknown)
    assert not lost.answered


async def test_a_server_that_never_answers_leaves_the_outcome_unknown_at_the_hard_time_out() -> None:
    async with asyncio.timeout(PATIENCE_S):
        lost = await failure(after_request(hang=True), timeout_s=ASKED_S)
    assert isinstance(lost, OutcomeUnknown)
    assert not lost.answered


HALF = answer(b"x" * 100)


@pytest.mark.parametrize(
    "serve",
    [
        after_request(b"HTTP/1.1 20"),
        after_request(b"HTTP/1.1 200 OK\r\nContent-"),
        after_request(HALF[:-50]),
        after_request(b"SSH-2.0-OpenSSH_9.2\r\n"),
        after_request(b"\x15\x03\x01\x00\x02\x02\x46"),
        after_request(b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000 + b"\r\n\r\n"),
        after_request(b"HTTP/1.1 20", hang=True),
        after_request(HALF[:-50], hang=True),
        after_request(*[HALF[i : i + 1] for i in range(len(HALF))], pause_s=0.05),
        after_request(*[b"HTTP/1.1 200 OK\r\n"] + [b"X"] * 200, pause_s=0.05),
    ],
    ids=[
        "cut in the status line",
        "cut in the headers",
        "cut in the body",
        "another protocol",
        "a TLS alert",
        "a header without end",
        "stuck in the status line",
        "stuck in the body",
        "dripping",
        "dripping headers",
    ],
)
async def test_an_answer_that_breaks_after_its_first_byte_is_unknown_and_answered(serve: Serve) -> None:
    lost = await failure(serve, timeout_s=ASKED_S)
    assert isinstance(lost, OutcomeUnknown)
    assert lost.answered


async def test_a_body_without_end_is_malformed_and_bounded() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b" " * 65536)
            await writer.drain()

    assert isinstance(await failure(endless), MalformedReply)
    assert BODY_BYTES_MAX == 256 * 1024


async def test_a_compressed_body_is_not_unpacked() -> None:
    packed = gzip.compress(b"0" * 10_000_000)
    async with serving(after_request(answer(packed, extra="Content-Encoding: gzip\r\n"))) as port:
        assert (await ask(at(port))).body == packed


async def test_tls_by_address_is_checked_against_the_server_name(tmp_path: Path) -> None:
    tls = TlsOptions(ca_file=ca_file(CA, tmp_path), server_name="vault.test")
    async with serving(polite, server_tls(CA.issue_cert("vault.test"))) as port:
        async with transport_to(at(port, scheme="https"), tls) as transport:
            first = await transport(get(at(port, scheme="https")), timeout_s=LONG_S)
            request = get(at(port, scheme="https"), "POST")
            again = await transport(request, timeout_s=LONG_S, only_on_connection=first.connection)
    assert first.connection == again.connection


async def test_a_tls_server_that_hangs_after_the_handshake_has_not_answered(tmp_path: Path) -> None:
    # The session tickets of TLS 1.3 come in after the handshake; they are not an answer.
    tls = TlsOptions(ca_file=ca_file(CA, tmp_path), server_name="vault.test", min_version="1.3")
    async with serving(after_request(hang=True), server_tls(CA.issue_cert("vault.test"))) as port:
        with pytest.raises(OutcomeUnknown) as caught:
            await ask(at(port, scheme="https"), tls, timeout_s=ASKED_S)
    assert not caught.value.answered


@pytest.mark.parametrize("wrong", ["self-signed", "expired", "name", "plain text", "protocol alert"])
async def test_what_is_wrong_with_tls_is_our_own_fault_and_nothing_is_sent(tmp_path: Path, wrong: str) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    served = {
        "self-signed": trustme.CA().issue_cert("vault.test"),
        "expired": CA.issue_cert("vault.test", not_before=long_ago, not_after=long_ago.replace(year=2021)),
        "name": CA.issue_cert("elsewhere.test"),
    }.get(wrong, CA.issue_cert("vault.test"))
    spoken = {"plain text": b"220 mail.test ESMTP\r\n", "protocol alert": b"\x15\x03\x03\x00\x02\x02\x46"}.get(wrong)
    tls = TlsOptions(ca_file=ca_file(CA, tmp_path), server_name="vault.test", min_version="1.3")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(spoken or b"")
        await reader.read()

    async with serving(talk, None) if spoken else serving(polite, server_tls(served)) as port:
        with pytest.raises(Unreachable) as caught:
            await ask(at(port, scheme="https"), tls)
    assert caught.value.cause is Cause.TLS
    assert caught.value.detail


async def test_a_tls_option_that_cannot_be_used_names_itself(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tls\.ca_file"):
        tls_context(TlsOptions(ca_file=str(tmp_path / "missing.pem")))
    (tmp_path / "empty.pem").write_text("not a certificate")
    with pytest.raises(ConfigError, match=r"tls\.ca_file"):
        tls_context(TlsOptions(ca_file=str(tmp_path / "empty.pem")))
    with pytest.raises(ConfigError, match=r"tls\.min_version"):
        tls_context(TlsOptions(min_version="1.1"))


async def test_sessions_with_the_same_options_share_a_context_until_the_ca_file_is_replaced(tmp_path: Path) -> None:
    # A reload reads the file that is there then; nodes of a hundred pairs do not read the same one 800 times.
    options = TlsOptions(ca_file=ca_file(CA, tmp_path), server_name="vault.test")
    before = tls_context(options)
    assert tls_context(options) is before
    assert tls_context(TlsOptions(ca_file=options.ca_file, verify=False)) is not before
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    other.replace(options.ca_file or "")
    after = tls_context(options)
    assert after is not before
    assert after.get_ca_certs(binary_form=True) != before.get_ca_certs(binary_form=True)


async def test_a_ca_file_with_other_content_and_the_same_size_time_and_inode_gives_another_context(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ca.pem"
    one, two = (trustme.CA().cert_pem.bytes() for _ in range(2))
    size = max(len(one), len(two))
    contexts = []
    for content in (one, two):
        path.write_bytes(content.ljust(size, b"\n"))
        os.utime(path, (1, 1))
        contexts.append(tls_context(TlsOptions(ca_file=str(path))))
    before, after = (context.get_ca_certs(binary_form=True) for context in contexts)
    assert before != after


async def test_no_exception_carries_the_token() -> None:
    for serve in (after_request(), after_request(b"SSH-2.0-x\r\n"), after_request(HALF[:-50])):
        lost = await failure(serve)
        shown = "".join(traceback.format_exception(lost)) + repr(lost) + repr(lost.__context__)
        assert "hvs.very-secret" not in shown
        assert lost.__context__ is None
        assert lost.__cause__ is None


async def test_a_header_that_would_break_the_block_is_never_sent() -> None:
    request = HttpRequest(method="GET", url="http://127.0.0.1:1/", headers={"X-Vault-Token": "a\r\nB: c"})
    async with transport_to(at(1)) as transport:
        with pytest.raises(Unreachable) as caught:
            await transport(request, timeout_s=LONG_S)
    assert caught.value.cause is Cause.LOCAL
    assert "B: c" not in str(caught.value)


async def test_more_requests_at_once_than_there_are_lanes_are_our_own_fault() -> None:
    async with serving(after_request(hang=True)) as port, transport_to(at(port)) as transport:
        asked = [transport(get(at(port)), timeout_s=ASKED_S) for _ in range(8)]
        lost = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in lost].count(Unreachable) == 2


async def test_a_closed_transport_sends_nothing() -> None:
    async with transport_to(at(1)) as transport:
        pass
    with pytest.raises(Unreachable) as caught:
        await transport(get(at(1)), timeout_s=LONG_S)
    assert caught.value.cause is Cause.LOCAL
