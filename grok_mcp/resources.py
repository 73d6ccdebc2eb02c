"""What a host can read beside the tools: one `ResourceSpec` each. To add a resource, add one to `RESOURCES`.

`server.py` lists and serves them. Each is one JSON document.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from mcp_types import ListResourcesResult, ReadResourceResult, Resource, TextResourceContents

from grok_mcp.grok import Grok

JSON_TYPE = "application/json"


class ResourceSpec(NamedTuple):
    """One resource: its published face, and what it holds when it is read."""

    uri: str
    name: str
    title: str
    description: str
    read: Callable[[Grok, str], Awaitable[Mapping[str, Any]]]
    """From the endpoint's side of this process, and the name of the caller."""


async def _models(grok: Grok, caller: str) -> Mapping[str, Any]:
    return await grok.catalog.published(grok.default_model)


async def _usage(grok: Grok, caller: str) -> Mapping[str, Any]:
    from grok_mcp.usage_report import usage_of  # not before somebody asks

    return await usage_of(grok, caller)


RESOURCES: Mapping[str, ResourceSpec] = {
    spec.uri: spec
    for spec in (
        ResourceSpec(
            "grok://models",
            "models",
            "Grok models",
            "The models of this endpoint with prices, context windows and reasoning efforts.",
            _models,
        ),
        ResourceSpec(
            "grok://usage",
            "usage",
            "Usage and cost",
            "What your calls have used and cost: today, this month (UTC), in all, and by model.",
            _usage,
        ),
    )
}


def list_resources() -> ListResourcesResult:
    """The resources as they are published."""
    return ListResourcesResult(
        resources=[
            Resource(
                uri=spec.uri,
                name=spec.name,
                title=spec.title,
                description=spec.description,
                mime_type=JSON_TYPE,
            )
            for spec in RESOURCES.values()
        ]
    )


async def read_resource(spec: ResourceSpec, grok: Grok, caller: str) -> ReadResourceResult:
    """What one resource holds now."""
    text = json.dumps(await spec.read(grok, caller), ensure_ascii=False, indent=1)
    return ReadResourceResult(contents=[TextResourceContents(uri=spec.uri, mime_type=JSON_TYPE, text=text)])
