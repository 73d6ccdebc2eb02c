"""What a host can read beside the tools: one `ResourceSpec` each. To add a resource, add one to `RESOURCES`.

`beside_tools.py` lists and serves them. Each is one JSON document.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from mcp_types import ListResourcesResult, ReadResourceResult, Resource, TextResourceContents

from grok_mcp.pipeline.grok import Grok

JSON_TYPE = "application/json"


class Reader(NamedTuple):
    """Who reads; `remote` on a network transport, else it is whoever runs this process."""

    caller: str
    remote: bool


class ResourceSpec(NamedTuple):
    """One resource: its published face, and what it holds when it is read."""

    uri: str
    name: str
    title: str
    description: str
    read: Callable[[Grok, Reader], Awaitable[Mapping[str, Any]]]


async def _models(grok: Grok, reader: Reader) -> Mapping[str, Any]:
    return await grok.catalog.published(grok.default_model)


async def _usage(grok: Grok, reader: Reader) -> Mapping[str, Any]:
    from grok_mcp.server.usage_report import usage_of  # read now and then, by a person

    return await usage_of(grok, reader.caller)


async def _config(grok: Grok, reader: Reader) -> Mapping[str, Any]:
    from grok_mcp.server.configuration import configuration  # the same

    return configuration(grok, whole=not reader.remote)


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
        ResourceSpec(
            "grok://config",
            "config",
            "Settings of the Grok server",
            "The settings in effect and where each is from, without secrets, and the gateway's facts.",
            _config,
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


async def read_resource(spec: ResourceSpec, grok: Grok, reader: Reader) -> ReadResourceResult:
    """What one resource holds now."""
    text = json.dumps(await spec.read(grok, reader), ensure_ascii=False, indent=1)
    return ReadResourceResult(contents=[TextResourceContents(uri=spec.uri, mime_type=JSON_TYPE, text=text)])
