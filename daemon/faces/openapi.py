"""What can be asked over HTTP, as an OpenAPI document: made of the routes and types that the face goes by."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec

from daemon import __version__
from daemon.faces.http_forms import BODY_BYTES_MAX, ROUTES, Order, ResumeOrder, Route

_ABOUT = (
    "A trading daemon on its Unix socket, which only its owner can open, or on a loopback port. Over the "
    "port commands want the token, requests with an Origin or a foreign Host are refused, and so is who asks "
    f"too often without the token. A command's body may be empty, and has at most {BODY_BYTES_MAX} bytes."
)


def document() -> dict[str, Any]:
    """Return the document, OpenAPI 3.1."""
    answers = (one for route in ROUTES for one in route.answers.values())
    types = [Order, ResumeOrder, *dict.fromkeys(one for one in answers if not isinstance(one, str))]
    _, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "tickd", "version": __version__, "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "of the port; on the socket it is not asked for",
                }
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}_{route.path.strip('/').partition('.')[0]}",
        "summary": route.summary,
        "responses": {str(status): _answer(status, form) for status, form in sorted(route.answers.items())},
    }
    if route.method == "POST":
        operation["requestBody"] = {"required": False, "content": {"application/json": _schema(route.body)}}
        operation["security"] = [{"token": []}, {}]
    return operation


def _answer(status: int, form: type | str) -> dict[str, Any]:
    content = {form: {}} if isinstance(form, str) else {"application/json": _schema(form)}
    return {"description": HTTPStatus(status).phrase, "content": content}


def _schema(form: type) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{form.__name__}"}}
