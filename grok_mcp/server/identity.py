"""Who the server says it is. `server.py` builds it, and adds what it does."""

import base64
from functools import cached_property
from pathlib import Path
from typing import Any

from mcp.server.lowlevel import Server
from mcp_types import SERVER_INFO_META_KEY, DiscoverResult, Icon, RequestParams
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from grok_mcp.server.connection import Context

ICON = Path(__file__).with_name("icon.svg")


def icon() -> Icon:
    """The picture that hosts with windows may show; inside the text, so that nothing has to be fetched."""
    source = base64.b64encode(ICON.read_bytes().strip()).decode("ascii")
    return Icon(src=f"data:image/svg+xml;base64,{source}", mime_type="image/svg+xml", sizes=["any"])


class GrokServer(Server[Any]):
    """The SDK's server, with an icon that goes out once a connection.

    Since 2026-07-28 the SDK stamps the whole identity into every result. Nobody needs a picture with each
    answer: only the result of `server/discover` has it, as that of `initialize` had before.
    """

    async def discover(self, ctx: Context, params: RequestParams) -> DiscoverResult:
        """Answer `server/discover`, with the whole identity."""
        return DiscoverResult(
            supported_versions=list(MODERN_PROTOCOL_VERSIONS),
            capabilities=self.get_capabilities(protocol_version=ctx.protocol_version),
            instructions=self.instructions,
            _meta={SERVER_INFO_META_KEY: self._identity},
        )

    @property
    def server_info_stamp(self) -> dict[str, Any]:
        """What the SDK writes into each result that does not say it itself."""
        return {name: value for name, value in self._identity.items() if name != "icons"}

    @cached_property
    def _identity(self) -> dict[str, Any]:
        return self.server_info.model_dump(by_alias=True, mode="json", exclude_none=True)
