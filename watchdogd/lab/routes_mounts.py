"""sys/mounts, sys/auth, and what command lines ask about both: sys/internal/ui/mounts.

Sources: OBS obs3 and obs5, a real OpenBao asked the same; section 8 of the reference. A mount is an entry of the
store and replicates. Of engines only key-value and the cubbyhole do anything here, of logins tokens and AppRole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from watchdogd.lab import tokens
from watchdogd.lab.call import Call, duration_s
from watchdogd.lab.fields import UNSUPPORTED_PATH, boolean, object_of, unsupported_operation
from watchdogd.lab.kv import Config, Secret
from watchdogd.lab.mounts import LOGINS, SECRETS, Mount, Table
from watchdogd.lab.reply import Rejected, Reply, empty, envelope, errors
from watchdogd.lab.route import Route
from watchdogd.lab.routes_kv2 import CONFIGS, DATA

# Engines and logins that come with Vault: they can be mounted and are listed.
_ENGINES = (
    "ad alicloud aws azure consul database gcp gcpkms kubernetes kv ldap mongodbatlas nomad openldap pki rabbitmq ssh "
    "terraform totp transit"
).split()
_LOGINS = (
    "alicloud approle aws azure cert cf gcp github jwt kerberos kubernetes ldap oci oidc okta radius userpass".split()
)
_NOT_MOUNTABLE = ("cubbyhole", "identity", "system", "token")
_PROTECTED = ("auth/", "cubbyhole/", "identity/", "sys/")


# ------------------------------------------------------------------------------------------------------------- showing


def list_mounts(call: Call) -> Reply:
    """GET sys/mounts [OBS]: the map both in `data` and at the top."""
    call.authorise()
    return _on_top(call, {mount.path: shown(call, mount) for mount in SECRETS.all(call.store)})


def list_logins(call: Call) -> Reply:
    """GET sys/auth [a real OpenBao]."""
    call.authorise()
    return _on_top(call, {mount.path: shown(call, mount, is_auth=True) for mount in LOGINS.all(call.store)})


def shown(call: Call, mount: Mount, *, is_auth: bool = False) -> dict[str, object]:
    """One mount as Vault shows it."""
    config: dict[str, object] = {
        "default_lease_ttl": mount.default_ttl_s,
        "force_no_cache": mount.force_no_cache,
        "max_lease_ttl": mount.max_ttl_s,
    }
    if mount.passed_headers:
        config["passthrough_request_headers"] = list(mount.passed_headers)
    if is_auth:
        config["token_type"] = "default-service"  # noqa: S105  a word of Vault's, no secret
    body: dict[str, object] = {
        "accessor": mount.accessor,
        "config": config,
        "deprecation_status": "supported",
        "description": mount.description,
        "external_entropy_access": False,
        "local": mount.local,
        "options": None if mount.options is None else dict(mount.options),
        "plugin_version": "",
        "running_plugin_version": f"v{call.cluster.spec.number}+builtin.vault",
        "running_sha256": "",
        "seal_wrap": mount.seal_wrap,
        "type": mount.type,
        "uuid": mount.uuid,
    }
    if mount.is_built_in:
        del body["deprecation_status"]
    return body


def read_mount(call: Call) -> Reply:
    """GET sys/mounts/:path; `auth/…` names a login."""
    call.authorise()
    table, path = _table_of(call.params["name"])
    mount = table.get(call.store, path)
    if mount is None:
        return errors(400, f"No secret engine mount at {call.params['name']}/")
    return _on_top(call, shown(call, mount, is_auth=table.is_auth))


def read_login(call: Call) -> Reply:
    """GET sys/auth/:path."""
    call.authorise(sudo=True)
    mount = LOGINS.get(call.store, call.params["name"] + "/")
    if mount is None:
        return errors(400, f"No auth engine at {call.params['name']}/")
    return _on_top(call, shown(call, mount, is_auth=True))


def _on_top(call: Call, data: Mapping[str, object]) -> Reply:
    return envelope(call.cluster.chance.uuid(), data=data, top=data)


def _table_of(name: str) -> tuple[Table, str]:
    return (LOGINS, name[5:] + "/") if name.startswith("auth/") else (SECRETS, name + "/")


# ------------------------------------------------------------------------------------------- mounting and taking away


def mount(call: Call) -> Reply:
    """POST sys/mounts/:path [OBS obs3]."""
    call.authorise()
    path = call.params["name"] + "/"
    type_, options = _engine(call)
    if path.startswith(_PROTECTED):
        return errors(400, f'cannot mount "{path}"')
    return _mounted(call, SECRETS, path, type_, options, known=_ENGINES)


def enable_login(call: Call) -> Reply:
    """POST sys/auth/:path [OBS obs5]."""
    call.authorise(sudo=True)
    type_, options = _engine(call)
    if type_ == "token":
        return errors(400, "token credential backend cannot be instantiated")
    return _mounted(call, LOGINS, call.params["name"] + "/", type_, options or {}, known=_LOGINS)


def _engine(call: Call) -> tuple[str, Mapping[str, str] | None]:
    type_ = call.text("type")
    if not type_:
        raise Rejected(errors(400, "backend type must be specified as a string"))
    given = object_of(call.body(), "options") or {}
    options = {name: str(value) for name, value in given.items()}
    if type_ in ("kv-v1", "kv-v2"):
        type_, options = "kv", {"version": type_[-1]} | options
    return type_, options or None


def _mounted(
    call: Call, table: Table, path: str, type_: str, options: Mapping[str, str] | None, *, known: list[str]
) -> Reply:
    if type_ in _NOT_MOUNTABLE:
        return errors(400, f'mount type of "{type_}" is not mountable')
    if type_ not in known:
        return errors(400, f"plugin not found in the catalog: {type_}")
    if type_ == "kv" and (options or {}).get("version", "1") not in ("1", "2"):
        return errors(400, 'nil backend of type "kv" returned from factory')
    for there in table.all(call.store):
        if there.path.startswith(path) or path.startswith(there.path):
            return errors(400, f"path is already in use at {there.path}")
    config = object_of(call.body(), "config") or {}
    default_s, max_s = (_ttl_s(config.get(name), 0) for name in ("default_lease_ttl", "max_lease_ttl"))
    if max_s and default_s > max_s:
        return errors(400, "given default lease TTL greater than given max lease TTL")
    made = Mount(
        path=path,
        type=type_,
        accessor=table.accessor(type_, call.cluster.chance.uuid()),
        uuid=call.cluster.chance.uuid(),
        description=call.text("description"),
        options=options,
        local=boolean(call, "local", default=False),
        seal_wrap=boolean(call, "seal_wrap", default=False),
        default_ttl_s=default_s,
        max_ttl_s=max_s,
        force_no_cache=config.get("force_no_cache") in (True, "true"),
    )
    call.write(table.prefix + path, made.fields())
    if made.version == "2":
        _begin_upgrade(call, path)
    return empty()


def _ttl_s(value: object, known_s: int) -> int:
    """A time to live as tune and mount take it: absent and empty leave it, `system` gives it back."""
    if value in (None, ""):
        return known_s
    return 0 if value == "system" else int(duration_s(str(value)))


def unmount(call: Call) -> Reply:
    """DELETE sys/mounts/:path: with everything under it; 204 also where nothing is mounted."""
    call.authorise()
    path = call.params["name"] + "/"
    if path.startswith(_PROTECTED):
        return errors(400, f'cannot unmount "{path}"')
    if SECRETS.get(call.store, path) is not None:
        _forget(call, SECRETS.prefix + path, CONFIGS + path, *call.store.keys(DATA + path))
    return empty()


def disable_login(call: Call) -> Reply:
    """DELETE sys/auth/:path: with everything under it, and every token that was got there."""
    call.authorise(sudo=True)
    path = call.params["name"] + "/"
    if path == "token/":
        return errors(400, "token credential backend cannot be disabled")
    if LOGINS.get(call.store, path) is None:
        return empty()
    _forget(call, LOGINS.prefix + path, *call.store.keys(f"auth/{path}"), *_tokens_from(call, f"auth/{path}"))
    if path in LOGINS.built_in:
        call.write(LOGINS.prefix + path, {"type": ""})
    return empty()


def _forget(call: Call, *keys: str) -> None:
    for key in keys:
        call.store.delete(key, now_s=call.now_s)


def _tokens_from(call: Call, path: str) -> Iterator[str]:
    for key in call.store.keys(tokens.TOKENS):
        entry = call.store.get(key)
        if entry is not None and str(entry.value.get("path", "")).startswith(path):
            yield key


# -------------------------------------------------------------------------------------------------------------- tuning


def read_tune(call: Call) -> Reply:
    """GET sys/mounts/:path/tune."""
    call.authorise()
    return _tune_shown(call, *_table_of(call.params["name"]))


def read_login_tune(call: Call) -> Reply:
    """GET sys/auth/:path/tune."""
    call.authorise(sudo=True)
    return _tune_shown(call, LOGINS, call.params["name"] + "/")


def _tune_shown(call: Call, table: Table, path: str) -> Reply:
    mount = table.get(call.store, path)
    if mount is None:
        named = f"auth/{path}" if table.is_auth else path
        return errors(400, f'cannot fetch sysview for path "{named}"')
    own_s = int(call.knobs.max_lease_ttl_s)
    data: dict[str, object] = {
        "default_lease_ttl": mount.default_ttl_s or own_s,
        "description": mount.description,
        "force_no_cache": mount.force_no_cache,
        "max_lease_ttl": mount.max_ttl_s or own_s,
    }
    if mount.options:
        data["options"] = dict(mount.options)
    if mount.passed_headers:
        data["passthrough_request_headers"] = list(mount.passed_headers)
    if table.is_auth:
        data["token_type"] = "default-service"  # noqa: S105  a word of Vault's, no secret
    return _on_top(call, data)


def tune(call: Call) -> Reply:
    """POST sys/mounts/:path/tune."""
    call.authorise()
    return _tuned(call, *_table_of(call.params["name"]))


def tune_login(call: Call) -> Reply:
    """POST sys/auth/:path/tune."""
    call.authorise(sudo=True)
    return _tuned(call, LOGINS, call.params["name"] + "/")


def no_such_verb(_: Call) -> Reply:
    """DELETE of a tune, which is not a mount called `tune`."""
    return unsupported_operation()


def _tuned(call: Call, table: Table, path: str) -> Reply:
    mount, body = table.get(call.store, path), call.body()
    if mount is None:
        named = f"auth/{path}" if table.is_auth else path
        return errors(400, f'tune of path "{named}" failed: no mount entry found')
    for name in ("default_lease_ttl", "max_lease_ttl", "description"):
        if name in body and path in _PROTECTED:
            return errors(400, f"cannot tune parameter {name} of {path}")
    options = object_of(body, "options")
    wanted = str((options or {}).get("version", mount.version))
    if wanted < mount.version:
        return errors(400, f"cannot downgrade mount from version {mount.version}")
    tuned = replace(
        mount,
        default_ttl_s=_ttl_s(body.get("default_lease_ttl"), mount.default_ttl_s),
        max_ttl_s=_ttl_s(body.get("max_lease_ttl"), mount.max_ttl_s),
        description=call.text("description", mount.description),
        options=mount.options if options is None else {name: str(value) for name, value in options.items()},
    )
    if tuned.max_ttl_s and tuned.default_ttl_s > tuned.max_ttl_s:
        text = f"backend max lease TTL of {tuned.max_ttl_s} would be less than backend default lease TTL of"
        return errors(400, f"{text} {tuned.default_ttl_s}")
    call.write(table.prefix + path, tuned.fields())
    if wanted == mount.version or mount.type != "kv":
        return empty()
    _upgrade(call, path)
    text = f"Upgrading mount from version {mount.version} to version {wanted}. This mount will be unavailable"
    return call.logical(warnings=[f"{text} for a brief period and will resume service shortly."])


def _begin_upgrade(call: Call, path: str) -> None:
    """An engine of version 2 prepares its storage, in the memory of the node that does it [OBS]."""
    if call.node.active is not None:
        call.node.active.upgrades_until_s[path] = call.now_s + call.knobs.kv_upgrade_s


def _upgrade(call: Call, path: str) -> None:
    """From version 1 to 2: every secret becomes the first version of itself."""
    _begin_upgrade(call, path)
    for key in call.store.keys(DATA + path):
        entry = call.store.get(key)
        if entry is not None:
            secret = Secret(created_utc_s=call.utc_s, updated_utc_s=call.utc_s)
            secret.add(dict(entry.value), Config(), call.utc_s)
            call.write(key, secret.fields())


# ------------------------------------------------------------------------------------------------- what may be seen


def seen_mounts(call: Call) -> Reply:
    """GET sys/internal/ui/mounts: what the token has anything to do with; without one nothing is there to see."""
    token = call.find_token(call.request.token_text)
    tables: tuple[tuple[str, Table], ...] = (("auth", LOGINS), ("secret", SECRETS))
    data = {
        name: {
            m.path: shown(call, m, is_auth=table.is_auth) for m in table.all(call.store) if _sees(call, token, table, m)
        }
        for name, table in tables
    }
    return call.logical(data)


def seen_mount(call: Call) -> Reply:
    """GET sys/internal/ui/mounts/:path: the mount over a path, which `vault kv` asks for the version of."""
    token = call.authenticate()
    name = call.params["name"]
    table, path = _table_of(name)
    mount = table.over(call.store, path.rstrip("/"))
    if mount is None or not _sees(call, token, table, mount):
        text = "preflight capability check returned 403, please ensure client's policies grant access to path"
        return errors(403, f'{text} "{name}/"')
    return call.logical({**shown(call, mount, is_auth=table.is_auth), "path": mount.path})


def _sees(call: Call, token: tokens.Token | None, table: Table, mount: Mount) -> bool:
    """Whether some rule of the token's policies reaches below a mount."""
    if token is None:
        return False
    path = f"auth/{mount.path}" if table.is_auth else mount.path
    if token.is_root:
        return True
    return any(
        rule.capabilities - {"deny"} and _reaches(pattern, path)
        for rules in tokens.rules_of(call.store, token.policies)
        for pattern, rule in rules.items()
    )


