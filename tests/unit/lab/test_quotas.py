"""Rate limits that somebody configures: counted by node and client, told in headers, never asked of what is exempt."""

from __future__ import annotations

from tests.unit.lab.asking import DR_STATUS, Asker, asker
from watchdogd.lab.faults import FaultKind

QUOTA, CONFIG = "sys/quotas/rate-limit/all", "sys/quotas/config"
SECONDARY = "sys/replication/dr/secondary"
TOO_MANY = 'request path "sys/leader": rate limit quota exceeded'


def limited(*, headers: bool = False, **rule: object) -> Asker:
    a = asker()
    root = a.has["root_token"]
    if headers:
        assert a.post("east/1", CONFIG, {"enable_rate_limit_response_headers": True}, token=root).status == 204
    assert a.post("east/1", QUOTA, {"rate": 2, "interval": 10, **rule}, token=root).status == 204
    return a


def statuses(a: Asker, path: str, times: int = 3, *, target: str = "east/1", place: str = "bastion") -> list[int]:
    return [a.ask(target, path, place=place).status for _ in range(times)]


def test_a_client_that_asks_too_often_is_told_so_until_the_window_is_over() -> None:
    a = limited()
    assert statuses(a, "sys/leader") == [200, 200, 429]
    assert a.ask("east/1", "sys/leader").errors == [TOO_MANY]
    a.wait(10)
    assert statuses(a, "sys/leader") == [200, 200, 429]


def test_each_node_counts_for_itself_and_each_client_apart() -> None:
    a = limited()
    assert statuses(a, "sys/leader") == [200, 200, 429]
    assert statuses(a, "sys/leader", target="east/2") == [200, 200, 429]
    assert statuses(a, "sys/leader", place="clients") == [200, 200, 429]


def test_health_seal_status_and_what_else_is_exempt_are_never_limited() -> None:
    # QUOTA: sys/leader is not in the list, sys/health is.
    a = limited()
    assert statuses(a, "sys/health", 4) == statuses(a, "sys/seal-status", 4) == [200] * 4
    assert statuses(a, "sys/leader") == [200, 200, 429]


def test_what_the_configuration_exempts_is_exempt_in_place_of_the_default() -> None:
    a = asker()
    root = a.has["root_token"]
    assert a.post("east/1", CONFIG, {"rate_limit_exempt_paths": ["sys/leader", CONFIG]}, token=root).status == 204
    assert a.post("east/1", QUOTA, {"rate": 1, "interval": "1m"}, token=root).status == 204
    assert statuses(a, "sys/leader") == [200] * 3
    assert statuses(a, "sys/health") == [200, 429, 429]


def test_a_client_that_was_too_fast_is_blocked_for_longer_than_its_window() -> None:
    a = limited(block_interval="60s")
    assert statuses(a, "sys/leader") == [200, 200, 429]
    a.wait(30)
    assert statuses(a, "sys/leader", 1) == [429]
    a.wait(31)
    assert statuses(a, "sys/leader", 1) == [200]


def test_the_rule_of_the_longest_path_counts_alone() -> None:
    a = limited()
    a.wait(11)
    root = a.has["root_token"]
    mounted = {"rate": 1, "interval": 10, "path": "secret/"}
    assert a.post("east/1", "sys/quotas/rate-limit/one", mounted, token=root).status == 204
    assert [a.ask("east/1", "secret/data/x").status for _ in range(3)] == [403, 429, 429]
    assert statuses(a, "sys/leader", 1) == [200]


def test_the_headers_say_what_is_left_and_when_to_come_again() -> None:
    a = limited(headers=True)
    told = [a.ask("east/1", "sys/leader").exchange.headers for _ in range(3)]
    assert [h["X-Ratelimit-Remaining"] for h in told] == ["1", "0", "0"]
    assert [h.get("Retry-After") for h in told] == [None, None, "10"]
    assert {h["X-Ratelimit-Limit"] for h in told} == {"2"}


def test_quotas_come_by_replication_and_count_from_the_promotion_on() -> None:
    a = limited()
    a.wait(1)
    assert statuses(a, DR_STATUS, target="west/1") == [200] * 3
    a.fail_over("east", "west")
    assert statuses(a, DR_STATUS, target="west/1") == [200, 200, 429]


def test_a_sealed_node_limits_nobody() -> None:
    a = limited()
    a.fault(FaultKind.SEAL, "node:east/2")
    a.wait(1)
    assert statuses(a, "sys/leader", target="east/2") == [503] * 3


def test_no_number_that_is_none_gets_in() -> None:
    a = asker()
    for rate in ("nan", "inf", "-inf", "0", -1):
        said = a.post("east/1", QUOTA, {"rate": rate}, token=a.has["root_token"])
        assert (said.status, said.errors) == (400, ["'rate' is invalid"])


# ----------------------------------------------------------------------------------------- licences and namespaces


def test_a_dr_secondary_tells_its_licence_to_everybody_and_reloads_it_by_an_operation_token() -> None:
    a = asker()
    ends = a.ask("west/1", "sys/health").json["license"]["expiry_time"]
    assert a.ask("west/1", f"{SECONDARY}/license/status").data["autoloaded"]["expiration_time"] == ends
    path, root = f"{SECONDARY}/config/reload/license", a.has["root_token"]
    policy = f'path "{SECONDARY}/*" {{ capabilities = ["update"] }}'
    assert a.post("east/1", "sys/policies/acl/reload", {"policy": policy}, token=root).status == 204
    wanted = {"type": "batch", "no_parent": True, "policies": ["reload"], "ttl": "1h"}
    token = a.post("east/1", "auth/token/create", wanted, token=root).json["auth"]["client_token"]
    a.wait(1)
    for each in (path, f"{SECONDARY}/sys/config/reload/license"):
        assert a.post("west/1", each, {}).status == 400
        assert a.post("west/1", each, {"dr_operation_token": a.has["dr_token_a"]}).status == 403
        assert a.post("west/1", each, {"dr_operation_token": token}).status == 204


def test_the_licence_of_a_dr_secondary_is_not_asked_of_a_primary() -> None:
    a = asker(not_dr_secondary_text="Not a DR secondary.")
    assert a.ask("east/1", f"{SECONDARY}/license/status").errors == ["Not a DR secondary."]
    assert a.post("east/1", "sys/config/reload/license", token=a.has["root_token"]).status == 204
    assert a.post("east/1", "sys/config/reload/nothing", token=a.has["root_token"]).status == 404


def test_a_request_in_a_namespace_that_is_not_there_is_answered_by_no_other() -> None:
    a = asker(namespace_missing_text="no such namespace")
    root, headers = a.has["root_token"], {"X-Vault-Namespace": "ns1/"}
    said = a.ask("east/1", "sys/mounts", token=root, headers=headers)
    assert (said.status, said.errors) == (404, ["no such namespace"])
    assert a.ask("east/2", "secret/data/x", token=root, headers=headers).status == 404
    assert (
        a.ask("west/1", "sys/replication/dr/secondary/generate-operation-token/attempt", headers=headers).status == 400
    )
    assert a.ask("east/1", "sys/leader", headers=headers).status == 200
    for name in ("root", "root/", "/", ""):
        assert a.ask("east/1", "sys/mounts", token=root, headers={"X-Vault-Namespace": name}).status == 200
