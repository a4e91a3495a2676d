"""Secrets, read at every use: what rotates on disk is new at the next use, and nothing is kept in memory."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from typing import NoReturn, assert_never

from watchdogd.adapters.settings import CredentialRef, FileRef, SecretRef
from watchdogd.errors import Need, NeedsOperator
from watchdogd.secret import Secret, without_secrets

SECRET_BYTES_MAX = 64 << 10
READ_S_MAX = 5.0  # a disk that stalls for a moment takes no credential from a run; below stall_after
THREADS = 8  # directories that may hang at once
NO_ANSWER = "its file system does not answer"
OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"  # Source: systemd.exec(5), LoadCredential=


class SecretReader:
    """Reads references of the config.

    Blocking, and bounded: a directory on a mount that hangs costs READ_S_MAX once, and until it answers nothing more.
    """

    def __init__(self, credentials_dir: str | None) -> None:
        self._credentials_dir = credentials_dir
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="secret")
        self._hanging: set[str] = set()  # directories

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> SecretReader:
        """The reader of this process, told by systemd where its credentials are."""
        return cls(environment.get(CREDENTIALS_VARIABLE))

    def close(self) -> None:
        """Nothing is read any more. Waits for no thread: one may hang for ever."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def read(self, ref: SecretRef) -> Secret:
        """The secret without the line end of its file.

        Raises: NeedsOperator(CREDENTIAL), whose detail names the file and the way out and never what is in it.
        """
        match ref:
            case FileRef(path=path):
                return Secret(self._in_time(path))
            case CredentialRef(name=name):
                if self._credentials_dir is None:
                    _refuse(f"credential {name}", f"${CREDENTIALS_VARIABLE} is not set: LoadCredential= in the unit")
                return Secret(self._in_time(os.path.join(self._credentials_dir, name)))
            case _:
                assert_never(ref)

    def _in_time(self, path: str) -> str:
        """What is in the file. What hangs is left in its thread, and what it reads then is not kept."""
        directory = os.path.dirname(path)
        if directory in self._hanging:
            _refuse(path, f"cannot be read: {NO_ANSWER}")
        reading = self._threads.submit(_text, path)
        if wait({reading}, timeout=READ_S_MAX).not_done:
            self._hanging.add(directory)
            reading.add_done_callback(lambda _: self._hanging.discard(directory))
            _refuse(path, f"could not be read within {READ_S_MAX:g} s: {NO_ANSWER}")
        return reading.result()

    def problem_with(self, ref: SecretRef) -> str:
        """Why `ref` cannot be used now; empty when it can."""
        try:
            self.read(ref)
        except NeedsOperator as no:
            return no.detail
        return ""


def _text(path: str) -> str:
    raw = _bytes(path)
    try:
        text = raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        _refuse(path, "is not UTF-8: write the bare secret into it")
    if not text or len(raw) > SECRET_BYTES_MAX or any(character.isspace() for character in text):
        _refuse(path, "does not hold one secret: exactly one line, without spaces, is needed")
    return text


def _bytes(path: str) -> bytes:
    """What is in the file. The mode is asked of what was opened, and a pipe is neither waited for nor read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as exc:
        _refuse(path, f"cannot be read ({getattr(exc, 'strerror', None) or exc}): give it to the user of the daemon")
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            _refuse(path, "is not a regular file")
        if found.st_mode & OTHERS_MAY:
            _refuse(path, f"is open to group or world ({stat.S_IMODE(found.st_mode):04o}): chmod 0400 {path}")
        with os.fdopen(descriptor, "rb", closefd=False) as source:
            return source.read(SECRET_BYTES_MAX + 1)
    except OSError as exc:
        _refuse(path, f"cannot be read ({exc.strerror})")
    finally:
        os.close(descriptor)


def _refuse(what: str, why: str) -> NoReturn:
    raise NeedsOperator(Need.CREDENTIAL, without_secrets(f"{what} {why}"))  # the secret may stand where its name should
