"""The JSON schema of the config file, for editors: `make schema` writes it to config/watchdogd.schema.json."""

from __future__ import annotations

import json
import sys

from watchdogd.adapters.config_model import ConfigFile


def schema_text() -> str:
    """The schema, always the same text for the same model."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **ConfigFile.model_json_schema()}
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
