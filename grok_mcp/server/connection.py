"""What the connection says of a call: who makes it, what the client can show, whether it is still there."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.context import ServerRequestContext
from mcp_types import CLIENT_CAPABILITIES_META_KEY
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.requests import Request

from grok_mcp.errors import ConfigurationError, MissingKeyError
from grok_mcp.gateways import Gateway
from grok_mcp.messages import GROUP, GROUPS, LOCAL, OWN_KEY, CallerKey
from grok_mcp.pipeline import Grok
from grok_mcp.settings import Settings, bare, key_problem

Context = ServerRequestContext[Any]

APPS_EXTENSION = "io.modelcontextprotocol/ui"
CARD_TYPE = "text/html;profile=mcp-app"
"""The media type of cards, which hosts name in what they declare (MCP Apps, 2026-01-26)."""
STREAMED = "grok_mcp.streamed"
"""Key in the ASGI scope of requests whose response is what the caller waits for."""

KEY_HEADER = "X-Grok-Api-Key"
"""In which callers send keys of their own for the endpoint; never logged."""

GONE_CHECK_S = 0.25
GONE_AFTER_S = 5.0


def caller_of(ctx: Context) -> str:
    """The name of the caller, as authentication has established it."""
    user = ctx.request.scope.get("user") if isinstance(ctx.request, Request) else None
    if not isinstance(user, AuthenticatedUser):
        return LOCAL
    name = user.access_token.subject or user.access_token.client_id
    is_ours = name == LOCAL or name.endswith(OWN_KEY)  # for somebody else, or for what another pays herself
    return f"{name} (by token)" if is_ours else name


def key_of(ctx: Context, settings: Settings) -> CallerKey | None:
    """The caller's own key for the endpoint, where this server takes such keys and one has come that may be
    one.
    """
    if settings.caller_keys == "off":
        return None
    sent = _sent_key(ctx)
    key = bare(sent or "")
    return CallerKey(key, f"the header {KEY_HEADER}") if sent and key_problem(key) is None else None


def check_key(ctx: Context, settings: Settings, gateway: Gateway) -> None:
    """Refuse a call whose caller sends a key that is not used, or none where each has to.

    Raises ConfigurationError, MissingKeyError.
    """
    if not is_remote(ctx):
        return
    sent, how = _sent_key(ctx), settings.caller_keys
    if sent is None and how == "required":
        raise MissingKeyError(
            "This server uses the key of each caller, and none has come: nothing was sent.",
            f"Have your host send your key for {gateway.mention} in the header {KEY_HEADER}.",
        )
    if sent is not None and how == "off":
        raise ConfigurationError(
            "This server takes no keys of callers: nothing was sent.",
            f"Leave the header {KEY_HEADER} out, or have GROK_MCP_CALLER_KEYS set to allowed where this "
            "server is configured.",
        )
    if sent is not None and (problem := key_problem(bare(sent))):
        raise MissingKeyError(
            f"The header {KEY_HEADER} {problem}: nothing was sent to {gateway.mention}.",
            "Correct it where your host is configured, or leave it out."
            if how == "allowed"
            else "Correct it where your host is configured.",
        )


def _sent_key(ctx: Context) -> str | None:
    """What stands in the header, None where there is none."""
    return ctx.request.headers.get(KEY_HEADER) if isinstance(ctx.request, Request) else None


def transport_of(ctx: Context) -> str:
    """The transport that a call came by, as the settings name it."""
    if not isinstance(ctx.request, Request):
        return "stdio"
    return "streamable-http" if ctx.request.scope.get(STREAMED) else "sse"


def group_of(ctx: Context, grok: Grok) -> str:
    """The group of the caller: that of its line in the token file, else the first that its JWT names and the
    limits do too; empty for none.
    """
    user = ctx.request.scope.get("user") if isinstance(ctx.request, Request) else None
    if not isinstance(user, AuthenticatedUser):
        return ""
    claims = user.access_token.claims or {}
    if GROUP in claims:
        return str(claims[GROUP])
    return grok.quotas.group_of(claims.get(GROUPS, ())) if grok.quotas is not None else ""


def is_remote(ctx: Context) -> bool:
    """Whether the caller is on a network transport, also where nobody has to say who they are."""
    return isinstance(ctx.request, Request)


def extensions_of(ctx: Context) -> Mapping[str, Any]:
    """The extensions that the client has: as this request declares them, else as its handshake did."""
    capabilities = ((ctx.params or {}).get("_meta") or {}).get(CLIENT_CAPABILITIES_META_KEY)
    if isinstance(capabilities, Mapping):
        declared = capabilities.get("extensions")
    else:
        declared = getattr(ctx.session.client_capabilities, "extensions", None)
    return declared if isinstance(declared, Mapping) else {}


def shows_cards(ctx: Context, settings: Settings) -> bool:
    """Whether the host shows the card beside an answer: as the setting says, else as the client declares.

    Those that name the media types of what they show have to name ours; `instant/plain.py` judges the same.
    """
    if settings.card != "auto":
        return settings.card == "on"
    declared = extensions_of(ctx).get(APPS_EXTENSION)
    if not isinstance(declared, Mapping):
        return False
    shown = declared.get("mimeTypes", [CARD_TYPE])
    return isinstance(shown, list) and CARD_TYPE in shown


@asynccontextmanager
async def while_connected(ctx: Context) -> AsyncIterator[None]:
    """Cancel what runs inside once the client has closed the response and stayed away for a while.

    Before 2026-07-28 the protocol does not call that a cancellation, but hosts give up that way, and nobody
    could receive the answer. For later clients the SDK cancels at once.
    """
    request = ctx.request
    if (
        not isinstance(request, Request)
        or not request.scope.get(STREAMED)
        or ctx.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS
    ):
        yield
        return
    async with anyio.create_task_group() as group:
        group.start_soon(_cancel_when_gone, request, group.cancel_scope)
        yield
        group.cancel_scope.cancel()


async def _cancel_when_gone(request: Request, scope: anyio.CancelScope) -> None:
    while not await request.is_disconnected():
        await anyio.sleep(GONE_CHECK_S)
    await anyio.sleep(GONE_AFTER_S)
    scope.cancel()
