"""The description of the API in OpenAPI 3.1, made from the table of routes and the types of their answers."""

from collections.abc import Sequence
from typing import Any

import msgspec

from unisono import __version__
from unisono.search.service import answers
from unisono.search.service.endpoint import Endpoint

JSON = "application/json"
REFUSALS = {
    "400": "The request is not of the right form, or nothing fulfils its conditions.",
    "401": "A password or token is asked for.",
    "403": "Another site caused the request.",
    "404": "There is no such thing.",
    "429": "Too many tries.",
    "500": "The service failed.",
    "503": "Too much at once.",
}


def description(endpoints: Sequence[Endpoint], prefix: str) -> dict[str, Any]:
    """Return the description of routes, as JSON values."""
    types = [each for endpoint in endpoints for each in (endpoint.takes, endpoint.answer) if not isinstance(each, str)]
    _, schemas = msgspec.json.schema_components([*types, answers.Refusal], ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "unisono", "version": __version__, "description": "Find music by description."},
        "servers": [{"url": prefix or "/"}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "unisono_session"},
            },
        },
    }


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    refusal = {JSON: {"schema": _schema(answers.Refusal)}}
    responses: dict[str, Any] = {status: {"description": said, "content": refusal} for status, said in REFUSALS.items()}
    kind = endpoint.answer
    content = {kind: {}} if isinstance(kind, str) else {JSON: {"schema": _schema(kind)}}
    responses["200"] = {"description": "The answer.", "content": content}
    if kind == "audio/*":
        responses |= {
            "206": {"description": "The range that was asked for.", "content": content},
            "416": {"description": "The range lies outside the file."},
        }
    found: dict[str, Any] = {"summary": endpoint.summary, "responses": dict(sorted(responses.items()))}
    if endpoint.is_open:
        found["security"] = []
    if endpoint.method == "POST":
        if endpoint.takes is not answers.Nothing:
            found["requestBody"] = {"required": True, "content": {JSON: {"schema": _schema(endpoint.takes)}}}
    else:
        taken = schemas[endpoint.takes.__name__]
        found["parameters"] = [
            {"name": name, "in": "query", "required": name in taken.get("required", ()), "schema": schema}
            for name, schema in taken["properties"].items()
        ]
    return found


def _schema(kind: Any) -> dict[str, Any]:
    (found,), _ = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
    return dict(found)
