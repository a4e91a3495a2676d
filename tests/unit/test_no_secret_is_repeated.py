"""What somebody pasted at the wrong place is not repeated: not by the config, not by a reload, not by `watchdogctl`."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator

import pytest

from tests.support.configs import GOOD, good, put
from watchdogd.adapters.config import parse_config
from watchdogd.adapters.config_model import TimingTable
from watchdogd.adapters.secrets import SecretReader
from watchdogd.adapters.settings import CredentialRef, FileRef
from watchdogd.cli import ctl, main
from watchdogd.core.rules import notices
from watchdogd.daemon.protocol import Code, refuse
from watchdogd.daemon.reloading import differences
from watchdogd.errors import ConfigError, NeedsOperator
from watchdogd.secret import without_secrets

SECRETS = {
    "a service token": "hvs.CAESIJlWsKJ8m6W0bQ3-Zq_xMadeUpForThisTestOnly9f2k7",
    "a batch token": "hvb.AAAAAQJNZrNzl-4uVlUcN_ZswMadeUp",
    "an earlier token": "s.iyNUhq8Ov4hIAx6snw5mB2nL",
    "a secret id": "UUSb2kR9pQ4vXz7LmN0aTcYwE3",
    "a secret key of AWS": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "a key id of AWS": "AKIAIOSFODNN7EXAMPLE",
    "a key share": "9f0e1c2d3b4a59687786a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0aa",
    "a key share in base64": "nw4cLTtKWWh3hqW0w9Lh8A8eLTxLWml4h5altMPS4fCq",
    "a JWT": "eyJhbGciOiJFUzUxMiIsInR5cCI6IkpXVCJ9.eyJhY2Nlc3NvciI6IiJ9.MIGIAkIB",
}
PIECES = 10  # characters of a secret that nobody types by chance


def is_repeated(secret: str, text: str) -> bool:
    """Whether any piece of it, behind what says its kind, stands in the text."""
    body = secret.removeprefix("hvs.").removeprefix("hvb.")
    return any(body[at : at + PIECES] in text for at in range(len(body) - PIECES + 1))


def places(table: object, path: str = "") -> Iterator[str]:
    """The path of every value of the good config."""
    if isinstance(table, dict | list):
        for key, value in table.items() if isinstance(table, dict) else enumerate(table):
            yield from places(value, f"{path}/{key}".lstrip("/"))
    else:
        yield path


EVERY_PLACE = [*places(copy.deepcopy(GOOD)), *(f"./timing/{key}" for key in TimingTable.model_fields)]
EVERY_TABLE = sorted({place.rpartition("/")[0] for place in EVERY_PLACE if not place[-1].isdigit()})


def said_of(raw: bytes) -> list[str]:
    """What the loading of this config says: its problems, or its notices."""
    try:
        settings = parse_config(raw)
    except ConfigError as exc:
        return [*exc.problems]
    return [without_secrets(str(notice)) for notice in notices(settings.policy)]


def spellings(secret: str) -> tuple[object, ...]:
    return secret, f"https://{secret}", f"{secret}:8200", f"http://x/?token={secret}", [secret]


def test_a_token_at_any_place_of_a_config_is_not_repeated() -> None:
    secret = SECRETS["a service token"]
    for place in EVERY_PLACE:
        for value in spellings(secret):
            said = said_of(good(put(place, value)))
            assert [line for line in said if is_repeated(secret, line)] == [], place
    for table in EVERY_TABLE:
        said = said_of(good(put(f"{table}/{secret}", 1)))
        assert [line for line in said if is_repeated(secret, line)] == [], table


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_secret_of_any_kind_is_not_repeated(secret: str) -> None:
    for place in ("./timing/interval", "./cluster/east/nodes/0", "self_check/anchors/0/address", "./dns/endpoint_url"):
        for value in spellings(secret):
            said = said_of(good(put(place, value)))
            assert [line for line in said if is_repeated(secret, line)] == [], place
    as_key = secret.replace("/", "")
    assert [line for line in said_of(good(put(f"./timing/{as_key}", 1))) if is_repeated(as_key, line)] == []
    assert [line for line in said_of(f"{secret}\n".encode()) if is_repeated(secret, line)] == []


def test_the_key_and_what_is_right_are_named_all_the_same() -> None:
    (said,) = said_of(good(put("./timing/interval", SECRETS["a service token"])))
    assert said == 'pair.prod.timing.interval: "(redacted)" is not a duration: a text like "3s", "800ms" or "1m30s"'


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_reload_does_not_repeat_what_was_written_into_the_file(secret: str) -> None:
    command = {"fence": {"command": ["/usr/bin/curl", "-H", f"X-Vault-Token: {secret}"]}}
    (said,) = differences({}, command)
    assert said.startswith("fence.command: (not set) -> ['/usr/bin/curl', '-H', ")
    assert not is_repeated(secret, said)
    assert not is_repeated(secret, str(refuse(Code.NOT_FOUND, f"no pair {secret!r}: one of prod").body))


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_secret_where_its_file_is_to_be_named_is_not_repeated(secret: str) -> None:
    secret = secret.replace("/", "")  # which no name of a credential has
    for ref in (CredentialRef(name=secret), FileRef(path=f"/run/{secret}")):
        for reader in (SecretReader(None), SecretReader("/nonexistent")):
            with pytest.raises(NeedsOperator) as no:
                reader.read(ref)
            assert not is_repeated(secret, no.value.detail)


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_command_line_does_not_repeat_it(secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    for program, words in (
        (ctl.main, [secret]),
        (ctl.main, ["status", secret]),
        (ctl.main, ["pause", "--for", secret, "--reason", "x"]),
        (main.main, ["timing", "--promotion", secret]),
        (main.main, [secret]),
    ):
        with pytest.raises(SystemExit) as end:
            program(words)
        assert end.value.code == 2
    said = capsys.readouterr()
    assert not is_repeated(secret, said.out + said.err)
    assert len(re.findall(re.escape("(redacted)"), said.err)) == 5


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_nor_does_what_is_said_of_a_file_that_is_not_there(secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    secret = secret.replace("/", "")
    assert main.main(["check-config", secret]) == 2
    assert ctl.main(["--socket", secret, "status", "--state-dir", secret]) == 4
    said = capsys.readouterr()
    assert not is_repeated(secret, said.out + said.err)


@pytest.mark.parametrize(
    "text",
    [
        "pair.prod.levels.accept_two_primaries_on_partition: false -> true",
        "pair.prod.replication_id: eef2a5ab-51e2-1c05-407c-8b4dc8d09ebf -> d2fbb13b-0830-70a3-4751-57b6b6d95d01",
        "pair.prod.dns.zone_id: Z0123456789ABCDEFGHIJ -> Z9876543210JIHGFEDCBA",
        "/etc/watchdogd/credentials/prod/Dr-Token-A.2026 cannot be read (No such file or directory)",
        '"https://vault-east.eu-central-1.internal.example.com:8200/v1" has a path: https://HOST:PORT',
        "internal-prod-vault-1234567890.eu-central-1.elb.amazonaws.com",
        "credential dr-operation-token-a $CREDENTIALS_DIRECTORY is not set: LoadCredential= in the unit",
        "no run prod-31-settle-debt: `watchdogctl history` names them",
    ],
)
def test_names_addresses_ids_and_paths_stay(text: str) -> None:
    assert without_secrets(text) == text
