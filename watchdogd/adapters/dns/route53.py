"""Route 53 through boto3, in threads of its own: look, and compare-and-swap one CNAME in one atomic batch.

Facts of the service: docs.aws.amazon.com/Route53/latest/APIReference (ChangeResourceRecordSets, GetChange,
ListResourceRecordSets) and DeveloperGuide/DNSLimitations.html, read 2026-11; of the client: botocore 1.44.5.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import boto3
import botocore.session
import structlog
from botocore.config import Config
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.loaders import Loader
from botocore.utils import is_valid_endpoint_url, is_valid_ipv6_endpoint_url

from watchdogd.adapters.dns.aws_errors import (
    AWS_FAILURES,
    is_identity_refused,
    read_error,
    refuse_blind_repeat,
    write_error,
)
from watchdogd.core.naming import bare_name
from watchdogd.errors import ConfigError, MalformedReply, OutcomeUnknown, Refusal, Refused
from watchdogd.ports import ChangeRef, Record

if TYPE_CHECKING:
    from types_boto3_route53 import Route53Client
    from types_boto3_route53.type_defs import (
        ChangeBatchTypeDef,
        ChangeResourceRecordSetsResponseTypeDef,
        ResourceRecordSetOutputTypeDef,
    )

THREADS = 4
PREPARE_S_MAX = 5.0
PARTING_S_MAX = 5.0
BACK_OFF_S_MAX = 5.0  # botocore's own, below 1 s and then below 2 s, and time to look for credentials
COMMENT_LENGTH_MAX = 256  # Source: APIReference/API_ChangeBatch.html
SIGNING_REGION = "us-east-1"  # Route 53 is global and signed there; with an endpoint of its own botocore asks for one
# A simple record set has these keys and no others: whatever else there is, a swap would lose.
SIMPLE_KEYS = frozenset({"Name", "Type", "TTL", "ResourceRecords"})
RECORD_SETS_MAX = "10"  # of one name; more than one is refused anyway

T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route53Settings:
    """Where the record is and how long one exchange may take.

    A write takes at most `attempts_max` x `connect_timeout_s`, botocore's back-off (below 1 s, then below 2 s) and one
    `read_timeout_s`; the read before it may time out at every attempt.
    """

    zone_id: str
    record: str
    endpoint_url: str | None = None
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 10.0
    attempts_max: int = 3

    @property
    def call_s_max(self) -> float:
        """How long one call is waited for: whatever looks for credentials, a program for one, may hang for ever."""
        return self.attempts_max * (self.connect_timeout_s + self.read_timeout_s) + BACK_OFF_S_MAX


class Clients:
    """One client for all records that are reached the same way, whichever pair they are of.

    A client may be shared by threads (boto3 guide, clients), and costs some 20 ms and 2 MB.
    """

    def __init__(self) -> None:
        self._building = threading.Lock()
        self._kept: dict[Route53Settings, Route53Client] = {}
        self._users: Counter[Route53Settings] = Counter()  # only the loop's thread counts
        self.patience_s = PREPARE_S_MAX  # what hangs is waited for once, and not once for each record
        self.parting_s = PARTING_S_MAX  # and so it is at the end

    def enter(self, settings: Route53Settings) -> None:
        """One more user of this way; `leave` must follow."""
        self._users[_way(settings)] += 1

    def leave(self, settings: Route53Settings) -> None:
        """The last user gives the connections back."""
        way = _way(settings)
        self._users[way] -= 1
        if not self._users[way] and (client := self._kept.pop(way, None)) is not None:
            client.close()

    async def wait_for(self, writing: Collection[asyncio.Future[ChangeRef]]) -> None:
        """Return when all of them have ended, or after a moment: what hangs must not hold up the end of the process."""
        if writing and (await asyncio.wait(writing, timeout=self.parting_s))[1]:
            self.parting_s = 0.0

    def get(self, settings: Route53Settings, instead_of: Route53Client | None = None) -> Route53Client:
        """The client of this way, built where there is none but `instead_of`. Raises what botocore raises."""
        way = _way(settings)
        with self._building:
            client = self._kept.get(way)
            if client is None or client is instead_of:
                client = self._kept[way] = _build(settings)
            return client


def _way(settings: Route53Settings) -> Route53Settings:
    return replace(settings, zone_id="", record="")


@asynccontextmanager
async def open_route53(settings: Route53Settings, clients: Clients) -> AsyncIterator[Route53]:
    """The provider, its client built and its credentials looked for; leaving waits a moment for a write under way.

    Does not raise when AWS is dead or no credentials are found: the daemon must start then, too. What is wrong is
    logged, and the next call looks again. Raises: ConfigError when `endpoint_url` is none.
    """
    _ensure_endpoint(settings.endpoint_url)
    pool = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="route53")
    loop = asyncio.get_running_loop()
    api, writing = _Api(settings, clients), set[asyncio.Future[ChangeRef]]()
    clients.enter(settings)
    try:
        _, unprepared = await asyncio.wait({loop.run_in_executor(pool, api.prepare)}, timeout=clients.patience_s)
        if unprepared:
            clients.patience_s = 0.0
            log.warning("route53_client_not_built", record=settings.record, error=f"not within {PREPARE_S_MAX:g} s")
        yield Route53(settings, api, pool, writing)
    finally:
        await clients.wait_for(writing)  # so that its end can still be logged
        pool.shutdown(wait=False)
        clients.leave(settings)


def _ensure_endpoint(url: str | None) -> None:
    """Raises: ConfigError. botocore would say so, too, but in the words of a dozen other things."""
    if url is not None and not (is_valid_endpoint_url(url) or is_valid_ipv6_endpoint_url(url)):
        raise ConfigError((f"dns.endpoint_url: {url} is no address of a server: write scheme, host and port",))


@dataclass(frozen=True, slots=True)
class _InTime:
    """Whether a change is still wanted by whoever asked for it; may be asked in any thread."""

    now: Callable[[], float]
    end_s: float

    def ensure(self) -> None:
        """Raises: Refused(NOT_YET) once nobody waits for the change any more: it must not be made hours later."""
        if self.now() >= self.end_s:
            raise Refused(Refusal.NOT_YET, "nobody waits for this change any more, so nothing was changed")


class Route53:
    """`ports.DnsProvider` for one record of one hosted zone; made by `open_route53`."""

    def __init__(
        self,
        settings: Route53Settings,
        api: _Api,
        pool: ThreadPoolExecutor,
        writing: set[asyncio.Future[ChangeRef]],
    ) -> None:
        self._writing = writing  # every write under way, also one that nobody waits for any more
        self._settings = settings
        self._api = api
        self._pool = pool

    async def observe(self) -> Record:
        """The record as the provider holds it; targets are bare names.

        Raises: Unreachable; OutcomeUnknown (asked, and no usable answer came); MalformedReply; Refused(DENIED |
        NOT_YET); Refused(UNSUPPORTED) when there is no such record, or it is not one simple CNAME.
        """
        return _as_record(await self._in_thread(self._api.find))

    async def swap(self, expected: Record, wanted: Record, comment: str) -> ChangeRef:
        """Replace `expected` by `wanted`: one batch of DELETE (spelling and TTL as stored) and CREATE.

        Holds afterwards: the change is accepted and PENDING; `is_in_sync` tells the rest. Never creates a record that
        was not there. Never cancelled: when the caller is, the call goes on, bounded by its own timeouts, and its end
        is logged. Never repeated when it may have been applied.

        Raises: Refused(CONFLICT) when the record is not `expected`; Refused(NOT_YET) when throttled, while an earlier
        change of the zone is not complete, or when the record could not be read first; Refused(DENIED | UNSUPPORTED);
        Unreachable (nothing was sent); OutcomeUnknown (it may have been applied).
        """
        loop = asyncio.get_running_loop()
        end_s = loop.time() + 2 * self._settings.call_s_max  # it reads first
        in_time = _InTime(loop.time, end_s)
        write = functools.partial(self._api.swap, expected, wanted, comment[:COMMENT_LENGTH_MAX], in_time)
        writing = loop.run_in_executor(self._pool, write)
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        try:
            async with asyncio.timeout_at(end_s):
                return await asyncio.shield(writing)
        except TimeoutError:
            writing.add_done_callback(functools.partial(_log_end, self._settings.record, wanted))
            raise OutcomeUnknown("the change is under way for longer than its requests may take") from None
        except asyncio.CancelledError:
            writing.add_done_callback(functools.partial(_log_end, self._settings.record, wanted))
            raise

    async def is_in_sync(self, change: ChangeRef) -> bool:
        """True once GetChange of that very change says INSYNC. Raises as `observe`."""
        return await self._in_thread(functools.partial(self._api.is_in_sync, change.change_id))

    async def _in_thread(self, read: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(self._settings.call_s_max):
                return await asyncio.get_running_loop().run_in_executor(self._pool, read)
        except TimeoutError:
            raise OutcomeUnknown("no answer within the time that its requests may take") from None


class _Api:
    """The same as blocking calls, several at a time: a botocore client may be shared by threads, a session may not."""

    def __init__(self, settings: Route53Settings, clients: Clients) -> None:
        self._settings = settings
        self._clients = clients

    def prepare(self) -> None:
        """Build the client while there is time: the first one costs 0.15 s and a search for credentials."""
        try:
            self._clients.get(self._settings)
        except AWS_FAILURES as exc:
            error = read_error(exc, "credentials")
            log.warning("route53_client_not_built", record=self._settings.record, error=str(error))

    def find(self) -> ResourceRecordSetOutputTypeDef:
        """The one simple CNAME record set of the name, as stored."""
        zone_id, name = self._settings.zone_id, self._settings.record
        page = self._read(
            "ListResourceRecordSets",
            lambda client: client.list_resource_record_sets(
                HostedZoneId=zone_id, StartRecordName=name, MaxItems=RECORD_SETS_MAX
            ).get("ResourceRecordSets"),
        )
        try:
            return self._only_record(page)
        except (LookupError, TypeError, AttributeError) as exc:
            error = f"a record set with something missing, or twice ({type(exc).__name__})"
            raise MalformedReply("ListResourceRecordSets", error) from None

    def _only_record(self, page: Sequence[ResourceRecordSetOutputTypeDef]) -> ResourceRecordSetOutputTypeDef:
        """Raises: Refused; what Python raises where the answer is not as AWS describes it: botocore checks none."""
        zone_id, name = self._settings.zone_id, self._settings.record
        sets = [found for found in page if bare_name(found.get("Name", "")) == bare_name(name)]
        if not sets:
            sentence = f"zone {zone_id} has no record {name}: create the CNAME by hand first, watchdogd never does"
            raise Refused(Refusal.UNSUPPORTED, sentence)
        if objection := _objection(sets):
            sentence = f"{name} is {objection}: watchdogd moves one simple CNAME with one value and a TTL, nothing else"
            raise Refused(Refusal.UNSUPPORTED, sentence)
        _as_record(sets[0])
        return sets[0]

    def swap(self, expected: Record, wanted: Record, comment: str, in_time: _InTime) -> ChangeRef:
        """See `Route53.swap`. The read in front is for the stored spelling, which DELETE has to repeat."""
        if len(wanted.targets) != 1 or wanted.rtype != "CNAME":
            raise Refused(Refusal.UNSUPPORTED, f"cannot publish {_text(wanted)}: watchdogd moves one simple CNAME only")
        try:
            stored = self.find()
        except (OutcomeUnknown, MalformedReply) as exc:
            raise Refused(Refusal.NOT_YET, f"could not be read first, so nothing was changed: {exc}") from exc
        if (seen := _as_record(stored)) != _normal(expected):
            raise Refused(Refusal.CONFLICT, f"{self._settings.record} is {_text(seen)}, not {_text(expected)}")
        return self.write(stored, wanted, comment, in_time)

    def write(
        self, stored: ResourceRecordSetOutputTypeDef, wanted: Record, comment: str, in_time: _InTime
    ) -> ChangeRef:
        """The one atomic batch; Refused(CONFLICT) when the record is no longer exactly `stored`."""
        batch = _batch(stored, wanted, comment)

        def change(client: Route53Client) -> ChangeResourceRecordSetsResponseTypeDef:
            in_time.ensure()
            return client.change_resource_record_sets(HostedZoneId=self._settings.zone_id, ChangeBatch=batch)

        try:
            reply = self._with_client(change)
        except AWS_FAILURES as exc:
            raise write_error(exc) from None
        change_id: object = reply.get("ChangeInfo", {}).get("Id")
        if not change_id or not isinstance(change_id, str):
            raise OutcomeUnknown("ChangeResourceRecordSets was answered without a change id", answered=True)
        return ChangeRef(change_id=change_id.rpartition("/")[2])

    def is_in_sync(self, change_id: str) -> bool:
        """See `Route53.is_in_sync`."""
        status = self._read(
            "GetChange", lambda client: client.get_change(Id=change_id).get("ChangeInfo", {}).get("Status")
        )
        return status == "INSYNC"

    def _read(self, endpoint: str, call: Callable[[Route53Client], T | None]) -> T:
        try:
            answer = self._with_client(call)
        except AWS_FAILURES as exc:
            raise read_error(exc, endpoint) from None  # its text may quote a request
        if answer is None:
            raise MalformedReply(endpoint, "the answer lacks what was asked for")
        return answer

    def _with_client(self, call: Callable[[Route53Client], T]) -> T:
        """A client keeps what it found when it was built, none or keys that were rotated since: build another, once."""
        client = self._clients.get(self._settings)
        try:
            return call(client)
        except (NoCredentialsError, ClientError) as exc:
            if not is_identity_refused(exc):
                raise
        return call(self._clients.get(self._settings, instead_of=client))


class OneLoader(Loader):
    """A loader for many sessions: each of them adds boto3's own folder to its search path, which is one too many."""

    @property
    def search_paths(self) -> list[str]:
        """A copy, so that it does not grow with every session. Route 53 is in botocore's own folder."""
        return list(super().search_paths)


