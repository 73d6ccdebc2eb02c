"""The folders that a call's files may be read from: those of the settings, else those that the host declares.

A host's own word counts on stdio only, where it runs on this machine and as this user. Until 2025-11-25 its
folders are asked for while the call waits; since 2026-07-28 the question is the result of the call, which the
client repeats with the answer. Hosts keep declaring them, though the protocol plans to leave them out.
"""

import os
import time
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import anyio
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types import (
    CallToolRequestParams,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    NotificationParams,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import ValidationError

from grok_mcp import bounds
from grok_mcp.server.connection import Context, is_remote
from grok_mcp.settings import Settings

ANSWERED_S = 10.0
"""How long a host may take to say what its folders are."""
KNOWN_FOR_S = 300.0
"""How long they are believed: longer than a user may take over a question about the same call."""
UNANSWERED_FOR_S = 30.0
"""How long a host that did not say it is left alone."""
KEY = "roots"
"""The question among the input requests of a result."""


class Roots:
    """The folders of one server, and what the host on its stdio has declared."""

    def __init__(self, settings: Settings) -> None:
        self._words = settings.file_roots
        self._declared: tuple[Path, ...] = ()
        self._known_until = 0.0

    async def of(self, ctx: Context, params: CallToolRequestParams) -> tuple[Path, ...] | InputRequiredResult:
        """The folders for one call, or the result that asks its client for them."""
        named = tuple(Path(word) for word in self._words if word not in ("cwd", "none"))
        if "none" in self._words:
            return ()
        if named or is_remote(ctx):
            return (*named, *self._working_folder())
        if time.monotonic() < self._known_until or not self._declares(ctx):
            return self._declared or self._working_folder()
        if ctx.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS:
            await self._keep(await self._ask(ctx))
        else:
            answer = (params.input_responses or {}).get(KEY)
            if answer is None:
                return InputRequiredResult(input_requests={KEY: ListRootsRequest()})
            await self._keep(answer)
        return self._declared or self._working_folder()

    async def changed(self, ctx: Context, params: NotificationParams | None) -> None:
        """The host has other folders now."""
        self._known_until = 0.0

    def _working_folder(self) -> tuple[Path, ...]:
        if "cwd" not in self._words:
            return ()
        try:
            return (Path(os.getcwd()),)
        except OSError:  # it is gone
            return ()

    def _declares(self, ctx: Context) -> bool:
        capabilities = ctx.session.client_capabilities
        return capabilities is not None and capabilities.roots is not None

    async def _ask(self, ctx: Context) -> object:
        """What the client answers, None where it does not."""
        if not ctx.session.can_send_request:
            return None
        with anyio.move_on_after(ANSWERED_S):
            try:
                return await ctx.session.send_request(
                    ListRootsRequest(),
                    ListRootsResult,
                    metadata=ServerMessageMetadata(related_request_id=ctx.request_id),
                )
            except (MCPError, ValidationError):
                return None
        return None

    async def _keep(self, answer: object) -> None:
        roots = answer.roots if isinstance(answer, ListRootsResult) else []
        found = [_path(str(root.uri)) for root in roots[: bounds.FILES]]
        # The whole disk is no project: some hosts declare it where no folder is open.
        from grok_mcp.files import Folders  # only calls with files need it

        paths = [path for path in found if path is not None]
        self._declared = ()
        with anyio.move_on_after(ANSWERED_S):  # their disk may be gone
            self._declared = await anyio.to_thread.run_sync(Folders.declared, paths, abandon_on_cancel=True)
        self._known_until = time.monotonic() + (KNOWN_FOR_S if found else UNANSWERED_FOR_S)


def _path(uri: str) -> Path | None:
    """The folder of a `file://` address."""
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    path = Path(url2pathname(parts.path))
    return path if path.is_absolute() and "\0" not in str(path) else None
