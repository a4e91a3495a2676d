"""One probe round against endpoints that each behave in their own way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.support.vectors import vector
from watchdogd.adapters.vault.probe import HEALTH_PATH, Prober
from watchdogd.core.model import Attempt, ClusterId, Mode, NodeAddress, RawRound, Replication
from watchdogd.errors import Cause, MalformedReply, OutcomeUnknown, Unreachable
from watchdogd.ports import HttpReply, HttpRequest
from watchdogd.rehearsal.memory import LoopClock
from watchdogd.rehearsal.virtual_time import move

pytestmark = pytest.mark.looptime
NODE = NodeAddress("https://10.1.0.11:8200")
HEALTH = vector("health-dr-secondary-1.9-doc").raw
NAMES = vector("leader-doc").raw
STATUS = vector("dr-status-primary-doc-2024").raw
ROUND_S = 2.0

Behave = Callable[[], HttpReply]


def answers(body: bytes, status: int = 200) -> Behave:
    return lambda: HttpReply(status=status, headers={}, body=body)


def raises(exc: Exception) -> Behave:
    def behave() -> HttpReply:
        raise exc

    return behave


WELL, NAMED, FOLLOWED = answers(HEALTH), answers(NAMES), answers(STATUS)


class Node:
    """A transport whose endpoints answer after their own delays; every request at the same time is a connection."""

    def __init__(self, health: Behave = WELL, names: Behave = NAMED, status: Behave = FOLLOWED) -> None:
        self.behaviours = {"sys/health": health, "sys/leader": names, "status": status}
        self.delays_s: dict[str, float] = {}
        self.asked: list[str] = []
        self.busy = 0
        self.told: list[str] = []

    async def __call__(
        self, request: HttpRequest, *, timeout_s: float, only_on_connection: int | None = None
    ) -> HttpReply:
        self.asked.append(request.url)
        name = next(name for name in self.behaviours if name in request.url)
        self.busy += 1
        connection = self.busy
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.sleep(self.delays_s.get(name, 0.01))
        except TimeoutError:
            raise OutcomeUnknown("no answer in time", timed_out=True) from None
        finally:
            self.busy -= 1
        reply = self.behaviours[name]()
        return HttpReply(status=reply.status, headers=reply.headers, body=reply.body, connection=connection)

    def answered(self, node: NodeAddress, peer: str = "") -> None:
        self.told.append("answered")

    def answered_as_another(self, node: NodeAddress) -> None:
        self.told.append("another")

    def silent(self, node: NodeAddress) -> None:
        self.told.append("silent")

    def ever_answered(self, node: NodeAddress) -> bool:
        return "answered" in self.told

    async def round(self, vault_id: str = "") -> RawRound:
        prober = Prober(
            cluster=ClusterId("east"),
            node=NODE,
            kind=Replication.DR,
            transport=self,
            addresses=self,
            clock=LoopClock(),
            vault_id=vault_id,
        )
        return await prober.probe_round(timeout_s=ROUND_S)


async def test_every_code_of_health_is_asked_for_as_299_in_both_generations() -> None:
    node = Node()
    await node.round()
    assert f"{NODE}/v1/{HEALTH_PATH}" in node.asked
    for state in ("uninit", "sealed", "standby", "drsecondary", "performancestandby", "removed", "haunhealthy"):
        assert f"{state}code=299" in HEALTH_PATH
    assert "activecode" not in HEALTH_PATH


async def test_an_address_at_which_another_cluster_answers_has_not_worked() -> None:
    node = Node()
    seen = await node.round(vault_id="6c1d7c3e-2f0a-4a55-8f5e-0a9d5f1b7c22")
    assert (node.told, seen.ever_answered) == (["another"], False)
    assert seen.health is not None
    assert seen.health.cluster_id is not None
    await node.round(vault_id=seen.health.cluster_id)
    assert node.told == ["another", "answered"]


@pytest.mark.parametrize("hung", ["sys/health", "sys/leader", "status"])
async def test_an_endpoint_that_hangs_never_costs_the_answers_of_the_others(looptime: int, hung: str) -> None:
    node = Node()
    node.delays_s[hung] = 3600
    seen = await node.round()
    assert looptime == ROUND_S
    by_name = {"sys/health": seen.health_raw, "sys/leader": seen.names_raw, "status": seen.status_raw}
    assert {name: raw.attempt for name, raw in by_name.items()} == {
        name: Attempt.SILENT if name == hung else Attempt.ANSWERED for name in by_name
    }
    assert (seen.connection is None) is (hung != "sys/leader"), "ids and mode are in health and status"


async def test_all_three_hanging_end_at_the_hard_time_out(looptime: int) -> None:
    node = Node()
    node.delays_s = {"sys/health": 3600, "sys/leader": 3600, "status": 3600}
    seen = await node.round()
    assert looptime == ROUND_S
    assert (seen.started_s, seen.ended_s) == (0.0, ROUND_S)
    assert seen.connection is None
    assert node.told == ["silent"]


async def test_a_slow_node_is_read_whole() -> None:
    node = Node()
    node.delays_s = {"sys/health": 1.4, "sys/leader": 1.4, "status": 1.4}
    seen = await node.round()
    assert seen.health is not None
    assert seen.names is not None
    assert seen.replication is not None


@pytest.mark.parametrize(
    ("exc", "attempt"),
    [
        (Unreachable(Cause.REFUSED), Attempt.SILENT),
        (Unreachable(Cause.TIMEOUT), Attempt.SILENT),
        (Unreachable(Cause.RESET), Attempt.SILENT),
        (Unreachable(Cause.TLS), Attempt.OURS),
        (Unreachable(Cause.NAME), Attempt.OURS),
        (Unreachable(Cause.LOCAL), Attempt.OURS),
        (OutcomeUnknown("x"), Attempt.SILENT),
        (OutcomeUnknown("x", answered=True), Attempt.BROKEN),
        (MalformedReply("x", "too long"), Attempt.MALFORMED),
    ],
)
async def test_every_error_of_the_wire_has_its_place(exc: Exception, attempt: Attempt) -> None:
    seen = await Node(raises(exc), raises(exc), raises(exc)).round()
    assert {seen.health_raw.attempt, seen.names_raw.attempt, seen.status_raw.attempt} == {attempt}
    assert seen.connection is None


@pytest.mark.parametrize(
    ("exc", "is_our_end"),
    [
        (Unreachable(Cause.REFUSED), False),
        (Unreachable(Cause.RESET), False),
        (Unreachable(Cause.TIMEOUT), True),
        (OutcomeUnknown("reset"), False),
        (OutcomeUnknown("no answer in time", timed_out=True), True),
        (OutcomeUnknown("half an answer in time", answered=True, timed_out=True), True),
    ],
)
async def test_only_what_we_gave_up_has_timed_out(exc: Exception, is_our_end: bool) -> None:
    seen = await Node(raises(exc), raises(exc), raises(exc)).round()
    assert {raw.timed_out for raw in (seen.health_raw, seen.names_raw, seen.status_raw)} == {is_our_end}


async def busy_for(*busy: tuple[float, float]) -> None:
    """The loop is busy elsewhere: `(at, for)` in seconds from now."""
    loop = asyncio.get_running_loop()
    for at_s, for_s in busy:
        loop.call_later(at_s, move, loop, for_s)


@pytest.mark.parametrize(
    ("busy", "late_s"),
    [
        ((), 0.0),
        (((0.05, 0.4),), 0.35),  # a beat is due every 0.1 s
        (((0.05, 0.45), (1.05, 0.5)), 0.85),
        (((1.95, 7.0),), 6.95),  # what came late of the end counts as well
        (((0.35, 1.0), (1.8, 0.2)), 1.1),
    ],
)
async def test_how_late_the_loop_was_in_a_round_is_summed(busy: tuple[tuple[float, float], ...], late_s: float) -> None:
    node = Node()
    node.delays_s = {"sys/health": 3600, "sys/leader": 3600, "status": 3600}
    await busy_for(*busy)
    seen = await node.round()
    assert seen.late_s == pytest.approx(late_s)
    assert seen.timeout_s == ROUND_S


async def test_a_round_that_is_over_leaves_no_timer_behind() -> None:
    await Node().round()
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        stopped = tasks.create_task(Node().round(), name="stopped")
        await asyncio.sleep(0)
        stopped.cancel()
    timers = [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
    assert timers == []


@pytest.mark.parametrize("status", [200, 299, 429, 472, 473, 474, 501, 503, 530])
async def test_health_is_read_from_its_body_whatever_code_it_came_with(status: int) -> None:
    node = Node(health=answers(HEALTH, status))
    seen = await node.round()
    assert seen.health is not None
    assert seen.health.dr_mode is Mode.SECONDARY
    assert node.told == ["answered"]


async def test_the_error_text_of_vault_is_handed_on() -> None:
    text = "local node not active but active cluster node not found"
    seen = await Node(health=answers(b'{"errors":["%s"]}' % text.encode(), 500)).round()
    assert (seen.health, seen.health_raw.status, seen.health_raw.detail) == (None, 500, text)
    assert seen.health_raw.attempt is Attempt.ANSWERED


@pytest.mark.parametrize("status", [200, 503])
async def test_the_page_of_a_load_balancer_is_malformed_and_not_an_answer_of_vault(status: int) -> None:
    node = Node(health=answers(b"<html>no healthy upstream</html>", status))
    seen = await node.round()
    assert (seen.health, seen.health_raw.attempt, seen.health_raw.status) == (None, Attempt.MALFORMED, status)
    assert node.told == []


@pytest.mark.parametrize("status", [301, 400, 404, 429, 500, 502])
async def test_a_status_that_is_not_vault_s_own_is_shown_and_its_body_not_read(status: int) -> None:
    seen = await Node(answers(b"{}", status), answers(NAMES, status), answers(STATUS, status)).round()
    assert (seen.names, seen.replication) == (None, None)
    assert seen.names_raw.status == seen.status_raw.status == status
