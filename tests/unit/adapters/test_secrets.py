"""Secrets are read at every use, from files that nobody else may open, and never shown."""

from __future__ import annotations

import copy
import os
import pickle
import threading
from pathlib import Path

import pytest

from watchdogd.adapters import secrets
from watchdogd.adapters.secrets import SecretReader
from watchdogd.adapters.settings import CredentialRef, FileRef
from watchdogd.errors import Need, NeedsOperator
from watchdogd.secret import Secret

VALUE = "hvb.AAAAAQ-made-up"
READER = SecretReader(None)


def written(path: Path, text: str = VALUE + "\n", mode: int = 0o400) -> FileRef:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return FileRef(path=str(path))


def refused(ref: FileRef | CredentialRef, reader: SecretReader = READER) -> str:
    with pytest.raises(NeedsOperator) as no:
        reader.read(ref)
    assert no.value.need is Need.CREDENTIAL
    assert VALUE not in str(no.value)
    return no.value.detail


def test_a_secret_is_the_line_in_its_file(tmp_path: Path) -> None:
    assert READER.read(written(tmp_path / "token")).reveal() == VALUE


def test_what_was_rotated_is_new_at_the_next_use(tmp_path: Path) -> None:
    ref = written(tmp_path / "token", mode=0o600)
    assert READER.read(ref).reveal() == VALUE
    written(tmp_path / "token", "the-next-one\n", mode=0o600)
    assert READER.read(ref).reveal() == "the-next-one"


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o420, 0o402, 0o410, 0o644])
def test_a_file_open_to_group_or_world_is_refused(tmp_path: Path, mode: int) -> None:
    assert "chmod 0400" in refused(written(tmp_path / "token", mode=mode))


@pytest.mark.parametrize("text", ["", "\n", "two\nlines\n", "with space", VALUE * 4000])
def test_a_file_that_does_not_hold_one_secret_is_refused(tmp_path: Path, text: str) -> None:
    assert "exactly one line" in refused(written(tmp_path / "token", text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "No such file" in refused(FileRef(path=str(tmp_path / "token")))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "token", 0o400)
    assert "not a regular file" in refused(FileRef(path=str(tmp_path / "token")))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    (tmp_path / "token").chmod(0o400)
    assert "not UTF-8" in refused(FileRef(path=str(tmp_path / "token")))


def test_a_credential_is_looked_for_where_systemd_put_it(tmp_path: Path) -> None:
    written(tmp_path / "share-1")
    reader = SecretReader.of_environment({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert reader.read(CredentialRef(name="share-1")).reveal() == VALUE


def test_a_credential_without_systemd_says_what_is_missing() -> None:
    assert "LoadCredential=" in refused(CredentialRef(name="share-1"), SecretReader.of_environment({}))


def test_a_secret_never_prints() -> None:
    secret = Secret(VALUE)
    assert not any(VALUE in text for text in (repr(secret), str(secret), f"{secret}", f"{secret:>40}", f"{[secret]}"))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_secret_cannot_be_copied_out_by_accident(copied: object) -> None:
    assert callable(copied)
    with pytest.raises(TypeError):
        copied(Secret(VALUE))


def test_a_secret_cannot_be_changed_or_become_a_key() -> None:
    secret = Secret(VALUE)
    with pytest.raises(AttributeError):
        secret._value = "another"  # type: ignore[misc]
    with pytest.raises(TypeError):
        {secret: 1}  # type: ignore[dict-item]  # noqa: B018  # the attempt is the test
    assert secret == Secret(VALUE)
    assert secret != Secret("another")


def test_a_file_system_that_hangs_is_waited_for_once_and_its_secrets_are_there_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_back, asked, text = threading.Event(), list[str](), secrets._text

    def hanging(path: str) -> str:
        asked.append(path)
        return text(path) if is_back.wait(60) else ""

    monkeypatch.setattr(secrets, "_text", hanging)
    monkeypatch.setattr(secrets, "READ_S_MAX", 0.01)
    reader = SecretReader(None)
    first, second = written(tmp_path / "a"), written(tmp_path / "b")
    assert refused(first, reader).endswith("could not be read within 0.01 s: its file system does not answer")
    assert [refused(ref, reader) for ref in (first, second)] == [
        f"{ref.path} cannot be read: its file system does not answer" for ref in (first, second)
    ]
    assert asked == [first.path]
    is_back.set()
    reader._threads.shutdown(wait=True)  # what hung has ended, and its end was told
    assert reader._hanging == set()
