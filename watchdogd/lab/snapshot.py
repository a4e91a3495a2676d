"""Raft snapshots: a gzipped tar as Vault makes it, with an inside of this world's own.

Source: APIRAFT (an archive without a `SHA256SUMS.sealed` is incomplete), a real OpenBao's archive. `state.bin` holds
the store as JSON; the sums are sealed by the keyring, so a snapshot of a cluster with other keys is told apart.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import io
import json
import tarfile
import zlib
from collections.abc import Mapping, Sequence

from watchdogd.lab.store import Store, Value
from watchdogd.lab.tokens import first_key

META, STATE, SUMS, SEALED = "meta.json", "state.bin", "SHA256SUMS", "SHA256SUMS.sealed"
_SMALLEST = 10  # bytes of a gzip header
_NOT_OURS = (
    "could not verify hash file, possibly the snapshot is using a different set of unseal keys; "
    "use the snapshot-force API to bypass this check"
)


class NoSnapshot(ValueError):
    """Raised for bytes that are no complete archive, in Vault's words."""


class SealedByOthers(ValueError):
    """Raised for an archive whose sums another keyring sealed."""


def plain(value: Value) -> object:
    """A stored value as it comes out of an archive."""
    return json.loads(json.dumps(value))


def pack(store: Store, *, servers: Sequence[Mapping[str, object]], index: int, term: int, at_s: int) -> bytes:
    """The archive of everything in a store."""
    state = _state(store)
    meta = {
        "Version": 1,
        "ID": "bolt-snapshot",
        "Index": index,
        "Term": term,
        "Peers": None,
        "Configuration": {"Servers": list(servers)},
        "ConfigurationIndex": 1,
        "Size": len(state),
    }
    parts = {META: json.dumps(meta, separators=(",", ":")).encode() + b"\n", STATE: state}
    sums = "".join(f"{hashlib.sha256(raw).hexdigest()}  {name}\n" for name, raw in parts.items()).encode()
    parts |= {SUMS: sums, SEALED: _sealed(store, sums)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, raw in parts.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(raw), 0o600, at_s
            tar.addfile(info, io.BytesIO(raw))
    return gzip.compress(buffer.getvalue(), mtime=at_s)


def unpack(archive: bytes, store: Store, *, force: bool) -> dict[str, Value]:
    """What an archive holds, by key. Raises NoSnapshot, and SealedByOthers unless `force`."""
    parts = _parts(archive)
    for name in (META, STATE, SUMS):
        if name not in parts:
            raise NoSnapshot(f"failed to read snapshot file: {name} is missing")
    if not parts.get(SEALED):
        raise NoSnapshot("incomplete snapshot, unable to read SHA256SUMS.sealed file")
    lines = [line.partition("  ") for line in parts[SUMS].decode(errors="replace").splitlines()]
    wanted = {name: digest for digest, _, name in lines}
    for name in (META, STATE):
        if wanted.get(name) != hashlib.sha256(parts[name]).hexdigest():
            raise NoSnapshot(f'failed checking integrity of snapshot: hash check failed for "{name}"')
    if not force and not hmac.compare_digest(parts[SEALED], _sealed(store, parts[SUMS])):
        raise SealedByOthers(_NOT_OURS)
    try:
        entries = json.loads(parts[STATE])
    except ValueError as exc:
        raise NoSnapshot("failed to restore snapshot: state.bin is of no such world") from exc
    if not isinstance(entries, dict):
        raise NoSnapshot("failed to restore snapshot: state.bin is of no such world")
    return entries


def _parts(archive: bytes) -> dict[str, bytes]:
    if len(archive) < _SMALLEST:
        raise NoSnapshot(f"failed to decompress snapshot: {'unexpected EOF' if archive else 'EOF'}")
    try:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as tar:
            files = [(info.name, tar.extractfile(info)) for info in tar.getmembers()]
            return {name: file.read() for name, file in files if file is not None}
    except (gzip.BadGzipFile, zlib.error) as exc:
        raise NoSnapshot("failed to decompress snapshot: gzip: invalid header") from exc
    except (EOFError, tarfile.TarError) as exc:
        raise NoSnapshot("failed to decompress snapshot: unexpected EOF") from exc


def _state(store: Store) -> bytes:
    entries = {key: entry.value for key in store.keys("") if (entry := store.get(key)) is not None}
    return json.dumps(entries, separators=(",", ":")).encode()


def _sealed(store: Store, sums: bytes) -> bytes:
    return hmac.new(first_key(store).encode(), sums, hashlib.sha512).digest()
