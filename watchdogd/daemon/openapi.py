"""The document of the socket API (OpenAPI 3.1), made of its declaration; `make schema` writes docs/openapi.json."""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from typing import cast

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from watchdogd.core.explain import Json, Shape
from watchdogd.daemon.api import REFUSED, ROUTES, Route
from watchdogd.daemon.protocol import API, BODY_BYTES_MAX, OK, REQUEST_S_MAX, REQUESTS_PER_S_MAX
from watchdogd.daemon.shapes import Refusal

REF = "#/components/schemas/{model}"
ABOUT = (
    "HTTP/1.1 and JSON over the unix socket `[control] socket`. Who may connect may read; root and the members of"
    " `operators_group` may act, as the kernel says who they are. Changes are additive: answers may come to have more"
    f" fields. A body has at most {BODY_BYTES_MAX} bytes, a user {REQUESTS_PER_S_MAX} requests a second, and an answer"
    f" comes within {REQUEST_S_MAX:g} s."
)
NAMED: dict[str, Shape] = {
    "pair": {"type": "string", "minLength": 1, "not": {"const": "*"}},
    "run_id": {"type": "string", "minLength": 1},
}
EVERY = "a pair, or `*` for every pair"


@cache
def document() -> Shape:
    """The whole API."""
    paths: dict[str, dict[str, Json]] = {}
    for route in ROUTES:
        paths.setdefault(API + route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "watchdogd", "version": API.strip("/"), "description": ABOUT},
        "servers": [{"url": "http://localhost", "description": "any name: there is only the socket"}],
        "paths": cast(Shape, paths),
        "components": {"schemas": _schemas()},
    }


def document_text() -> str:
    """The document, always the same text for the same declaration."""
    return json.dumps(document(), indent=2, sort_keys=True) + "\n"


def _schemas() -> Shape:
    answers = {
        answer for route in ROUTES for answer in (route.answer, route.for_every, route.or_else) if answer is not None
    }
    asked = {route.body for route in ROUTES if route.body is not None}
    modes: dict[type[BaseModel], JsonSchemaMode] = dict.fromkeys({*answers, Refusal}, "serialization")
    modes |= dict.fromkeys(asked, "validation")
    models = sorted(modes.items(), key=lambda one: one[0].__name__)
    _, schema = models_json_schema(models, ref_template=REF)
    return cast(Shape, schema["$defs"])


def _ref(model: type[BaseModel]) -> Shape:
    return {"$ref": REF.format(model=model.__name__)}


def _json(schema: Shape) -> Shape:
    return {"application/json": {"schema": schema}}


def _operation(route: Route) -> Shape:
    said: Shape = {
        "operationId": route.verb,
        "summary": route.says,
        "tags": ["reading" if route.method == "GET" else "acting"],
        "responses": {str(status): _response(route, status) for status in route.statuses},
    }
    if route.instead:
        said["description"] = f"Not there yet, always refused (422): {route.instead}."
    if parameters := [*_in_path(route), *_in_query(route)]:
        said["parameters"] = parameters
    if route.body is not None:
        is_needed = any(field.is_required() for field in route.body.model_fields.values())
        said["requestBody"] = {"required": is_needed, "content": _json(_ref(route.body))}
    return said


def _response(route: Route, status: int) -> Shape:
    if status in REFUSED:
        return {"description": REFUSED[status], "content": _json(_ref(Refusal))}
    may_be = [_ref(shape) for shape in (route.answer, route.for_every, route.or_else) if shape is not None]
    answer: Shape = {"anyOf": [*may_be]} if len(may_be) > 1 else may_be[0]
    return {"description": "done" if status == OK else "accepted", "content": _json(answer)}


def _in_path(route: Route) -> list[Json]:
    found: list[Json] = []
    for name in re.findall(r"{(\w+)}", route.path):
        schema, said = NAMED[name], {"name": name, "in": "path", "required": True}
        if route.for_every is not None:
            schema = {key: value for key, value in schema.items() if key != "not"}
            said["description"] = EVERY
        found.append({**said, "schema": schema})
    return found


def _in_query(route: Route) -> list[Json]:
    if route.query is None:
        return []
    schema = route.query.model_json_schema(mode="validation", ref_template=REF)
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": field}
        for name, field in schema["properties"].items()
    ]


if __name__ == "__main__":
    sys.stdout.write(document_text())
