"""Reading the config file: all field errors at once, and when there are none, all broken rules at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError

from watchdogd.adapters.config_build import settings_of
from watchdogd.adapters.config_errors import problems_of
from watchdogd.adapters.config_model import ConfigFile
from watchdogd.adapters.settings import Settings
from watchdogd.core.rules import violations
from watchdogd.errors import ConfigError
from watchdogd.secret import without_secrets

FILE_BYTES_MAX = 1 << 20


def load_config(path: str | Path) -> Settings:
    """The settings in the file at `path`. Reads that file and nothing else; asks nobody.

    Raises: ConfigError with one problem per line, each naming its place and the way out.
    """
    return load_with_table(path)[0]


def load_with_table(path: str | Path) -> tuple[Settings, Mapping[str, object]]:
    """As `load_config`, and the table as it is written. Raises: ConfigError."""
    try:
        with Path(path).open("rb") as source:
            raw = source.read(FILE_BYTES_MAX + 1)
    except OSError as exc:
        raise ConfigError((f"{path}: cannot be read ({exc.strerror}): a TOML file that this user can read",)) from exc
    return parse_config(raw, source=str(path)), _decoded(raw, str(path))


def parse_config(raw: bytes, *, source: str = "the file") -> Settings:
    """The settings in the TOML text `raw`. Raises: ConfigError, whatever the bytes are."""
    try:
        config = ConfigFile.model_validate(_decoded(raw, source))
    except ValidationError as exc:
        raise _refusal(problems_of(exc)) from None  # its own text would repeat the values
    settings = settings_of(config)
    if broken := violations(settings.policy):
        raise _refusal(str(one) for one in broken)
    return settings


def _refusal(problems: Iterable[str]) -> ConfigError:
    """The error that names these; what stands at the wrong place may be a secret."""
    return ConfigError(tuple(without_secrets(problem) for problem in problems))


def _decoded(raw: bytes, source: str) -> dict[str, object]:
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigError((f"{source}: larger than {FILE_BYTES_MAX >> 20} MiB: this is not a watchdogd config",))
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise ConfigError((f"{source}: not UTF-8 (byte {exc.start}): save it as UTF-8",)) from exc
    except (ValueError, RecursionError) as exc:  # also numbers and nestings beyond what Python reads
        raise _refusal((f"{source}: not TOML: {exc}",)) from None  # its own text may quote a key
