"""Answers of the control socket held against the document of the API: nothing missing, and nothing undocumented."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import jsonschema_rs

from watchdogd.daemon.api import VERBS
from watchdogd.daemon.openapi import document
from watchdogd.daemon.protocol import Answer


def closed(schema: Any) -> Any:
    """The same schema, in which an object has no field but those that are named."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    return {**inner, "additionalProperties": False} if "properties" in schema else inner


@cache
def _components() -> dict[str, Any]:
    of_answers = cast("dict[str, Any]", document())["components"]["schemas"]
    # `RunTold` is a `Run` with more: pydantic writes every field into each, so that closing them is right.
    return {"schemas": {name: closed(schema) for name, schema in of_answers.items()}}


@cache
def _validator(verb: str, status: int) -> Any:
    route = VERBS[verb]
    operation = cast("dict[str, Any]", document())["paths"]["/v1" + route.path][route.method.lower()]
    content = operation["responses"][str(status)]["content"]["application/json"]["schema"]
    return jsonschema_rs.Draft202012Validator({**content, "components": _components()})


def undocumented(verb: str, answer: Answer) -> list[str]:
    """What of an answer is not as the document says; empty when all of it is. Raises: KeyError for its status."""
    found = _validator(verb, answer.status).iter_errors(answer.body)
    return [f"{verb} {answer.status} {'/'.join(map(str, one.instance_path))}: {one.message}" for one in found]