@functools.cache
def _api_data() -> Loader:
    """AWS's description of its API, read once for all pairs: parsed it takes 7 MB, and nobody writes to it."""
    return OneLoader()


def _build(settings: Route53Settings) -> Route53Client:
    """A client with credentials as boto3 finds them. A session of its own: the default one is shared and not safe."""
    core = botocore.session.get_session()
    core.register_component("data_loader", _api_data())
    session = boto3.session.Session(botocore_session=core)
    client = session.client(
        "route53",
        region_name=session.region_name or SIGNING_REGION,
        endpoint_url=settings.endpoint_url,
        config=Config(
            connect_timeout=settings.connect_timeout_s,
            read_timeout=settings.read_timeout_s,
            retries={"total_max_attempts": settings.attempts_max, "mode": "standard"},
            tcp_keepalive=True,
        ),
    )
    client.meta.events.register_first("needs-retry.route-53.ChangeResourceRecordSets", refuse_blind_repeat)
    return client


def _batch(stored: ResourceRecordSetOutputTypeDef, wanted: Record, comment: str) -> ChangeBatchTypeDef:
    """Two changes, applied both or not at all. Source: APIReference/API_ChangeResourceRecordSets.html."""
    return {
        "Comment": comment,
        "Changes": [
            {"Action": "DELETE", "ResourceRecordSet": stored},
            {
                "Action": "CREATE",
                "ResourceRecordSet": {
                    "Name": stored["Name"],
                    "Type": "CNAME",
                    "TTL": wanted.ttl_s,
                    "ResourceRecords": [{"Value": bare_name(wanted.targets[0])}],
                },
            },
        ],
    }


