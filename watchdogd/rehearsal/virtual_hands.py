"""Acts on the lab's world in memory, and on the daemon in front of it: at once, but for what takes virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from watchdogd.daemon.protocol import Asked
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.scenario import ActLine, Ask, Do, FaultLine
from watchdogd.lab.wire import Outcome, Place, Wire
from watchdogd.lab.world import World
from watchdogd.lab.zone import RecordType
from watchdogd.ports import Record
from watchdogd.rehearsal.acts import NO_DAEMON, Answered, Heard, Rest
from watchdogd.rehearsal.by_hand import Sent
from watchdogd.rehearsal.memory import Revoked
from watchdogd.rehearsal.ports import AWS_HEADERS, CHANGES, SlowWrite, change_batch
from watchdogd.rehearsal.site import OPERATOR, PAIR, secrets_of
from watchdogd.secret import Secret

if TYPE_CHECKING:
    from watchdogd.rehearsal.play import Play

FOREVER_S = 1e9


@dataclass(frozen=True, slots=True)
class VirtualHands:
    """The hands of a play under virtual time."""

    stage: Play
    out_of_reach: tuple[type[Exception], ...] = ()

    @property
    def now_s(self) -> float:
        """Seconds of the scenario."""
        return self.stage.clock.now_s()

    @property
    def open_run(self) -> str:
        """The id of the run that is open, as the journal has it."""
        run = self.stage.ledger.run
        return run.run_id if run is not None else "none"

    @property
    def credentials(self) -> Mapping[str, str]:
        """What people were given when the pair was set up."""
        return self.stage.world.credentials()

    def catch_up(self) -> None:
        """The world comes to this moment."""
        world = self.stage.world
        world.tick(max(self.now_s, world.now_s))

    # -- orders ------------------------------------------------------------------------------------------------------

    async def order(self, verb: str, run_id: str, body: dict[str, Any]) -> Answered | None:
        """As through the control socket, of somebody who may."""
        daemon = self.stage.daemon
        if daemon is None or daemon.orders is None:
            return Answered(code=NO_DAEMON, said=NO_DAEMON)
        try:
            answer = await daemon.orders.ask(
                Asked(verb=verb, pair="" if run_id else PAIR, run_id=run_id, body=body), OPERATOR
            )
        except Revoked:
            return None
        error = answer.body.get("error") if answer.is_error else None
        return Answered(code=str(error.get("code")) if isinstance(error, dict) else "", said=str(answer.body))

    # -- daemon and machine ------------------------------------------------------------------------------------------

    def kill(self, gone_s: float) -> Rest:
        """KILL, and another one after a while."""
        if self.stage.daemon is None:
            return self._lacks_daemon(Do.KILL)
        self.stage.kill()
        return self._start_again(gone_s)

    def term(self, gone_s: float) -> Rest:
        """TERM; it ends by itself, and another one starts after a while."""
        return self._lacks_daemon(Do.TERM) if self.stage.daemon is None else self._term(gone_s)

    async def _term(self, gone_s: float) -> None:
        daemon = self.stage.daemon
        if daemon is None or daemon.app is None:
            return
        await daemon.app.stop("the daemon was told to stop")
        self.stage.tell("daemon stopped")
        self.stage.kill()
        await self._start_again(gone_s)

    async def _start_again(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self.stage.start()

    def _lacks_daemon(self, do: Do) -> Rest:
        self.stage.refused.append(f"act {do}: there is no daemon now")
        return None

    def stall(self, for_s: float) -> Rest:
        """The process stands still."""
        self.stage.sleep_through(for_s, is_suspended=False)
        return None

    def cut_anchors(self, for_s: float) -> Rest:
        """No anchor answers; for ever without a number."""
        self.stage.anchors_cut_until_s = self.now_s + (for_s or FOREVER_S)
        return None

    def do_to_machine(self, line: ActLine) -> Rest:
        """What happens to the machine, its disk, or another witness."""
        stage, for_s = self.stage, line.number("for")
        match line.do:
            case Do.SUSPEND:
                stage.sleep_through(for_s, is_suspended=True)
            case Do.STEP_CLOCK:
                stage.clock.stepped_s += line.number("seconds")
            case Do.SLOW_JOURNAL:
                times = int(line.number("times", 1))
                stage.disk.slow.append(SlowWrite(entry=line.text("entry"), takes_s=for_s, times=times))
            case Do.FAIL_JOURNAL:
                stage.disk.fails_until_s = self.now_s + for_s
            case Do.WITNESS_SEES:
                stage.witness_until_s = self.now_s + (for_s or FOREVER_S)
            case _:
                stage.refused.append(f"act {line.do} cannot be done in virtual time")
        return None

    # -- people and the world ----------------------------------------------------------------------------------------

    def break_world(self, line: FaultLine) -> Rest:
        """A fault takes hold."""
        world = self.stage.world
        until_s = None if line.for_s is None else world.now_s + line.for_s
        world.faults.add(replace(line.fault, until_s=until_s))
        world.tick(world.now_s)
        return None

    def clear(self, kind: str, target: str) -> Rest:
        """Faults end."""
        world = self.stage.world
        world.faults.clear(kind=FaultKind(kind) if kind else None, target=target or None)
        world.tick(world.now_s)
        return None

    def promote(self, cluster: str) -> Rest:
        """By somebody who may."""
        world = self.stage.world
        world.promote(world.clusters[cluster], world.kind)
        return None

    def demote(self, cluster: str) -> Rest:
        """By somebody who may."""
        world = self.stage.world
        world.demote(world.clusters[cluster], world.kind)
        return None

    def put_token(self, name: str, value: Secret | None) -> Rest:
        """What its file holds from now on."""
        self.stage.secrets[name] = secrets_of(self.stage.world)[name] if value is None else value
        return None

    def send(self, ask: Ask, request: Sent, heard: Heard) -> Rest:
        """From where operators work; an answer's delay is not waited for."""
        world = self.stage.world
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
        heard(status, exchange.body, exchange.outcome.value)
        return None

    def point_name_at(self, target: str) -> Rest:
        """At the provider, past whatever is wrong with our own way to it; the servers show it when it has spread."""
        names = self.stage.names
        held = names.zone.records[(names.service_name, RecordType.CNAME)]
        name = names.cluster_name(target) if target in self.stage.world.clusters else f"{target.rstrip('.')}."
        expected = Record(targets=held.values, ttl_s=held.ttl_s)
        body = change_batch(names.service_name, expected, replace(expected, targets=(name,)), "by hand")
        names.route53.exchange("POST", CHANGES, AWS_HEADERS, body.encode(), self.now_s)
        return None


def _node_of(world: World, target: str) -> str:
    """The node that is meant: of a cluster the active one, or its first where none is."""
    if "/" in target:
        return target
    active = world.clusters[target].serving()
    return active.target if active is not None else f"{target}/1"
