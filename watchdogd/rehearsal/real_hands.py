"""Acts on real processes: by the lab's control endpoint, by the wire, by the daemon's socket and by signals."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import aiohttp

from watchdogd.daemon.api import VERBS
from watchdogd.lab.scenario import ActLine, Ask, FaultLine
from watchdogd.rehearsal.acts import NO_DAEMON, Answered, Heard, Rest
from watchdogd.rehearsal.by_hand import Sent
from watchdogd.rehearsal.ports import AWS_HEADERS, CHANGES, change_batch, record_in
from watchdogd.rehearsal.settings_file import write_credential
from watchdogd.rehearsal.site import PAIR
from watchdogd.secret import Secret

if TYPE_CHECKING:
    from watchdogd.rehearsal.real_play import RealPlay

HAND_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class RealHands:
    """The hands of a play with real processes: what they do takes as long as it takes."""

    stage: RealPlay
    out_of_reach: tuple[type[Exception], ...] = (aiohttp.ClientError, TimeoutError, OSError)

    @property
    def now_s(self) -> float:
        """Seconds of the scenario."""
        return self.stage.now_s()

    @property
    def open_run(self) -> str:
        """The id of the run that is open, as far as it was seen."""
        run = self.stage.observer.ledger.run
        return run.run_id if run is not None else "none"

    @property
    def credentials(self) -> Mapping[str, str]:
        """What people were given when the lab was started."""
        return self.stage.lab.credentials

    def catch_up(self) -> None:
        """Nothing to do: the lab's own clock runs."""

    async def order(self, verb: str, run_id: str, body: dict[str, Any]) -> Answered | None:
        """Through the control socket."""
        path = VERBS[verb].path.format(pair=PAIR, run_id=run_id)
        status, answer = await self.stage.ask.daemon("POST", path, body)
        if not status:
            return Answered(code=NO_DAEMON, said=NO_DAEMON)
        error = answer.get("error") if isinstance(answer, dict) and status >= 400 else None
        return Answered(code=str(error["code"]) if isinstance(error, dict) else "", said=str(answer))

    # -- daemon and machine ------------------------------------------------------------------------------------------

    async def kill(self, gone_s: float) -> None:
        """KILL, and another one after a while."""
        await self.stage.kill_daemon(gone_s)

    async def term(self, gone_s: float) -> None:
        """TERM; it ends by itself, and another one starts after a while."""
        await self.stage.stop_daemon()
        await asyncio.sleep(gone_s)
        await self.stage.start_daemon()

    async def stall(self, for_s: float) -> None:
        """The process stands still."""
        self.stage.signal_daemon(signal.SIGSTOP)
        await asyncio.sleep(for_s)
        self.stage.signal_daemon(signal.SIGCONT)

    async def cut_anchors(self, for_s: float) -> None:
        """No anchor answers; for ever without a number."""
        await self.stage.anchor.cut(for_s)

    def do_to_machine(self, line: ActLine) -> Rest:
        """Nothing of ours reaches them: `limits` refuses such a scenario before it begins."""
        self.stage.refused.append(f"act {line.do} cannot be done with real processes")
        return None

    # -- people and the lab ------------------------------------------------------------------------------------------

    async def break_world(self, line: FaultLine) -> None:
        """A fault takes hold."""
        fault = line.fault
        words = [f"{name}={value}" for name, value in fault.params.items()]
        wanted = {"kind": fault.kind.value, "target": fault.target, "place": fault.place, "words": words}
        await self.stage.ask.lab("POST", "/faults", {**wanted, "for_s": line.for_s})

    async def clear(self, kind: str, target: str) -> None:
        """Faults end."""
        for fault in await self.stage.ask.lab("GET", "/faults"):
            if kind in ("", fault["kind"]) and target in ("", fault["target"]):
                await self.stage.ask.lab("DELETE", f"/faults/{fault['id']}")

    async def promote(self, cluster: str) -> None:
        """As somebody would with curl, at the active node."""
        await self._replicate(cluster, "secondary/promote", {"dr_operation_token": self.credentials["dr_token_a"]})

    async def demote(self, cluster: str) -> None:
        """As somebody would with curl, at the active node."""
        await self._replicate(cluster, "primary/demote", {})

    async def _replicate(self, cluster: str, path: str, body: dict[str, str]) -> None:
        headers = {"X-Vault-Token": self.credentials["root_token"]}
        url = f"{await self._address_of(cluster)}/v1/sys/replication/{self.stage.lab.kind}/{path}"
        await self._post(url, self._tls(), headers=headers, json=body)

    async def put_token(self, name: str, value: Secret | None) -> None:
        """What its file holds from now on."""
        write_credential(self.stage.lab, self.stage.place, name, value)

    async def send(self, ask: Ask, request: Sent, heard: Heard) -> None:
        """As somebody would with curl."""
        url = f"{await self._address_of(ask.target)}{request.path_and_query}"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(HAND_TIMEOUT_S)) as session:
            given: dict[str, Any] = {"headers": request.headers, "data": request.body or None}
            async with session.request(ask.method, url, ssl=self._tls(), **given) as reply:
                status, body = reply.status, await reply.read()
        heard(status, body, "")

    async def _address_of(self, target: str) -> str:
        """Of a node, or of the active node of a cluster; of its first where none is active."""
        cluster, _, number = target.partition("/")
        if not number:
            status = await self.stage.ask.lab("GET", "/status")
            number = (status["clusters"][cluster]["active"] or f"{cluster}/1").partition("/")[2]
        return self.stage.lab.clusters[cluster].nodes[int(number) - 1]

    async def point_name_at(self, target: str) -> None:
        """At the provider."""
        lab = self.stage.lab
        names = {name: entry.dns_name for name, entry in lab.clusters.items()}
        wanted = f"{names.get(target, target).rstrip('.')}."
        query = f"name={lab.service_name}&type=CNAME&maxitems=1"
        url = f"{lab.route53_url}{CHANGES}"
        async with aiohttp.ClientSession(headers=AWS_HEADERS) as session:
            async with session.get(f"{url.rstrip('/')}?{query}") as reply:
                held = record_in(await reply.text())
        batch = change_batch(f"{lab.service_name}.", held, replace(held, targets=(wanted,)), "by hand")
        await self._post(url, False, headers=AWS_HEADERS, data=batch)

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.stage.lab.ca_file)

    async def _post(self, url: str, tls: ssl.SSLContext | bool, **given: Any) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(HAND_TIMEOUT_S)) as session:
            async with session.post(url, ssl=tls, **given) as reply:
                reply.raise_for_status()
