"""KV version 2 below its mount: data, metadata, delete, undelete, destroy, config, subkeys.

Sources: OBS obs3, and a real OpenBao asked the same; what OpenBao added to it (`metadata_cas_required`) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from watchdogd.lab.call import Call, duration_s, rfc3339
from watchdogd.lab.fields import (
    boolean,
    go_duration,
    listed,
    not_converted,
    object_of,
    query_number,
    unsupported_operation,
    whole,
)
from watchdogd.lab.kv import Config, Secret, Version, merged, names_only
from watchdogd.lab.mounts import Mount
from watchdogd.lab.reply import Rejected, Reply, empty, envelope, errors

DATA, CONFIGS = "logical/", "kv/config/"
_PATCH_TYPE = "application/merge-patch+json"
_CUSTOM_MOST = 64
_CLI_WORDS = {"GET": "get", "LIST": "list", "DELETE": "delete", "PATCH": "patch"}


def version_2(call: Call, mount: Mount, rest: str) -> Reply:
    """Whatever is below a mount of version 2."""
    part, _, name = rest.partition("/")
    verbs = _PARTS.get(part)
    if verbs is None or (part == "config" and (name or call.request.method == "LIST")):
        return _no_such_path(call)
    if not name and part != "config" and call.request.method != "LIST":
        text = "Non-listing operations on the root of a K/V v2 mount are not supported."
        return _not_found(call, warnings=[text])
    handler = verbs.get(call.request.method)
    return unsupported_operation() if handler is None else handler(call, mount, name)


def _not_found(call: Call, *, data: object = None, warnings: list[str]) -> Reply:
    return envelope(call.cluster.chance.uuid(), data=data, warnings=warnings, status=404)


def _no_such_path(call: Call) -> Reply:
    word = _CLI_WORDS.get(call.request.method, "put")
    text = (
        "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. "
        f"If using the Vault CLI, use 'vault kv {word}' for this operation."
    )
    return _not_found(call, warnings=[text])


def _config(call: Call, mount: Mount) -> Config:
    entry = call.store.get(CONFIGS + mount.path)
    return Config() if entry is None else Config.of(entry.value)


def _read_config(call: Call, mount: Mount, _: str) -> Reply:
    config = _config(call, mount)
    return call.logical(
        {
            "cas_required": config.cas_required,
            "delete_version_after": go_duration(config.delete_after_s),
            "max_versions": config.max_versions,
        }
    )


def _write_config(call: Call, mount: Mount, _: str) -> Reply:
    known = _config(call, mount)
    config = Config(
        max_versions=whole(call, "max_versions", known.max_versions),
        cas_required=boolean(call, "cas_required", default=known.cas_required),
        delete_after_s=_delete_after_s(call, known.delete_after_s),
    )
    call.write(CONFIGS + mount.path, config.fields())
    return empty()


def _delete_after_s(call: Call, known_s: float) -> float:
    value = call.body().get("delete_version_after")
    return known_s if value is None else duration_s(str(value))


def _secret(call: Call, mount: Mount, name: str) -> Secret | None:
    entry = call.store.get(DATA + mount.path + name)
    return None if entry is None else Secret.of(entry.value)


def _keep(call: Call, mount: Mount, name: str, secret: Secret) -> None:
    call.write(DATA + mount.path + name, secret.fields())


def _write_data(call: Call, mount: Mount, name: str) -> Reply:
    body = call.body()
    if "data" not in body:
        return errors(400, "no data provided")
    data = object_of(body, "data")
    secret = _secret(call, mount, name) or Secret(created_utc_s=call.utc_s, updated_utc_s=call.utc_s)
    config = _config(call, mount)
    _check_and_set(body, secret, is_required=secret.cas_required or config.cas_required)
    made = secret.add(data, config, call.utc_s)
    _keep(call, mount, name, secret)
    return call.logical(_described(made, secret.current, secret))


def _patch_data(call: Call, mount: Mount, name: str) -> Reply:
    body = _patch(call)
    secret = _secret(call, mount, name)
    known = None if secret is None else secret.shown(0)
    if secret is None or known is None:
        return empty(404)
    if known.is_gone(call.utc_s):
        return _not_found(call, data=_described(known, secret.current, secret), warnings=[])
    if "data" not in body:
        return errors(400, "no data provided")
    config = _config(call, mount)
    _check_and_set(body, secret, is_required=secret.cas_required or config.cas_required)
    made = secret.add(merged(known.data, object_of(body, "data")), config, call.utc_s)
    _keep(call, mount, name, secret)
    return call.logical(_described(made, secret.current, secret))


def _patch(call: Call) -> Mapping[str, object]:
    given = call.request.headers.get("content-type", "")
    if given.partition(";")[0] != _PATCH_TYPE:
        raise Rejected(errors(415, f"PATCH requires Content-Type of {_PATCH_TYPE}, provided {given}"))
    return call.body()


def _check_and_set(body: Mapping[str, object], secret: Secret, *, is_required: bool) -> None:
    options = object_of(body, "options") or {}
    if "cas" not in options:
        if is_required:
            raise Rejected(errors(400, "check-and-set parameter required for this call"))
        return
    given = options["cas"]
    try:
        wanted = 0 if given is None else int(str(given))
    except ValueError as exc:
        raise Rejected(errors(400, "error parsing check-and-set parameter")) from exc
    if wanted != secret.current:
        raise Rejected(errors(400, "check-and-set parameter did not match the current version"))


def _read_data(call: Call, mount: Mount, name: str) -> Reply:
    return _version_read(call, mount, name, lambda version: {"data": version.data}, {"data": None})


def _read_names(call: Call, mount: Mount, name: str) -> Reply:
    depth = query_number(call, "depth")
    return _version_read(
        call,
        mount,
        name,
        lambda v: {"subkeys": names_only(v.data, depth) if isinstance(v.data, Mapping) else None},
        {"subkeys": None},
    )


def _version_read(
    call: Call,
    mount: Mount,
    name: str,
    part: Callable[[Version], Mapping[str, object]],
    gone: Mapping[str, object],
) -> Reply:
    asked, secret = query_number(call, "version"), _secret(call, mount, name)
    version = None if secret is None else secret.shown(asked)
    if secret is None or version is None:
        return errors(404)
    metadata = _described(version, asked if asked > 0 else secret.current, secret)
    is_gone = version.is_gone(call.utc_s)
    data = dict(sorted({**(gone if is_gone else part(version)), "metadata": metadata}.items()))
    return _not_found(call, data=data, warnings=[]) if is_gone else call.logical(data)


def _delete_newest(call: Call, mount: Mount, name: str) -> Reply:
    secret = _secret(call, mount, name)
    if secret is not None:
        _delete(call, secret.shown(0))
        _keep(call, mount, name, secret)
    return empty()


def _delete(call: Call, version: Version | None) -> None:
    if version is not None and not version.is_gone(call.utc_s):
        version.deleted_utc_s = call.utc_s


def _on_versions(act: Callable[[Call, Secret, Config, Version], None], missing: str) -> _Handler:
    def handler(call: Call, mount: Mount, name: str) -> Reply:
        numbers = _version_numbers(call, missing)
        secret = _secret(call, mount, name)
        if secret is None:
            return empty()
        config = _config(call, mount)
        for number in numbers:
            if number in secret.versions:
                act(call, secret, config, secret.versions[number])
        _keep(call, mount, name, secret)
        return empty()

    return handler


def _version_numbers(call: Call, missing: str) -> list[int]:
    given = call.body().get("versions")
    texts = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else [given]
    if not given:
        raise Rejected(errors(400, missing))
    return [_version_number(at, str(text)) for at, text in enumerate(texts)]


def _version_number(at: int, text: str) -> int:
    try:
        return int(text)
    except ValueError as exc:
        reason = f"'[{at}]' cannot parse value as 'int': strconv.ParseInt: invalid syntax"
        text = f"decoding failed due to the following error(s):\n\n{reason}"
        raise Rejected(not_converted("versions", text)) from exc


def _undelete(call: Call, secret: Secret, config: Config, version: Version) -> None:
    if not version.destroyed:
        version.deleted_utc_s = secret.deleted_by_itself(config, call.utc_s)


def _destroy(_call: Call, _secret: Secret, _config: Config, version: Version) -> None:
    version.data, version.destroyed = None, True


def _described(version: Version, number: int, secret: Secret) -> dict[str, object]:
    return {
        "created_time": rfc3339(version.created_utc_s, nanos=True),
        "custom_metadata": None if secret.custom is None else dict(secret.custom),
        "deletion_time": _deletion_time(version),
        "destroyed": version.destroyed,
        "version": number,
    }


def _deletion_time(version: Version) -> str:
    return "" if version.deleted_utc_s is None else rfc3339(version.deleted_utc_s, nanos=True)


def _read_metadata(call: Call, mount: Mount, name: str) -> Reply:
    secret = _secret(call, mount, name)
    if secret is None:
        return errors(404)
    versions = {
        str(number): {
            "created_time": rfc3339(version.created_utc_s, nanos=True),
            "deletion_time": _deletion_time(version),
            "destroyed": version.destroyed,
        }
        for number, version in sorted(secret.versions.items())
    }
    return call.logical(
        {
            "cas_required": secret.cas_required,
            "created_time": rfc3339(secret.created_utc_s, nanos=True),
            "current_version": secret.current,
            "custom_metadata": None if secret.custom is None else dict(secret.custom),
            "delete_version_after": go_duration(secret.delete_after_s),
            "max_versions": secret.max_versions,
            "oldest_version": secret.oldest,
            "updated_time": rfc3339(secret.updated_utc_s, nanos=True),
            "versions": versions,
        }
    )


def _write_metadata(call: Call, mount: Mount, name: str) -> Reply:
    secret = _secret(call, mount, name) or Secret(created_utc_s=call.utc_s, updated_utc_s=call.utc_s)
    return _metadata_written(call, mount, name, secret, object_of(call.body(), "custom_metadata"))


def _patch_metadata(call: Call, mount: Mount, name: str) -> Reply:
    body = _patch(call)
    secret = _secret(call, mount, name)
    if secret is None:
        return empty(404)
    patch = object_of(body, "custom_metadata")
    custom = None if patch is None else merged(secret.custom or {}, patch)
    return _metadata_written(call, mount, name, secret, custom if isinstance(custom, Mapping) else None)


def _metadata_written(
    call: Call, mount: Mount, name: str, secret: Secret, custom: Mapping[str, object] | None
) -> Reply:
    secret.max_versions = whole(call, "max_versions", secret.max_versions)
    secret.cas_required = boolean(call, "cas_required", default=secret.cas_required)
    secret.delete_after_s = _delete_after_s(call, secret.delete_after_s)
    if custom is not None:
        secret.custom = _custom(custom)
    secret.updated_utc_s = call.utc_s
    _keep(call, mount, name, secret)
    return empty()


def _custom(given: Mapping[str, object]) -> dict[str, str]:
    """Checked as Vault does. Raises Rejected."""
    reasons = [f"payload must contain at most {_CUSTOM_MOST} keys, provided {len(given)}"] * (len(given) > _CUSTOM_MOST)
    for key, value in given.items():
        if not 0 < len(key) <= 128:
            reasons.append(f'length of key "{key}" is {len(key)} but must be 0 < len(key) <= 128')
        if not 0 < len(str(value)) <= 512:
            reasons.append(f'length of value for key "{key}" is {len(str(value))} but must be 0 < len(value) <= 512')
    if reasons:
        lines = "".join(f"\t* custom_metadata validation failed: {reason}\n" for reason in reasons)
        noun = "error" if len(reasons) == 1 else "errors"
        raise Rejected(errors(400, f"{len(reasons)} {noun} occurred:\n{lines}\n"))
    return {key: str(value) for key, value in given.items()}


def _delete_all(call: Call, mount: Mount, name: str) -> Reply:
    call.store.delete(DATA + mount.path + name, now_s=call.now_s)
    return empty()


def _list_names(call: Call, mount: Mount, name: str) -> Reply:
    return listed(call, f"{DATA}{mount.path}{name}".rstrip("/") + "/")


_Handler = Callable[[Call, Mount, str], Reply]
_PARTS: Mapping[str, Mapping[str, _Handler]] = {
    "config": {"GET": _read_config, "PUT": _write_config},
    "data": {"GET": _read_data, "PUT": _write_data, "PATCH": _patch_data, "DELETE": _delete_newest},
    "metadata": {
        "GET": _read_metadata,
        "PUT": _write_metadata,
        "PATCH": _patch_metadata,
        "DELETE": _delete_all,
        "LIST": _list_names,
    },
    "delete": {"PUT": _on_versions(lambda call, _s, _c, version: _delete(call, version), "No version number provided")},
    "undelete": {"PUT": _on_versions(_undelete, "No version number provided")},
    "destroy": {"PUT": _on_versions(_destroy, "no version number provided")},
    "subkeys": {"GET": _read_names},
}