def _objection(sets: Sequence[ResourceRecordSetOutputTypeDef]) -> str:
    """What makes it something else than one simple CNAME, or the empty string."""
    if extra := sorted({key for found in sets for key in found} - SIMPLE_KEYS):
        return f"an alias, weighted or otherwise routed record ({', '.join(extra)})"
    if len(sets) > 1 or len(sets[0].get("ResourceRecords", ())) != 1:
        return "more than one record"
    if sets[0]["Type"] != "CNAME":
        return f"of type {sets[0]['Type']}"
    return "" if "TTL" in sets[0] else "without a TTL"


def _as_record(stored: ResourceRecordSetOutputTypeDef) -> Record:
    values = tuple(bare_name(found["Value"]) for found in stored["ResourceRecords"])
    return Record(targets=values, ttl_s=stored["TTL"], rtype=stored["Type"])


def _normal(record: Record) -> Record:
    targets = tuple(bare_name(target) for target in record.targets)
    return Record(targets=targets, ttl_s=record.ttl_s, rtype=record.rtype)


def _text(record: Record) -> str:
    return f"{record.rtype} {' '.join(record.targets) or 'nothing'} (TTL {record.ttl_s} s)"


def _log_end(name: str, wanted: Record, writing: asyncio.Future[ChangeRef]) -> None:
    """The caller is gone: what became of its write is at least in the log."""
    error = writing.exception()
    outcome = "accepted" if error is None else type(error).__name__
    log.warning(
        "abandoned_dns_change_finished", record=name, wanted=_text(wanted), outcome=outcome, error=str(error or "")
    )
