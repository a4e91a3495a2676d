"""What a real OpenBao and the lab are both asked of response wrapping."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.asking_both import Ask

MINUTE = {"X-Vault-Wrap-TTL": "60s"}
JWT = {**MINUTE, "X-Vault-Wrap-Format": "jwt"}
TOKEN = ("wrap_info", "token")
UNWRAP, LOOKUP, WRAP, REWRAP = (f"/v1/sys/wrapping/{verb}" for verb in ("unwrap", "lookup", "wrap", "rewrap"))


def wrapping(name: str, path: str, method: str = "POST", body: object = None, *, keep: str = "", **more: object) -> Ask:
    """A request whose answer is wrapped; its token is kept as `$keep`."""
    kept: Mapping[str, object] = {"keep": {keep: TOKEN}} if keep else {}
    return Ask(name=name, path=path, method=method, body=body, **{"headers": MINUTE, **kept, **more})  # type: ignore[arg-type]


def put(name: str, path: str, token: str = "$root", body: object = None) -> Ask:  # noqa: S107  no secret
    return Ask(name=name, path=path, method="PUT", body=body, token=token)


WRAPPING = (
    wrapping("wrap", WRAP, body={"a": "b", "n": 1}, keep="w1"),
    put("lookup wrapped", LOOKUP, token="", body={"token": "$w1"}),
    put("lookup wrapped in header", LOOKUP, token="$w1"),
    Ask(name="lookup wrapped by GET", path=LOOKUP, token="$w1"),
    put("lookup without a token", LOOKUP, token="", body={}),
    put("lookup no wrapping token", LOOKUP, body={"token": "$root"}),
    put("unwrap in body without a token", UNWRAP, token="", body={"token": "$w1"}),
    put("unwrap in header", UNWRAP, token="$w1"),
    put("unwrap again", UNWRAP, token="$w1"),
    put("lookup unwrapped", LOOKUP, body={"token": "$w1"}),
    wrapping("wrap to unwrap in body", WRAP, body={}, keep="w2"),
    put("unwrap in body", UNWRAP, body={"token": "$w2"}),
    put("unwrap in body again", UNWRAP, body={"token": "$w2"}),
    put("unwrap nothing", UNWRAP, body={}),
    put("unwrap no wrapping token", UNWRAP, body={"token": "$root"}),
    put("unwrap an empty token", UNWRAP, body={"token": ""}),
    put("unwrap a number", UNWRAP, body={"token": 5}),
    Ask(name="wrap unwrapped", path=WRAP, method="POST", body={"a": 1}),
    Ask(name="wrap for no time", path=WRAP, method="POST", body={"a": 1}, headers={"X-Vault-Wrap-TTL": "0"}),
    wrapping("wrap for five minutes", WRAP, body={}, headers={"X-Vault-Wrap-TTL": "300"}, keep="w3"),
    put("lookup five minutes", LOOKUP, body={"token": "$w3"}),
    wrapping("wrap for hours", WRAP, body={}, headers={"X-Vault-Wrap-TTL": "1h30m"}),
    wrapping("wrap for no duration", WRAP, body={}, headers={"X-Vault-Wrap-TTL": "x"}),
    wrapping("wrap for less than nothing", WRAP, body={}, headers={"X-Vault-Wrap-TTL": "-5"}),
    wrapping("wrap without a token", WRAP, body={}, token=""),
    Ask(name="wrap read", path=WRAP, method="GET", headers=MINUTE),
    wrapping("rewrap first", WRAP, body={"a": "b"}, keep="w4"),
    put("rewrap", REWRAP, body={"token": "$w4"}),
    put("lookup rewrapped", LOOKUP, body={"token": "$w4"}),
    put("rewrap again", REWRAP, body={"token": "$w4"}),
    put("rewrap nothing", REWRAP, body={}),
    wrapping("wrap to misuse", WRAP, body={}, keep="w5"),
    put("rewrap by itself", REWRAP, token="$w5"),
    put("unwrap misused", UNWRAP, body={"token": "$w5"}),
    wrapping("wrapped token", "/v1/auth/token/create", body={"policies": ["default"], "ttl": "1h"}, keep="w6"),
    put("unwrap token", UNWRAP, token="$w6"),
    wrapping("wrapped token as JWT", "/v1/auth/token/create", body={"ttl": "1h"}, headers=JWT, keep="w7"),
    put("lookup JWT", LOOKUP, token="", body={"token": "$w7"}),
    put("lookup changed JWT", LOOKUP, token="", body={"token": "${w7}AAAA"}),
    put("unwrap changed JWT", UNWRAP, token="${w7}AAAA"),
    put("unwrap changed JWT in body", UNWRAP, body={"token": "${w7}AAAA"}),
    put("rewrap changed JWT", REWRAP, body={"token": "${w7}AAAA"}),
    put("unwrap JWT", UNWRAP, token="$w7"),
    Ask(name="wrapping key", path="/v1/sys/wrapping/pubkey", token=""),
    wrapping("wrapped token as JWT again", "/v1/auth/token/create", body={"ttl": "1h"}, headers=JWT, keep="w8"),
    put("unwrap JWT in body", UNWRAP, body={"token": "$w8"}),
    wrapping("rewrap a token first", "/v1/auth/token/create", body={"ttl": "1h"}, keep="w9"),
    put("rewrap a token", REWRAP, body={"token": "$w9"}),
    wrapping("wrapped secret", "/v1/two/data/rights", "PUT", {"data": {"a": 1}}, keep="w10"),
    put("unwrap secret", UNWRAP, token="$w10"),
    wrapping("wrapped list", "/v1/one", "LIST", keep="w11"),
    wrapping("wrapped twice", UNWRAP, token="$w11", keep="w12"),
    wrapping("wrapped system", "/v1/sys/mounts/two", "GET", keep="w13"),
    put("unwrap system", UNWRAP, token="$w13"),
    wrapping("wrapped without an envelope", "/v1/sys/init", "GET", token=""),
    wrapping("wrapped without a body", "/v1/one/rights", "PUT", {"a": "b"}),
    wrapping("wrapped nothing there", "/v1/one/nope", "GET"),
    wrapping("wrapped refusal", "/v1/sys/mounts/two", body={"type": "kv"}),
    wrapping("wrapped no rights", "/v1/sys/mounts", "GET", token="$few"),
)
