"""Whatever arrives, an answer in Vault's shape goes back, and a fault of the lab's own is told."""

import base64
import json

import pytest

from tests.unit.lab.asking import ATTEMPT, UPDATE, Asker, asker
from watchdogd.lab.call import Call
from watchdogd.lab.reply import Reply
from watchdogd.lab.route import Route
from watchdogd.lab.wire import Exchange, Outcome, Wire


def raw(a: Asker, path: str, method: str = "GET", body: bytes = b"", headers: dict[str, str] | None = None) -> Exchange:
    wire = Wire(place="bastion", target="east/1", method=method, path_and_query=path, headers=headers or {}, body=body)
    exchange = a.world.exchange(wire, now_s=a.world.now_s)
    assert a.world.crashed == []
    return exchange


def test_a_handler_that_fails_is_an_answer_and_a_line_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Call) -> Reply:
        raise KeyError("nobody thought of this")

    monkeypatch.setattr("watchdogd.lab.routes.routes_of", lambda _: ((Route("GET", "x", fails, "none"), ()),))
    a = asker()
    wire = Wire(place="bastion", target="east/1", method="GET", path_and_query="/v1/x")
    exchange = a.world.exchange(wire, now_s=a.world.now_s)
    assert (exchange.status, json.loads(exchange.body)) == (500, {"errors": ["internal error"]})
    [crash] = a.world.crashed
    assert (crash.target, crash.method, crash.path) == ("east/1", "GET", "x")
    assert "KeyError" in crash.what
    assert "fails" in crash.what
    assert any("crashed at GET x" in line for line in a.world.transcript)


@pytest.mark.parametrize("code", ["99999", "-1", "0", "99", "1000"])
def test_a_health_code_that_http_has_not_ends_the_connection(code: str) -> None:
    assert raw(asker(), f"/v1/sys/health?activecode={code}").outcome is Outcome.RESET


@pytest.mark.parametrize(("code", "status"), [("100", 100), ("999", 999), ("%2B299", 299), ("1_0", 400), ("+299", 400)])
def test_a_health_code_is_read_as_go_reads_it(code: str, status: int) -> None:
    assert raw(asker(), f"/v1/sys/health?activecode={code}").status == status


def test_a_code_that_is_not_used_may_be_anything() -> None:
    assert raw(asker(), "/v1/sys/health?standbycode=99999").status == 200


def test_a_one_time_pad_is_measured_in_bytes() -> None:
    a = asker()
    assert a.post("west/1", ATTEMPT, {"otp": "é" * 28}).errors == ["OTP string is wrong length"]
    nonce = a.post("west/1", ATTEMPT, {"otp": "é" * 14}).json["nonce"]
    said = [a.post("west/1", UPDATE, {"key": share, "nonce": nonce}) for share in a.shares[:3]]
    assert said[-1].json["complete"] is True


def test_an_activation_token_without_an_address_cannot_be_unwrapped() -> None:
    a = asker()
    a.demote("east")
    a.wait(5)
    payload = base64.urlsafe_b64encode(json.dumps({"addr": 5}).encode()).decode().rstrip("=")
    said = a.update_primary("west", f"{payload}.{payload}.x")
    assert said.status == 500
    assert said.errors[0].startswith("error unwrapping secondary token")


@pytest.mark.parametrize(
    "body",
    [
        b"[1]",
        b'"x"',
        b"5",
        b'{"a": NaN}',
        b"{bad",
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'\xff\xfe{"a":1}',
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    a = asker()
    exchange = raw(a, "/v1/auth/token/create", "PUT", body, {"X-Vault-Token": a.has["root_token"]})
    assert exchange.status == 400
    assert json.loads(exchange.body)["errors"][0].startswith("failed to parse JSON input: ")


def test_null_is_a_body_with_nothing_in_it() -> None:
    a = asker()
    exchange = raw(a, "/v1/auth/token/create", "PUT", b"null", {"X-Vault-Token": a.has["root_token"]})
    assert exchange.status == 200


def test_characters_that_are_none_are_replaced_as_go_does_it() -> None:
    a = asker()
    exchange = raw(
        a, "/v1/kv/x", "PUT", b'{"a\\ud800": "b\\udc00", "c": "\xff"}', {"X-Vault-Token": a.has["root_token"]}
    )
    assert exchange.status == 204
    assert a.ask("east/1", "kv/x", token=a.has["root_token"]).data == {"a�": "b�", "c": "�"}


def test_a_form_is_read_as_curl_sends_it() -> None:
    a = asker()
    headers = {"X-Vault-Token": a.has["root_token"], "Content-Type": "application/x-www-form-urlencoded"}
    said = json.loads(raw(a, "/v1/auth/token/create", "POST", b"ttl=1h30m&policies=default", headers).body)
    assert (said["auth"]["lease_duration"], said["auth"]["policies"]) == (5400, ["default"])
    said = json.loads(raw(a, "/v1/auth/token/create", "POST", b' {"ttl": "2h"}', headers).body)
    assert said["auth"]["lease_duration"] == 7200


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/v1/a%00b", "GET", 400),
        ("/v1/sys/health%ff", "GET", 403),
        ("/v1//[", "GET", 403),
        ("//[::", "GET", 404),
        ("/v1/auth/token/create", "FOO", 405),
        ("/v1/sys/health", "OPTIONS", 405),
        ("https://vault.example/v1/sys/health", "GET", 200),
    ],
)
def test_strange_targets_and_verbs_are_answered(path: str, method: str, status: int) -> None:
    assert raw(asker(), path, method).status == status
