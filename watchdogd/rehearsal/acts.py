"""What a scenario's file lets happen: faults of the world, orders of operators, what becomes of daemon and machine."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from watchdogd.daemon.protocol import Asked
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.scenario import ORDERS, ActLine, Ask, Do, FaultLine
from watchdogd.lab.wire import Outcome, Place, Wire
from watchdogd.lab.world import World
from watchdogd.lab.zone import RecordType
from watchdogd.ports import Record
from watchdogd.rehearsal import by_hand
from watchdogd.rehearsal.memory import Revoked
from watchdogd.rehearsal.ports import AWS_HEADERS, CHANGES, SlowWrite, change_batch
from watchdogd.rehearsal.site import OPERATOR, PAIR, secrets_of, spoilt

if TYPE_CHECKING:
    from watchdogd.rehearsal.play import Play

RESTART_S = 1.0
FOREVER_S = 1e9


@dataclass(slots=True)
class Acts:
    """Everything but orders takes effect before `happen` returns; an order is asked at the loop's next turn."""

    stage: Play
    tasks: asyncio.TaskGroup
    kept: dict[str, str] = field(default_factory=dict)  # of the answers that a person got
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    def happen(self, line: FaultLine | ActLine) -> None:
        """Let one line of the file happen now."""
        world, now_s = self.stage.world, self.stage.clock.now_s()
        world.tick(max(now_s, world.now_s))
        match line:
            case FaultLine():
                until_s = None if line.for_s is None else world.now_s + line.for_s
                world.faults.add(replace(line.fault, until_s=until_s))
                world.tick(world.now_s)
            case ActLine():
                self.stage.tell(f"act {line.do}", " ".join(f"{k}={v}" for k, v in line.given.items()))
                if line.do in ORDERS:
                    self._spawn(self._ask(line))
                else:
                    self._do(line)

    def stop(self) -> None:
        """Whatever has not happened yet does not happen any more."""
        for task in self._running:
            task.cancel()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self.tasks.create_task(coroutine)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    # -- orders ------------------------------------------------------------------------------------------------------

    async def _ask(self, line: ActLine) -> None:
        stage, run = self.stage, self.stage.ledger.run
        body = body_of(line, f"scenario {stage.scenario.title}", run.run_id if run is not None else "none")
        daemon = stage.daemon
        if daemon is None or daemon.orders is None:
            stage.refused.append(f"act {line.do}: no daemon to ask")
            return
        run_id = str(body.pop("run_id", ""))
        asked = Asked(verb=line.do.value, pair="" if run_id else PAIR, run_id=run_id, body=body)
        try:
            answer = await daemon.orders.ask(asked, OPERATOR)
        except Revoked:
            return
        error = answer.body.get("error") if answer.is_error else None
        code = str(error.get("code")) if isinstance(error, dict) else ""
        stage.tell(f"order {line.do} {f'refused {code}' if answer.is_error else 'taken'}", str(answer.body))
        if code != line.refused:
            stage.refused.append(f"order {line.do} at {stage.clock.now_s():.1f} s: {answer.body}, not {line.refused!r}")

    # -- daemon and machine ------------------------------------------------------------------------------------------

    def _do(self, line: ActLine) -> None:
        stage, for_s = self.stage, line.number("for")
        now_s = stage.clock.now_s()
        match line.do:
            case Do.KILL if stage.daemon is not None:
                stage.kill()
                self._spawn(self._start_again(for_s or RESTART_S))
            case Do.TERM if stage.daemon is not None:
                self._spawn(self._term(for_s or RESTART_S))
            case Do.SUSPEND | Do.STALL:
                stage.sleep_through(for_s, is_suspended=line.do is Do.SUSPEND)
            case Do.STEP_CLOCK:
                stage.clock.stepped_s += line.number("seconds")
            case Do.SLOW_JOURNAL:
                times = int(line.number("times", 1))
                stage.disk.slow.append(SlowWrite(entry=line.text("entry"), takes_s=for_s, times=times))
            case Do.FAIL_JOURNAL:
                stage.disk.fails_until_s = now_s + for_s
            case Do.CUT_ANCHORS:
                stage.anchors_cut_until_s = now_s + (for_s or FOREVER_S)
            case Do.WITNESS_SEES:
                stage.witness_until_s = now_s + (for_s or FOREVER_S)
            case _:
                self._do_to_the_world(line)

    async def _start_again(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self.stage.start()

    async def _term(self, gone_s: float) -> None:
        daemon = self.stage.daemon
        if daemon is None or daemon.app is None:
            return
        await daemon.app.stop("the daemon was told to stop")
        self.stage.tell("daemon stopped")
        self.stage.kill()
        await self._start_again(gone_s)

    # -- people and the world ----------------------------------------------------------------------------------------

    def _do_to_the_world(self, line: ActLine) -> None:
        stage, world, cluster = self.stage, self.stage.world, line.text("cluster")
        match line.do:
            case Do.CLEAR:
                kind = line.text("kind")
                world.faults.clear(kind=FaultKind(kind) if kind else None, target=line.text("target") or None)
                world.tick(world.now_s)
            case Do.PROMOTE:
                world.promote(world.clusters[cluster], world.kind)
            case Do.DEMOTE:
                world.demote(world.clusters[cluster], world.kind)
            case Do.POINT_NAME:
                self._point_name_at(line.text("target"))
            case Do.SPOIL_TOKEN:
                stage.secrets[line.text("token")] = spoilt(stage.scenario, line.text("token"))
            case Do.MEND_TOKEN:
                stage.secrets[line.text("token")] = secrets_of(world)[line.text("token")]
            case Do.ASK if line.ask is not None:
                self._ask_vault(line.ask)
            case _:
                stage.refused.append(f"act {line.do}: there is no daemon now")

    def _ask_vault(self, ask: Ask) -> None:
        """At once, from where operators work: an answer's delay is not waited for."""
        stage, world = self.stage, self.stage.world
        try:
            request = by_hand.sent(ask, {**world.credentials(), **self.kept})
        except KeyError as exc:
            stage.refused.append(f"act ask {ask.path}: {exc} was never kept")
            return
        wire = Wire(
            place=Place.BASTION,
            target=_node_of(world, ask.target),
            method=ask.method,
            path_and_query=request.path_and_query,
            headers=request.headers,
            body=request.body,
        )
        exchange = world.exchange(wire, now_s=world.now_s)
        status = exchange.status if exchange.outcome is Outcome.ANSWER else 0
        stage.tell(*by_hand.reply_line(ask, status or exchange.outcome.value))
        stage.refused.extend(by_hand.take(ask, status, exchange.body, self.kept))

    def _point_name_at(self, target: str) -> None:
        """At the provider, past whatever is wrong with our own way to it; the servers show it when it has spread."""
        names, now_s = self.stage.names, self.stage.clock.now_s()
        held = names.zone.records[(names.service_name, RecordType.CNAME)]
        name = names.cluster_name(target) if target in self.stage.world.clusters else f"{target.rstrip('.')}."
        expected = Record(targets=held.values, ttl_s=held.ttl_s)
        body = change_batch(names.service_name, expected, replace(expected, targets=(name,)), "by hand")
        names.route53.exchange("POST", CHANGES, AWS_HEADERS, body.encode(), now_s)


def _node_of(world: World, target: str) -> str:
    """The node that is meant: of a cluster the active one, or its first where none is."""
    if "/" in target:
        return target
    active = world.clusters[target].serving()
    return active.target if active is not None else f"{target}/1"


def body_of(line: ActLine, reason: str, open_run: str) -> dict[str, Any]:
    """What an order asks for; `run_id` of those about the open run."""
    body: dict[str, Any] = {"reason": reason}
    if cluster := line.text("cluster"):
        body["target" if line.do in (Do.FAILOVER, Do.START) else "cluster"] = cluster
    if "for" in line.given:
        body["for_s"] = line.number("for")
    if runbook := line.text("runbook"):
        body["runbook"] = runbook
    if waive := line.words("waive"):
        body["waive"] = list(waive)
    if line.do.value.startswith("run-"):
        body["run_id"] = open_run
    return body
