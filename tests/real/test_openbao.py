"""A real OpenBao as the referee: the lab answers as it does, and the daemon's own client reads it for what it is.

Everything that the two answer otherwise is in one table with its reason; an entry that no longer holds fails. What the
fork does not have (replication, licences, the fields of Enterprise) no referee here can check.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from fnmatch import fnmatchcase

import pytest

from tests.support import openbao
from tests.support.asking_both import RealSide, Remembered, Told, compared, lab_side
from tests.support.likeness import differences
from tests.support.openbao import OpenBao
from tests.support.openbao_asks import ASKS, FROM_EMPTY
from tests.support.own_venv import NotHere
from tests.support.real_nodes import Node, kill
from watchdogd.adapters.vault.client import NodeClient
from watchdogd.adapters.vault.names import NameTable
from watchdogd.adapters.vault.transport import NodeTransport, TlsOptions
from watchdogd.core.model import ClusterId, NodeAddress, PairId, Pins, Reading, Replication
from watchdogd.core.readings import read
from watchdogd.errors import Refusal, Refused
from watchdogd.lab.routes import ROUTES, routes_of
from watchdogd.rehearsal.memory import DictMemory, LoopClock
from watchdogd.secret import Secret

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

NODES = 3
# The fork has not the token prefixes of 1.10, the ids of 1.16, nor the fields of Enterprise: the lab of an early Vault
# is the nearest to it. What the lab adds for the newest one has its own table, so that nothing but that is added.
NEAREST, NEWEST = "1.7.0", "1.19.0"
ROUND_S, SOON_S = 10.0, 60.0  # what is silent here refuses; who waits for a busy machine is answered

BUILT = "Vault tells build_date, OpenBao commit_date (SEALDOC)"
ENTERPRISE = "a field of Vault Enterprise that the fork left out (HEALTHSRC, APILEADER, APIRAFT)"
MODES = "OpenBao calls itself performance primary; the world's cluster is a DR primary"
NEWER = "a field that OpenBao added"
BY_CONFIGURATION = "OpenBao 2.x takes audit devices from its configuration only"
NO_DEVICE_BY_API = "cannot enable audit device via API; use declarative, config-based audit device management instead"
CLI = "each names its own command line"


def in_words_of_its_own(verb: str) -> str:
    """How the hint of a versioned mount differs, which names the command line."""
    hint = (
        "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. "
        "If using the {} CLI, use '{} kv {}' for this operation."
    )
    (line,) = differences([hint.format("OpenBao", "bao", verb)], [hint.format("Vault", "vault", verb)], ".warnings")
    return line


def in_words_of_its_own_server() -> str:
    """How the answer to a tidying differs, which names the server."""
    said = (
        "Tidy operation successfully started. Any information from the operation will be printed to {}'s server logs."
    )
    (line,) = differences([said.format("OpenBao")], [said.format("Vault")], ".warnings")
    return line


# (request, difference as `where: of OpenBao | of the lab`) -> why.
DIFFERENCES: Mapping[tuple[str, str], str] = {
    ("*health*", ".performance_standby: absent | bool"): ENTERPRISE,
    ("*health*", ".replication_performance_mode: 'primary' | 'disabled'"): MODES,
    ("*health*", ".replication_dr_mode: 'disabled' | 'primary'"): MODES,
    ("health", ".last_wal: absent | int"): ENTERPRISE,
    ("*leader*", ".performance_standby: absent | bool"): ENTERPRISE,
    ("*leader*", ".performance_standby_last_remote_wal: absent | int"): ENTERPRISE,
    ("leader*", ".last_wal: absent | int"): ENTERPRISE,
    ("*seal*", ".commit_date: str | absent"): BUILT,
    (
        "start with a bad OTP",
        ".errors: ['OTP string has incorrect length'] | ['OTP string is wrong length']",
    ): "Vault's own text (GENROOT)",
    (
        "start again",
        ".errors: ['root generation already in progress for this namespace'] | ['root generation already in progress']",
    ): "OpenBao generates root tokens per namespace; Vault's own text (GENROOT)",
    ("autopilot", ".data.optimistic_failure_tolerance: absent | int"): ENTERPRISE,
    ("autopilot configuration", ".data.disable_upgrade_migration: absent | bool"): ENTERPRISE,
    ("autopilot", ".data.servers[].upgrade_version: absent | str"): ENTERPRISE,
    (
        "unwrap without a token",
        ".errors: ['error validating wrapping token: token is empty'] | ['permission denied']",
    ): "without a token OpenBao looks into the body before it refuses",
    ("policy read", ".data.allow_slashes_in_identity_templates: bool | absent"): NEWER,
    ("policy read", ".data.allow_wildcards_in_identity_templates: bool | absent"): NEWER,
    ("policy read", ".data.cas_required: bool | absent"): NEWER,
    ("policy read", ".data.modified: str | absent"): NEWER,
    ("policy read", ".data.version: int | absent"): NEWER,
    ("kv2 config*", ".data.metadata_cas_required: bool | absent"): NEWER,
    ("*metadata*", ".data.metadata_cas_required: bool | absent"): NEWER,
    ("*metadata*", ".data.current_metadata_version: int | absent"): NEWER,
    ("kv2 *", in_words_of_its_own("get")): CLI,
    ("kv2 *", in_words_of_its_own("put")): CLI,
    ("kv2 *", in_words_of_its_own("list")): CLI,
    (
        "init with text",
        ".errors: ['failed to decode JSON input: json: cannot unmarshal string into Go struct field "
        "InitRequest.secret_shares of type int'] | ['failed to parse JSON input: json: cannot unmarshal string into Go "
        "struct field InitRequest.secret_shares of type int']",
    ): "Vault says `failed to parse` (HANDLER17)",
    ("*tidy", in_words_of_its_own_server()): CLI,
    ("wrapping key", "status: 404 | 200"): "the fork took it out; Vault's own `handleWrappingPubkey` (SYSPATHS)",
    ("reload", "status: 404 | 204"): ENTERPRISE,
    (
        "a namespace read",
        ".errors: [] | ['1 error occurred:\\n\\t* unsupported path\\n\\n']",
    ): "a world has the root namespace only, and no path to make another (docs/lab.md)",
    ("audit enable", "status: 400 | 204"): BY_CONFIGURATION,
    ("audit enable no type", f".errors: ['{NO_DEVICE_BY_API}'] | ['unknown backend type: \"nope\"']"): BY_CONFIGURATION,
    ("login*", ".auth.entity_id: 'UUID' | ''"): "a world has no identities",
    ("lookup of login", ".data.entity_id: 'UUID' | ''"): "a world has no identities",
    ("login without a role", "status: 500 | 400"): "Vault refuses it as 400 `missing role_id`; the fork answers 500",
    (
        "write 1 bad JSON",
        ".errors: [\"failed to decode JSON input: invalid character 'b' looking for beginning of value\"]"
        " | ['failed to parse JSON input: Expecting property name enclosed in double quotes: "
        "line 1 column 2 (char 1)']",
    ): "Vault says `failed to parse` (HANDLER17); what follows is of the JSON reader",
}
# What the lab of the newest Vault adds: (request, difference) -> why.
REMOVED = "a field of 1.19, later than the fork (HEALTHSRC)"
INVALID_TOKEN = r".errors: ['permission denied'] | ['2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n']"
LENGTH = "tokens of the fork have no prefix `hvs.`, as before 1.10 (GRHTTP111)"
INVALID = "from 1.16 on Vault says both (TOKDOC, PR26687); the fork goes on as before"
SINCE = {
    ("*seal*", ".build_date: absent | str"): BUILT,
    ("licence", "status: 404 | 200"): ENTERPRISE,
    ("*health*", ".enterprise: absent | bool"): ENTERPRISE,
    ("*health*", ".license: absent | dict"): ENTERPRISE,
    ("*health*", ".echo_duration_ms: absent | int"): ENTERPRISE,
    ("*health*", ".clock_skew_ms: absent | int"): ENTERPRISE,
    ("*health*", ".replication_primary_canary_age_ms: absent | int"): ENTERPRISE,
    ("*health*", ".removed_from_cluster: absent | bool"): REMOVED,
    ("standby health*", ".ha_connection_healthy: absent | bool"): REMOVED,
    ("*seal*", ".removed_from_cluster: absent | bool"): REMOVED,
    ("*generation*", ".otp_length: 26 | 28"): LENGTH,
    ("start*", ".otp_length: 26 | 28"): LENGTH,
    ("cancelled", ".otp_length: 26 | 28"): LENGTH,
    ("lookup-self bad token", INVALID_TOKEN): INVALID,
    ("login to nothing bad token", INVALID_TOKEN): INVALID,
    ("*revoked*", INVALID_TOKEN): INVALID,
    ("child after revoke", INVALID_TOKEN): INVALID,
    ("no use", INVALID_TOKEN): INVALID,
}
LISTED: Mapping[str, Mapping[tuple[str, str], str]] = {NEAREST: DIFFERENCES, NEWEST: {**DIFFERENCES, **SINCE}}


@pytest.fixture(scope="session")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """Three nodes with TLS, unsealed. Every test leaves them so."""
    try:
        with openbao.running(tmp_path_factory.mktemp("openbao"), nodes=NODES) as cluster:
            yield cluster
    except NotHere as exc:
        pytest.skip(str(exc))


@pytest.fixture(scope="session")
def told(bao: OpenBao) -> Mapping[str, Mapping[str, list[str]]]:
    """By the version of the lab. OpenBao is asked once."""
    real, answers = RealSide(bao), dict[str, Told]()
    return {
        version: compared(ASKS, Remembered(real, answers), lab_side(nodes=NODES, version=version)) for version in LISTED
    }


@pytest.fixture(scope="session")
def told_from_empty(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, list[str]]]:
    """By the version of the lab: a node that was never initialised, and what becomes of it."""
    try:
        with openbao.empty(tmp_path_factory.mktemp("empty")) as never:
            real, answers = RealSide(never, only=never.nodes[0]), dict[str, Told]()
            return {
                version: compared(
                    FROM_EMPTY, Remembered(real, answers), lab_side(nodes=1, version=version, kind="none")
                )
                for version in LISTED
            }
    except NotHere as exc:
        pytest.skip(str(exc))


def listed(version: str, request: str, difference: str) -> list[tuple[str, str]]:
    return [(asked, line) for asked, line in LISTED[version] if line == difference and fnmatchcase(request, asked)]


@pytest.mark.parametrize("version", LISTED)
def test_the_lab_answers_every_request_as_openbao_does(
    told: Mapping[str, Mapping[str, list[str]]], version: str
) -> None:
    found = [(name, line) for name, lines in told[version].items() for line in lines]
    assert [f"{name} {line}" for name, line in found if not listed(version, name, line)] == []


@pytest.mark.parametrize("version", LISTED)
def test_an_empty_node_is_initialised_and_unsealed_as_openbao_is(
    told_from_empty: Mapping[str, Mapping[str, list[str]]], version: str
) -> None:
    found = [(name, line) for name, lines in told_from_empty[version].items() for line in lines]
    assert [f"{name} {line}" for name, line in found if not listed(version, name, line)] == []


@pytest.mark.parametrize("version", LISTED)
def test_every_listed_difference_still_holds(
    told: Mapping[str, Mapping[str, list[str]]], told_from_empty: Mapping[str, Mapping[str, list[str]]], version: str
) -> None:
    asked = {**told[version], **told_from_empty[version]}
    used = {entry for name, lines in asked.items() for line in lines for entry in listed(version, name, line)}
    assert set(LISTED[version]) - used == set()


def test_every_endpoint_of_the_lab_but_replication_is_asked() -> None:
    asked = {
        (route.pattern, method)
        for ask in (*ASKS, *FROM_EMPTY)
        for route, _ in routes_of(ask.route)
        for method in ["LIST" if "list=true" in ask.path else {"POST": "PUT"}.get(ask.method, ask.method)]
        if method in route.methods.split()
    }
    there = {(route.pattern, method) for route in ROUTES for method in route.methods.split()}
    missing = {(pattern, method) for pattern, method in there - asked if "sys/replication/" not in pattern}
    # On a primary the lab has no use for PUT: there the token of a DR secondary goes into the body (VAGRANT).
    assert missing == {("sys/storage/raft/configuration", "PUT")}


# ------------------------------------------------------------------------------------------- the daemon's own client


class Looker:
    """The client of production, its transport and all, at every node of the cluster."""

    def __init__(self, cluster: OpenBao, stack: AsyncExitStack) -> None:
        self._cluster, self._stack = cluster, stack
        self._clients: dict[str, NodeClient] = {}
        cluster_id = cluster.ask(cluster.nodes[0], "/v1/sys/seal-status").json["cluster_id"]
        self._pins = Pins(vault_id=cluster_id, replication_id="none")

    async def client(self, node: Node) -> NodeClient:
        if node.name not in self._clients:
            address = NodeAddress(node.url)
            names = NameTable(pair=PairId("p"), nodes=[address], memory=DictMemory(), resolve=_by_itself)
            await names.refresh()
            transport = NodeTransport(node=address, tls=TlsOptions(ca_file=str(self._cluster.ca_file)), names=names)
            await self._stack.enter_async_context(transport)
            self._clients[node.name] = NodeClient(
                cluster=ClusterId("referee"),
                node=address,
                kind=Replication.DR,
                transport=transport,
                addresses=names,
                clock=LoopClock(),
            )
        return self._clients[node.name]

    async def sees(self, node: Node) -> Reading:
        raw = await (await self.client(node)).probe_round(timeout_s=ROUND_S)
        return read(raw, self._pins).reading

    async def until(self, node: Node, *wanted: Reading) -> list[Reading]:
        """What it read one after the other until the last one is wanted."""
        seen: list[Reading] = []
        async with asyncio.timeout(SOON_S):
            while not seen or seen[-1] not in wanted:
                seen.append(await self.sees(node))
                await asyncio.sleep(0.05)
        return seen


async def _by_itself(_: str) -> tuple[str, ...]:
    return ()


@pytest.mark.usefixtures("told")  # compared is the cluster as it was formed, whatever the order of the tests
async def test_the_client_reads_every_state_of_a_real_node(bao: OpenBao) -> None:
    async with AsyncExitStack() as stack:
        looker = Looker(bao, stack)
        active = next(node for node in bao.nodes if bao.health(node) == 200)
        sealed, killed = (node for node in bao.nodes if node is not active)
        assert await looker.sees(active) is Reading.ACTIVE
        assert [await looker.sees(node) for node in (sealed, killed)] == [Reading.FOLLOWS, Reading.FOLLOWS]

        kill(killed)
        assert await looker.sees(killed) is Reading.SILENT
        bao.start(killed)
        seen = await looker.until(killed, Reading.SEALED)
        assert set(seen) <= {Reading.SILENT, Reading.SEALED}, "until it listens, and then sealed: never anything else"
        bao.unseal(killed)
        seen = await looker.until(killed, Reading.FOLLOWS)
        assert set(seen) <= {Reading.SEALED, Reading.LEADERLESS, Reading.FOLLOWS}, "never active, never silent"
        assert await looker.sees(active) is Reading.ACTIVE


@pytest.mark.usefixtures("told")  # compared is the cluster as it was formed, whatever the order of the tests
async def test_the_client_follows_the_active_node_when_it_is_sealed(bao: OpenBao) -> None:
    async with AsyncExitStack() as stack:
        looker = Looker(bao, stack)
        before = next(node for node in bao.nodes if bao.health(node) == 200)
        assert bao.ask(before, "/v1/sys/seal", "PUT", token=bao.root_token, body={}).status == 204
        assert await looker.sees(before) is Reading.SEALED
        others = [node for node in bao.nodes if node is not before]
        readings: list[Reading] = []
        async with asyncio.timeout(SOON_S):
            while Reading.ACTIVE not in readings:
                readings = [await looker.sees(node) for node in others]
                assert set(readings) <= {Reading.FOLLOWS, Reading.LEADERLESS, Reading.ACTIVE}
        bao.unseal(before)
        await looker.until(before, Reading.FOLLOWS)


async def test_tokens_are_looked_up_and_refused_in_the_classes_of_the_client(bao: OpenBao) -> None:
    async with AsyncExitStack() as stack:
        client = await Looker(bao, stack).client(bao.nodes[0])
        info = await client.lookup_self(token=Secret(bao.root_token))
        assert (info.policies, info.ttl_s) == (("root",), 0)
        state = await client.autopilot_state(token=Secret(bao.root_token))
        assert (len(state.servers), state.active_server in state.servers) == (NODES, True)
        with pytest.raises(Refused) as refused:
            await client.lookup_self(token=Secret("s.unknown-token"))
        assert refused.value.kind is Refusal.DENIED
        with pytest.raises(Refused) as refused:
            await client.promote(token=Secret("s.unknown-token"), only_on_connection=None)
        assert refused.value.kind is Refusal.DENIED, "it has no such path, and tells nobody without a token"
