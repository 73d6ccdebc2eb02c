"""Requests of the skills extension, which the SDK's client has no methods for."""

from typing import Any

from mcp.client import Client
from mcp_types import Request, Result, TextResourceContents

from tests.support.pace import within

SKILLS = "io.modelcontextprotocol/skills"


class AnyResult(Result, extra="allow"):
    """A result of whatever members."""


async def asked(client: Client, method: str, **params: Any) -> dict[str, Any]:
    """The result of this request, as it came."""
    request = Request[dict[str, Any], str](method=method, params=params)
    with within(20):
        result = await client.session.send_request(request, AnyResult)
    return result.model_dump(by_alias=True, exclude_unset=True)


async def read(client: Client, uri: str) -> str:
    """The text of the one file at this address."""
    (contents,) = (await client.read_resource(uri)).contents
    assert isinstance(contents, TextResourceContents)
    assert (contents.uri, contents.mime_type) == (uri, "text/markdown")
    return contents.text


def declared(client: Client) -> dict[str, Any]:
    """The extensions that the server declares."""
    return client.server_capabilities.extensions or {}
