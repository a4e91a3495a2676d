"""Every kind of mistake in a config gives a message that names the place and the way out; a good one gives settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.configs import Change, drop, good, put
from watchdogd.adapters.config import FILE_BYTES_MAX, load_config, parse_config
from watchdogd.adapters.config_schema import schema_text
from watchdogd.adapters.settings import CredentialRef, ExecWitness, FileRef, Server, VaultWitness
from watchdogd.core.model import ClusterId, PairId
from watchdogd.core.policy import Environment, Level
from watchdogd.errors import ConfigError

ROOT = Path(__file__).parents[3]
EAST, WEST, PROD = ClusterId("east"), ClusterId("west"), PairId("prod")
P = "pair.prod"

# What is changed in a good config, where the message must point, and what it must offer.
MISTAKES: list[tuple[str, Change, str, str]] = [
    ("a misspelt key", put("state_dri", "/x"), "state_dri", "did you mean state_dir?"),
    ("a misspelt nested key", put("./timing/intervall", "3s"), f"{P}.timing.intervall", "did you mean interval?"),
    ("an unknown key", put("./cluster/west/tls/ca", "x"), f"{P}.cluster.west.tls.ca", "one of ca_file, min_version"),
    ("a key of the other kind", put("./cluster/west/fence/zone", 1), f"{P}.cluster.west.fence.zone", "one of waived"),
    ("no pair", put("pair", {}), "pair", "at least one"),
    ("pairs missing", drop("pair"), "pair", "[pair.NAME]"),
    ("a pair that is no table", put("pair/prod", 3), P, "a table"),
    ("a bad pair name", put("pair/Prod 1", {}), 'pair."Prod 1"', "lower-case"),
    ("a missing level", drop("./levels/failover"), f"{P}.levels.failover", "there is no default"),
    ("a missing table", drop("./levels"), f"{P}.levels", "observe"),
    ("an unknown level", put("./levels/heal", "yes"), f"{P}.levels.heal", '"observe", "approve" or "auto"'),
    ("an unknown environment", put("environment", "test"), "environment", '"production", "demo" or "lab"'),
    ("an unknown replication", put("./replication", "both"), f"{P}.replication", '"dr" or "performance"'),
    ("a number for a duration", put("./timing/interval", 3), f"{P}.timing.interval", '"3s"'),
    ("a duration without unit", put("./timing/interval", "3"), f"{P}.timing.interval", '"3s"'),
    ("units in no order", put("./timing/interval", "3s1m"), f"{P}.timing.interval", '"1m30s"'),
    ("an empty duration", put("./timing/interval", ""), f"{P}.timing.interval", '"1m30s"'),
    ("a negative duration", put("./timing/interval", "-3s"), f"{P}.timing.interval", '"1m30s"'),
    ("no time at all", put("./timing/interval", "0s"), f"{P}.timing.interval", "more than 0"),
    ("an endless duration", put("./timing/interval", "9" * 400 + "s"), f"{P}.timing.interval", '"1m30s"'),
    ("a broken number of rounds", put("./timing/down_rounds", 1.5), f"{P}.timing.down_rounds", "a whole number"),
    ("rounds as a text", put("./timing/down_rounds", "8"), f"{P}.timing.down_rounds", "without quotes"),
    ("a text for a switch", put("./policy/sealed_is_down", "no"), f"{P}.policy.sealed_is_down", "true or false"),
    ("a number for a switch", put("./policy/sealed_is_down", 0), f"{P}.policy.sealed_is_down", "true or false"),
    ("no quorum", put("./policy/min_unsealed", "all"), f"{P}.policy.min_unsealed", '"quorum"'),
    ("no node at all", put("./policy/min_unsealed", 0), f"{P}.policy.min_unsealed", "from 1"),
    ("true nodes", put("./policy/min_unsealed", True), f"{P}.policy.min_unsealed", "whole number"),
    ("plain http", put("./cluster/east/nodes/1", "http://10.1.0.12:8200"), f"{P}.cluster.east.nodes[1]", "https://"),
    ("a node without port", put("./cluster/east/nodes/0", "https://10.1.0.11"), f"{P}.cluster.east.nodes[0]", "PORT"),
    ("a node with a path", put("./cluster/east/address", "https://a:1/v1"), f"{P}.cluster.east.address", "nothing"),
    ("a port out of range", put("./cluster/east/address", "https://a:99999"), f"{P}.cluster.east.address", "HOST:PORT"),
    ("a broken IPv6", put("./cluster/east/address", "https://[::1:8200"), f"{P}.cluster.east.address", "HOST:PORT"),
    ("nodes as a text", put("./cluster/east/nodes", "https://a:1"), f"{P}.cluster.east.nodes", "a list"),
    ("a short id", put("./cluster/east/vault_id", "abc"), f"{P}.cluster.east.vault_id", "as Vault shows it"),
    ("no id", drop("./cluster/east/vault_id"), f"{P}.cluster.east.vault_id", "cluster_id of sys/health"),
    ("old TLS", put("./cluster/east/tls/min_version", "1.0"), f"{P}.cluster.east.tls.min_version", '"1.2" or "1.3"'),
    ("a relative path", put("./cluster/east/tls/ca_file", "ca.pem"), f"{P}.cluster.east.tls.ca_file", "absolute"),
    ("a relative state", put("state_dir", "state"), "state_dir", "absolute"),
    ("a fence of no kind", put("./cluster/east/fence", {}), f"{P}.cluster.east.fence", "waived"),
    ("a fence of both kinds", put("./cluster/east/fence/waived", "x"), f"{P}.cluster.east.fence", "or { waived"),
    ("a fence that shrugs", drop("./cluster/east/fence/on_failure"), f"{P}.cluster.east.fence.on_failure", "block"),
    ("a waiver without a reason", put("./cluster/west/fence/waived", ""), f"{P}.cluster.west.fence.waived", "at least"),
    ("an empty command", put("./cluster/east/fence/command", []), f"{P}.cluster.east.fence.command", "at least one"),
    ("a secret in the file", put("./credentials/vault_token", "hvs.x"), f"{P}.credentials.vault_token", "references"),
    ("a secret of both kinds", put("./credentials/vault_token", {"file": "/a", "credential": "b"}),
     f"{P}.credentials.vault_token", "{ file ="),
    ("a secret at no path", put("./credentials/dr_operation_token/1/file", "b"),
     f"{P}.credentials.dr_operation_token[1].file", "absolute"),
    ("a credential with a path", put("./credentials/vault_token", {"credential": "../x"}),
     f"{P}.credentials.vault_token.credential", "without a path"),
    ("a witness of no kind", put("./witness", [{"name": "x"}]), f"{P}.witness[0]", '"vault" or "exec"'),
    ("a witness on no path", put("./witness", [{"kind": "exec", "name": "x", "command": ["/x"]}]),
     f"{P}.witness[0].path", "cut off from us"),
    ("rfc2136", put("./dns/provider", "rfc2136"), f"{P}.dns", "rfc2136 is not there yet"),
    ("no provider", drop("./dns/provider"), f"{P}.dns", '"route53" or "manual"'),
    ("a zone of the manual kind", put("./dns/provider", "manual"), f"{P}.dns.zone_id", "one of authoritative"),
    ("no zone", drop("./dns/zone_id"), f"{P}.dns.zone_id", "hosted zone"),
    ("a broken name", put("./dns/record", "vault"), f"{P}.dns.record", "vault.example.com"),
    ("a broken ttl", put("./dns/ttl", "1500ms"), f"{P}.dns.ttl", "whole seconds"),
    ("a broken resolver", put("./dns/resolvers", ["a:b:c"]), f"{P}.dns.resolvers[0]", "HOST:PORT"),
    ("a server whose name is none", put("./dns/authoritative", ["ns1..example.net"]),
     f"{P}.dns.authoritative[0]", "HOST:PORT"),
    ("an endpoint with a password", put("./dns/endpoint_url", "https://a:b@localhost"), f"{P}.dns.endpoint_url",
     "a user in the address"),
    ("a broken endpoint", put("./dns/endpoint_url", "localhost"), f"{P}.dns.endpoint_url", "like"),
    ("an anchor without port", put("self_check/anchors/0/address", "a"), "self_check.anchors[0].address", "HOST:PORT"),
    ("an anchor nowhere", put("self_check/anchors/0/place", "far"), "self_check.anchors[0].place", '"near:CLUSTER"'),
    ("a signal that is none", put("control/signals", ["KILL"]), "control.signals[0]", '"TERM"'),
    ("a port of text", put("listen/http", "localhost:http"), "listen.http", "HOST:PORT"),
    ("a group that is none", put("control/operators_group", "A B"), "control.operators_group", "the name of a group"),
]  # fmt: skip


def problems_of(raw: bytes) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refused:
        parse_config(raw)
    return refused.value.problems


@pytest.mark.parametrize(("change", "path", "way_out"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_a_mistake_is_named_with_its_place_and_the_way_out(change: Change, path: str, way_out: str) -> None:
    problems = [problem for problem in problems_of(good(change)) if problem.startswith(f"{path}: ")]
    assert len(problems) == 1
    assert way_out in problems[0]


def test_all_mistakes_are_named_at_once() -> None:
    mistakes = [put("./timing/interval", 3), put("./levels/heal", "yes"), put("sate", 1), drop("./home")]
    named = {problem.partition(":")[0] for problem in problems_of(good(*mistakes))}
    assert named == {f"{P}.timing.interval", f"{P}.levels.heal", "sate", f"{P}.home"}


def test_all_broken_rules_are_named_at_once_when_the_fields_are_clean() -> None:
    named = [
        problem.partition(":")[0]
        for problem in problems_of(
            good(put("./timing/gap_max", "30s"), put("./home", "north"), drop("./dns/targets/east"))
        )
    ]
    assert named == [f"{P}.home", f"{P}.dns.targets", f"{P}.timing.gap_max"]


def test_a_secret_written_into_the_file_is_not_repeated() -> None:
    secret = "hvs.CAESIJ"
    changes = [put("./credentials/vault_token", secret), put("./cluster/east/address", f"https://u:{secret}@a:1")]
    changes += [put("./credentials/key_shares", [{"file": secret}, {"credential": f"{secret}/"}])]
    assert not any(secret in problem for problem in problems_of(good(*changes)))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"state_dir = ", "not TOML: Invalid value (at "),
        (b"a = 1\nb 2", "at line 2, column 3"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a = " + b"[" * 5000, "not TOML"),
        (b"a = " + b"9" * 5000, "not TOML"),
        (b"a = 2026-13-45", "not TOML"),
        (b"#" * (FILE_BYTES_MAX + 1), "larger than 1 MiB"),
    ],
    ids=["cut", "no sign", "not UTF-8", "too deep", "too long a number", "no date", "too large"],
)
def test_what_is_not_toml_is_said_with_its_place(raw: bytes, said: str) -> None:
    (problem,) = problems_of(raw)
    assert said in problem


def test_an_empty_file_says_what_is_missing() -> None:
    assert problems_of(b"") == ("pair: missing: at least one [pair.NAME] table",)


def test_a_file_that_is_not_there_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "watchdogd.toml")


def test_a_folder_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="directory"):
        load_config(tmp_path)


def test_the_shipped_config_is_good_and_says_how_auto_acts_while_west_is_elected() -> None:
    settings = load_config(ROOT / "config" / "watchdogd.toml")
    policy = settings.policy.pairs[PROD]
    assert policy.levels.failover is Level.AUTO
    assert policy.failover_level(EAST) is Level.AUTO
    assert policy.failover_level(WEST) is Level.APPROVE


def test_the_shipped_schema_is_that_of_the_model() -> None:
    assert (ROOT / "config" / "watchdogd.schema.json").read_text(encoding="utf-8") == schema_text(), "run: make schema"


def test_settings_hold_what_the_file_says() -> None:
    changes = [
        put("environment", "production"),
        put("./dns/authoritative", ["ns1.example.com", "192.0.2.1:5353", "2001:db8::1"]),
        put("./credentials/key_shares", [{"credential": "share-1"}]),
        put("./cluster/east/ignore", ["https://10.1.0.13:8200"]),
        put("control/signals", ["TERM"]),
    ]
    settings = parse_config(good(*changes))
    pair = settings.pairs[PROD]
    assert settings.policy.environment is Environment.PRODUCTION
    assert settings.policy.pairs[PROD] is pair.policy
    assert settings.signals == {"TERM"}
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 9756)
    assert pair.credentials.every_ref == (
        FileRef(path="/etc/watchdogd/a"),
        FileRef(path="/etc/watchdogd/b"),
        CredentialRef(name="share-1"),
    )
    assert pair.policy.cluster(EAST).probed_nodes == ("https://10.1.0.11:8200", "https://10.1.0.12:8200")
    assert set(pair.fences) == {EAST}
    assert pair.fences[EAST].timeout_s == 10.0
    assert pair.tls[EAST].server_name == "vault-east.example.com"
    assert pair.name.authoritative == (
        Server(host="ns1.example.com"),
        Server(host="192.0.2.1", port=5353),
        Server(host="2001:db8::1"),
    )


def test_a_manual_name_has_no_provider_settings() -> None:
    settings = parse_config(good(put("./dns/provider", "manual"), drop("./dns/zone_id")))
    assert settings.pairs[PROD].name.route53 is None
    assert settings.policy.pairs[PROD].record == "vault.example.com"


def test_witnesses_of_both_kinds_are_read() -> None:
    tables = [
        {
            "kind": "vault", "name": "reporting", "path": "independent", "nodes": ["https://10.3.0.1:8200"],
            "vault_id": "6c1d7c3e-2f0a-4a55-8f5e-0a9d5f1b7c22", "replication": "performance",
        },
        {"kind": "exec", "name": "script", "path": "shared", "command": ["/x", "y"], "timeout": "1s"},
    ]  # fmt: skip
    pair = parse_config(good(put("./witness", tables))).pairs[PROD]
    assert [type(witness) for witness in pair.witnesses] == [VaultWitness, ExecWitness]
    assert [(w.name, w.is_independent) for w in pair.policy.witnesses] == [("reporting", True), ("script", False)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("800ms", 0.8),
        ("3s", 3.0),
        ("1m30s", 90.0),
        ("72h", 259200.0),
        ("1d1ms", 86400.001),
        ("1w", 604800.0),
        ("5m5ms", 300.005),
    ],
)
def test_a_duration_is_read_as_prometheus_writes_it(text: str, seconds: float) -> None:
    settings = parse_config(good(put("./timing/resume_max_age", text)))
    assert settings.policy.pairs[PROD].timing.resume_max_age_s == pytest.approx(seconds)


def test_no_cooldown_is_allowed() -> None:
    assert parse_config(good(put("./timing/cooldown", "0"))).policy.pairs[PROD].timing.cooldown_s == 0.0


def test_the_cold_start_follows_the_window_unless_it_is_set() -> None:
    longer = put("./timing/down_after", "80s")
    assert parse_config(good(longer)).policy.pairs[PROD].timing.cold_start_s == 80.0
    assert parse_config(good(longer, put("./timing/cold_start", "2m"))).policy.pairs[PROD].timing.cold_start_s == 120.0
