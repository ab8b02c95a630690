"""The page at /docs: the OpenAPI description as plain HTML, made here.

The usual documentation pages load a megabyte of script from another site; this one needs no script and no network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid #8888; padding: .5rem 0 1rem; }
h2 code { font-size: 1.1rem; } table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid #8884; border-radius: .5rem; }
"""


def page(document: Mapping[str, Any], base_url: str) -> str:
    """``document``: the OpenAPI description; ``base_url``: where the service answers, for the examples."""
    info = document["info"]
    parts = [
        "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(info['title'])}</h1><p>{escape(info.get('description', ''))}</p>",
        "<p>The machine-readable description is at <a href='openapi.json'>openapi.json</a>.</p>",
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(_operation(document, base_url, path, method.upper(), operation))
    parts.append("</body></html>")
    return "".join(parts)


def _operation(document: Mapping[str, Any], base_url: str, path: str, method: str, operation: Mapping[str, Any]) -> str:
    parts = [
        f"<section id='{escape(operation['operationId'])}'><h2><code>{method} {escape(path)}</code></h2>",
        f"<p>{escape(operation.get('description') or operation.get('summary', ''))}</p>",
    ]
    fields = [
        (row["name"], row.get("required", False), row["schema"], row.get("description", ""))
        for row in operation.get("parameters", ())
    ]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content:
        choices = content["schema"].get("anyOf", [content["schema"]])  # a body that may be left out is one of two
        body = next(_resolved(document, choice) for choice in choices if choice.get("type") != "null")
        for name, schema in body["properties"].items():
            fields.append((name, name in body.get("required", ()), schema, schema.get("description", "")))
    if fields:
        parts.append("<table><tr><th>Field</th><th>Type</th><th>Meaning</th></tr>")
        for name, required, schema, description in fields:
            needed = " (required)" if required else ""
            parts.append(
                f"<tr><td><code>{escape(name)}</code>{needed}</td><td>{escape(_type(document, schema))}</td>"
                f"<td>{escape(description)}</td></tr>"
            )
        parts.append("</table>")
    parts.append(f"<pre>{escape(_example(base_url, path, method, content))}</pre>")
    parts.append("<table><tr><th>Status</th><th>Answer</th></tr>")
    for status, response in operation["responses"].items():
        schema = response.get("content", {}).get("application/json", {}).get("schema")
        shape = f": {_type(document, schema)}" if schema else ""
        parts.append(f"<tr><td>{status}</td><td>{escape(response['description'] + shape)}</td></tr>")
    parts.append("</table></section>")
    return "".join(parts)


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema


def _type(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> str:
    """A schema in a few words: an object as its keys, a list as [what it holds]."""
    schema = _resolved(document, schema)
    if "anyOf" in schema:
        return " or ".join(_type(document, choice, depth) for choice in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(str(choice) for choice in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    if schema.get("type") == "array":
        return f"[{_type(document, schema['items'], depth)}]"
    if "properties" in schema:
        if depth >= 2:
            return "{...}"
        return (
            "{"
            + ", ".join(f"{key}: {_type(document, value, depth + 1)}" for key, value in schema["properties"].items())
            + "}"
        )
    words = str(schema.get("format") or schema.get("type", "anything"))
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        words += f" {low} to {high}"
    return words + (f", default {json.dumps(schema['default'])}" if schema.get("default") is not None else "")


def _example(base_url: str, path: str, method: str, content: Mapping[str, Any] | None) -> str:
    address = base_url.rstrip("/") + path
    if method == "GET":
        return f"curl '{address}'"
    example = json.dumps(content["example"]) if content and "example" in content else ""
    if not example:
        return f"curl -X {method} '{address}'"
    return f"curl -X {method} '{address}' -H 'Content-Type: application/json' -d '{example}'"
