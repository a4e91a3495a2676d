"""A provider that asks a human: it looks at the name, and says what to change from what to what."""

from __future__ import annotations

from dataclasses import dataclass

from watchdogd.core.naming import bare_name
from watchdogd.errors import Cause, Refusal, Refused, Unreachable
from watchdogd.ports import ChangeRef, DnsWatch, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualDns:
    """`ports.DnsProvider` without a way to write. `ttl_s` is the config's: servers are asked for the target only."""

    record: str
    ttl_s: int
    watch: DnsWatch

    async def observe(self) -> Record:
        """The record as every authoritative server that could be asked publishes it.

        Raises: Unreachable when none could be asked; Refused(NOT_YET) while they disagree; Refused(UNSUPPORTED) when
        there is no such CNAME.
        """
        by_server = (await self.watch.authoritative()).by_server
        answers = {server: answer for server, answer in by_server.items() if answer is not None}
        if not answers:
            raise Unreachable(Cause.TIMEOUT, f"no authoritative server of {self.record} could be asked")
        if len(set(answers.values())) > 1:
            said = ", ".join(f"{server} says {answer or 'nothing'}" for server, answer in answers.items())
            raise Refused(Refusal.NOT_YET, f"the authoritative servers of {self.record} disagree: {said}")
        (target,) = set(answers.values())
        if not target:
            raise Refused(Refusal.UNSUPPORTED, f"no authoritative server publishes a CNAME {self.record}: create it")
        return Record(targets=(target,), ttl_s=self.ttl_s)

    async def swap(self, expected: Record, wanted: Record, comment: str) -> ChangeRef:
        """Always raises Refused(UNSUPPORTED) with the sentence that says what to do. Nothing is changed."""
        before, after = (" ".join(map(bare_name, record.targets)) or "nothing" for record in (expected, wanted))
        sentence = (
            f"{self.record} is changed by hand: point the CNAME {self.record} from {before} to {after}, "
            f"TTL {wanted.ttl_s} s ({comment}); watchdogd goes on when its authoritative servers publish that"
        )
        raise Refused(Refusal.UNSUPPORTED, sentence)

    async def is_in_sync(self, change: ChangeRef) -> bool:
        """Always raises Refused(UNSUPPORTED): no change was ever accepted here."""
        raise Refused(Refusal.UNSUPPORTED, f"{self.record} is changed by hand: there is no change {change.change_id}")
