"""What a scenario's file lets happen: faults, orders of operators, what people do, what becomes of daemon and machine.

Which act is what stands here; how it is done on one kind of stage, with its `Hands`: `virtual_hands`, `real_hands`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from watchdogd.lab.scenario import ORDERS, ActLine, Ask, Do, FaultLine, Scenario
from watchdogd.rehearsal import by_hand
from watchdogd.rehearsal.site import spoilt
from watchdogd.secret import Secret

RESTART_S = 1.0
NO_DAEMON = "no daemon to ask"

Rest = Coroutine[Any, Any, None] | None
"""What an act has still to do, which takes as long as it takes; None when it is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came of an order: why it was refused, empty where it was taken, and all that was said."""

    code: str
    said: str


Heard = Callable[[int, bytes, str], None]
"""Takes an answer of Vault: its status, 0 for none; its body; and how none came about, in a word."""


class Stage(Protocol):
    """Where a scenario is played. What is refused, and what Vault answers a person otherwise, makes the play fail."""

    scenario: Scenario
    refused: list[str]
    otherwise: list[str]

    def tell(self, text: str, more: str = "") -> None: ...


class Hands(Protocol):
    """How things are done on one kind of stage. `for_s` is 0 where the file names no time."""

    @property
    def stage(self) -> Stage: ...
    @property
    def now_s(self) -> float: ...
    @property
    def open_run(self) -> str: ...
    @property
    def credentials(self) -> Mapping[str, str]: ...
    @property
    def out_of_reach(self) -> tuple[type[Exception], ...]:
        """What is raised when the other side cannot be asked."""

    def catch_up(self) -> None:
        """The world comes to this moment, where it does not by itself."""

    def break_world(self, line: FaultLine) -> Rest: ...
    def clear(self, kind: str, target: str) -> Rest: ...
    def promote(self, cluster: str) -> Rest: ...
    def demote(self, cluster: str) -> Rest: ...
    def point_name_at(self, target: str) -> Rest: ...
    def put_token(self, name: str, value: Secret | None) -> Rest:
        """Its file holds `value` from now on; None: what it was issued with."""

    def send(self, ask: Ask, request: by_hand.Sent, heard: Heard) -> Rest: ...
    async def order(self, verb: str, run_id: str, body: dict[str, Any]) -> Answered | None:
        """None when the daemon was killed before it could answer."""

    def kill(self, gone_s: float) -> Rest: ...
    def term(self, gone_s: float) -> Rest: ...
    def stall(self, for_s: float) -> Rest: ...
    def cut_anchors(self, for_s: float) -> Rest: ...
    def do_to_machine(self, line: ActLine) -> Rest:
        """An act that only a machine, a disk or a witness of our own can be made to do."""


@dataclass(slots=True)
class Acts:
    """What hands do at once has happened before `happen` returns; the rest of it is a task."""

    hands: Hands
    tasks: asyncio.TaskGroup
    kept: dict[str, str] = field(default_factory=dict)  # of the answers that a person got
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    def happen(self, line: FaultLine | ActLine) -> None:
        """Let one line of the file happen, or begin, now."""
        self.hands.catch_up()
        match line:
            case FaultLine():
                self._go_on(line.fault.kind, self.hands.break_world(line))
            case ActLine():
                self.hands.stage.tell(f"act {line.do}", " ".join(f"{k}={v}" for k, v in line.given.items()))
                self._go_on(line.do, self._order(line) if line.do in ORDERS else self._do(line))

    def stop(self) -> None:
        """Whatever has not happened yet does not happen any more."""
        for task in self._running:
            task.cancel()

    def _go_on(self, what: str, rest: Rest) -> None:
        if rest is None:
            return

        def ended(task: asyncio.Task[None]) -> None:
            self._running.discard(task)
            rest.close()  # a task that was stopped before its first turn never began it

        task = self.tasks.create_task(self._tried(what, rest))
        self._running.add(task)
        task.add_done_callback(ended)

    async def _tried(self, what: str, rest: Coroutine[Any, Any, None]) -> None:
        try:
            await rest
        except self.hands.out_of_reach as exc:
            self.hands.stage.refused.append(f"{what} could not be done: {exc or type(exc).__name__}")

    async def _order(self, line: ActLine) -> None:
        hands, stage = self.hands, self.hands.stage
        body = body_of(line, f"scenario {stage.scenario.title}", hands.open_run)
        answered = await hands.order(line.do.value, str(body.pop("run_id", "")), body)
        if answered is None:
            return
        code, said = answered.code, answered.said
        stage.tell(f"order {line.do} {f'refused {code}' if code else 'taken'}", said)
        if code != line.refused:
            stage.refused.append(f"order {line.do} at {hands.now_s:.1f} s: {said}, not {line.refused!r}")

    def _do(self, line: ActLine) -> Rest:
        hands, for_s = self.hands, line.number("for")
        match line.do:
            case Do.KILL:
                return hands.kill(for_s or RESTART_S)
            case Do.TERM:
                return hands.term(for_s or RESTART_S)
            case Do.STALL:
                return hands.stall(for_s)
            case Do.CUT_ANCHORS:
                return hands.cut_anchors(for_s)
            case Do.CLEAR:
                return hands.clear(line.text("kind"), line.text("target"))
            case Do.SPOIL_TOKEN:
                return hands.put_token(line.text("token"), spoilt(hands.stage.scenario, line.text("token")))
            case Do.MEND_TOKEN:
                return hands.put_token(line.text("token"), None)
            case _:
                return self._do_by_hand(line)

    def _do_by_hand(self, line: ActLine) -> Rest:
        hands = self.hands
        match line.do:
            case Do.PROMOTE:
                return hands.promote(line.text("cluster"))
            case Do.DEMOTE:
                return hands.demote(line.text("cluster"))
            case Do.POINT_NAME:
                return hands.point_name_at(line.text("target"))
            case Do.ASK if line.ask is not None:
                return self._ask_vault(line.ask)
            case _:
                return hands.do_to_machine(line)

    def _ask_vault(self, ask: Ask) -> Rest:
        stage = self.hands.stage
        try:
            request = by_hand.sent(ask, {**self.hands.credentials, **self.kept})
        except KeyError as exc:
            stage.otherwise.append(f"act ask {ask.path}: {exc} was never kept")
            return None

        def heard(status: int, body: bytes, instead: str) -> None:
            stage.tell(*by_hand.reply_line(ask, status or instead))
            stage.otherwise.extend(by_hand.take(ask, status, body, self.kept))

        return self.hands.send(ask, request, heard)


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
