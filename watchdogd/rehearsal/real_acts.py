"""What a scenario's file lets happen to real processes: faults of the lab, orders, and what becomes of the daemon."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import aiohttp

from watchdogd.daemon.api import VERBS
from watchdogd.lab.scenario import ORDERS, ActLine, Ask, Do, FaultLine
from watchdogd.rehearsal import by_hand
from watchdogd.rehearsal.acts import RESTART_S, body_of
from watchdogd.rehearsal.ports import AWS_HEADERS, CHANGES, change_batch, record_in
from watchdogd.rehearsal.settings_file import write_credential
from watchdogd.rehearsal.site import PAIR, spoilt

if TYPE_CHECKING:
    from watchdogd.rehearsal.real_play import RealPlay

HAND_TIMEOUT_S = 10.0


@dataclass(slots=True)
class RealActs:
    """Each act is a task of its own: what it asks takes as long as it takes."""

    stage: RealPlay
    tasks: asyncio.TaskGroup
    kept: dict[str, str] = field(default_factory=dict)  # of the answers that a person got
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    def happen(self, line: FaultLine | ActLine) -> None:
        """Let one line of the file begin now."""
        if isinstance(line, ActLine):
            self.stage.tell(f"act {line.do}", " ".join(f"{key}={value}" for key, value in line.given.items()))
        task = self.tasks.create_task(self._tried(line))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def stop(self) -> None:
        """Whatever has not happened yet does not happen any more."""
        for task in self._running:
            task.cancel()

    async def _tried(self, line: FaultLine | ActLine) -> None:
        what = line.do if isinstance(line, ActLine) else line.fault.kind
        try:
            await self._done(line)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            self.stage.refused.append(f"{what} could not be done: {exc or type(exc).__name__}")

    def _done(self, line: FaultLine | ActLine) -> Coroutine[Any, Any, None]:
        if isinstance(line, FaultLine):
            return self._break(line)
        if line.do in ORDERS:
            return self._order(line)
        return self._act(line)

    async def _break(self, line: FaultLine) -> None:
        fault = line.fault
        words = [f"{name}={value}" for name, value in fault.params.items()]
        wanted = {"kind": fault.kind.value, "target": fault.target, "place": fault.place, "words": words}
        await self.stage.ask.lab("POST", "/faults", {**wanted, "for_s": line.for_s})

    # -- orders ------------------------------------------------------------------------------------------------------

    async def _order(self, line: ActLine) -> None:
        stage = self.stage
        run = stage.observer.ledger.run
        body = body_of(line, f"scenario {stage.scenario.title}", run.run_id if run is not None else "none")
        path = VERBS[line.do.value].path.format(pair=PAIR, run_id=body.pop("run_id", ""))
        status, answer = await stage.ask.daemon("POST", path, body)
        error = answer.get("error") if isinstance(answer, dict) and status >= 400 else None
        code = "no daemon to ask" if not status else str(error["code"]) if isinstance(error, dict) else ""
        stage.tell(f"order {line.do} {f'refused {code}' if code else 'taken'}", str(answer))
        if code != line.refused:
            stage.refused.append(f"order {line.do} at {stage.now_s():.1f} s: {answer or code}, not {line.refused!r}")

    # -- daemon and people -------------------------------------------------------------------------------------------

    async def _act(self, line: ActLine) -> None:
        stage, for_s = self.stage, line.number("for")
        match line.do:
            case Do.KILL:
                await stage.kill_daemon(for_s or RESTART_S)
            case Do.TERM:
                await stage.stop_daemon()
                await asyncio.sleep(for_s or RESTART_S)
                await stage.start_daemon()
            case Do.STALL:
                stage.signal_daemon(signal.SIGSTOP)
                await asyncio.sleep(for_s)
                stage.signal_daemon(signal.SIGCONT)
            case Do.CUT_ANCHORS:
                await stage.anchor.cut(for_s)
            case _:
                await self._act_by_hand(line)

    async def _act_by_hand(self, line: ActLine) -> None:
        stage = self.stage
        match line.do:
            case Do.SPOIL_TOKEN:
                name = line.text("token")
                write_credential(stage.lab, stage.place, name, spoilt(stage.scenario, name))
            case Do.MEND_TOKEN:
                write_credential(stage.lab, stage.place, line.text("token"))
            case Do.CLEAR:
                await self._clear(line.text("kind"), line.text("target"))
            case Do.PROMOTE:
                body = {"dr_operation_token": stage.lab.credentials["dr_token_a"]}
                await self._by_hand(line.text("cluster"), "secondary/promote", body)
            case Do.DEMOTE:
                await self._by_hand(line.text("cluster"), "primary/demote", {})
            case Do.POINT_NAME:
                await self._point_name_at(line.text("target"))
            case Do.ASK if line.ask is not None:
                await self._ask_vault(line.ask)
            case _:
                stage.refused.append(f"act {line.do} cannot be done with real processes")

    async def _clear(self, kind: str, target: str) -> None:
        for fault in await self.stage.ask.lab("GET", "/faults"):
            if kind in ("", fault["kind"]) and target in ("", fault["target"]):
                await self.stage.ask.lab("DELETE", f"/faults/{fault['id']}")

    async def _by_hand(self, cluster: str, path: str, body: dict[str, str]) -> None:
        """As somebody would with curl, at the active node."""
        lab, address = self.stage.lab, await self._address_of(cluster)
        headers = {"X-Vault-Token": lab.credentials["root_token"]}
        url = f"{address}/v1/sys/replication/{lab.kind}/{path}"
        await self._post(url, ssl.create_default_context(cafile=lab.ca_file), headers=headers, json=body)

    async def _ask_vault(self, ask: Ask) -> None:
        stage, address = self.stage, await self._address_of(ask.target)
        try:
            request = by_hand.sent(ask, {**stage.lab.credentials, **self.kept})
        except KeyError as exc:
            stage.refused.append(f"act ask {ask.path}: {exc} was never kept")
            return
        url = f"{address}{request.path_and_query}"
        tls = ssl.create_default_context(cafile=stage.lab.ca_file)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(HAND_TIMEOUT_S)) as session:
            given: dict[str, Any] = {"headers": request.headers, "data": request.body or None}
            async with session.request(ask.method, url, ssl=tls, **given) as reply:
                status, body = reply.status, await reply.read()
        stage.tell(*by_hand.reply_line(ask, status))
        stage.refused.extend(by_hand.take(ask, status, body, self.kept))

    async def _address_of(self, target: str) -> str:
        """Of a node, or of the active node of a cluster; of its first where none is active."""
        cluster, _, number = target.partition("/")
        if not number:
            status = await self.stage.ask.lab("GET", "/status")
            number = (status["clusters"][cluster]["active"] or f"{cluster}/1").partition("/")[2]
        return self.stage.lab.clusters[cluster].nodes[int(number) - 1]

    async def _point_name_at(self, target: str) -> None:
        lab = self.stage.lab
        names = {name: entry.dns_name for name, entry in lab.clusters.items()}
        wanted = f"{names.get(target, target).rstrip('.')}."
        query = f"name={lab.service_name}&type=CNAME&maxitems=1"
        url = f"{lab.route53_url}{CHANGES}"
        async with aiohttp.ClientSession(headers=AWS_HEADERS) as session:
            async with session.get(f"{url.rstrip('/')}?{query}") as reply:
                held = record_in(await reply.text())
        new = replace(held, targets=(wanted,))
        batch = change_batch(f"{lab.service_name}.", held, new, "by hand")
        await self._post(url, False, headers=AWS_HEADERS, data=batch)

    async def _post(self, url: str, tls: ssl.SSLContext | bool, **given: Any) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(HAND_TIMEOUT_S)) as session:
            async with session.post(url, ssl=tls, **given) as reply:
                reply.raise_for_status()