def _reaches(pattern: str, path: str) -> bool:
    stem = min((pattern.partition(sign)[0] for sign in "*+"), key=len)
    return pattern.startswith(path) or (stem != pattern and (stem.startswith(path) or path.startswith(stem)))


# ------------------------------------------------------------------------------------------------------------ no route


def logins(call: Call) -> Reply:
    """Everything below `auth/` that no route answers [OBS obs5:login unmounted]."""
    path = call.request.path
    if not call.request.token_text:
        return errors(403, "permission denied")
    call.authorise()
    if LOGINS.over(call.store, path.removeprefix("auth/")) is None:
        return errors(404, f'no handler for route "{path}". route entry not found.')
    return errors(404, UNSUPPORTED_PATH)


def is_unmounted(call: Call) -> bool:
    """Whether a path below `auth/` lost its mount."""
    path = call.request.path
    return path.startswith("auth/") and LOGINS.over(call.store, path.removeprefix("auth/")) is None


_Handler = Callable[[Call], Reply]


def _routes(where: str, handlers: Mapping[str, _Handler], source: str) -> Iterator[Route]:
    for method, handler in handlers.items():
        yield Route(method, where, handler, source)


ROUTES: tuple[Route, ...] = (
    *_routes("sys/mounts/<name>/tune", {"GET": read_tune, "PUT": tune, "DELETE": no_such_verb}, "OBS"),
    *_routes("sys/auth/<name>/tune", {"GET": read_login_tune, "PUT": tune_login, "DELETE": no_such_verb}, "OBS"),
    Route("GET", "sys/mounts", list_mounts, "OBS"),
    *_routes("sys/mounts/<name>", {"GET": read_mount, "PUT": mount, "DELETE": unmount}, "OBS"),
    Route("GET", "sys/auth", list_logins, "OBS"),
    *_routes("sys/auth/<name>", {"GET": read_login, "PUT": enable_login, "DELETE": disable_login}, "OBS"),
    Route("GET", "sys/internal/ui/mounts", seen_mounts, "OBS"),
    Route("GET", "sys/internal/ui/mounts/<name>", seen_mount, "OBS"),
)
