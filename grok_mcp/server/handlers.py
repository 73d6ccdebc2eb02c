"""Answers to all requests but tool calls: resources, prompts, and completion of their arguments.

`server.py` registers these handlers. Prompts are imported where a host asks for them: many never do.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CompleteRequestParams,
    CompleteResult,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
)

from grok_mcp.errors import AnswerNotFoundError, OverloadedError
from grok_mcp.logs import log_internal_error
from grok_mcp.messages import account_of, owner_of
from grok_mcp.pipeline import Grok
from grok_mcp.server.card import CARD_URI, read_card
from grok_mcp.server.connection import Context, caller_of, group_of, is_remote, key_of, shows_cards
from grok_mcp.server.resources import (
    RESOURCES,
    Reader,
    list_resource_templates,
    list_resources,
    read_answer,
    read_resource,
)
from grok_mcp.server.results import ANSWERS
from grok_mcp.server.skills import read_skill_file

logger = logging.getLogger(__name__)


class OtherHandlers:
    """The handlers, on one endpoint."""

    def __init__(self, grok: Grok) -> None:
        self._grok = grok

    async def list_resources(
        self, ctx: Context, params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        """Answer `resources/list`."""
        return list_resources()

    async def list_resource_templates(
        self, ctx: Context, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        """Answer `resources/templates/list`: answers, by their id."""
        return list_resource_templates()

    async def read_resource(self, ctx: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        """Answer `resources/read`."""
        resource = RESOURCES.get(params.uri)
        key = key_of(ctx, self._grok.settings)
        if params.uri == CARD_URI:
            with _logged("the card"):
                return read_card()
        if resource is None and params.uri.startswith(ANSWERS):
            with _logged("an answer"):
                return await self._read_answer(params.uri, owner_of(caller_of(ctx), key))
        if resource is None:
            with _logged("a skill"):
                file = read_skill_file(params.uri)
            if file is not None:
                return file
            message = f"Unknown resource: {params.uri[:80]}"
            raise MCPError(code=INVALID_PARAMS, message=message, data={"uri": params.uri[:200]})
        account = account_of(caller_of(ctx), key)
        shows = shows_cards(ctx, self._grok.settings)
        reader = Reader(account, is_remote(ctx), group_of(ctx, self._grok), caller_of(ctx), shows)
        with _logged(resource.uri):
            return await read_resource(resource, self._grok, reader)

    async def _read_answer(self, uri: str, caller: str) -> ReadResourceResult:
        try:
            held = await self._grok.runs.look(uri.removeprefix(ANSWERS), caller)
        except AnswerNotFoundError as error:
            message = f"{error.message} {error.advice}"
            raise MCPError(code=INVALID_PARAMS, message=message, data={"uri": uri[:200]}) from None
        return read_answer(uri, held.outcome)

    async def list_prompts(self, ctx: Context, params: PaginatedRequestParams | None) -> ListPromptsResult:
        """Answer `prompts/list`."""
        from grok_mcp.server.prompts import list_prompts

        return list_prompts()

    async def get_prompt(self, ctx: Context, params: GetPromptRequestParams) -> GetPromptResult:
        """Answer `prompts/get`."""
        from grok_mcp.server.prompts import get_prompt

        with _logged("a prompt"):
            return get_prompt(params)

    async def complete(self, ctx: Context, params: CompleteRequestParams) -> CompleteResult:
        """Answer `completion/complete`."""
        from grok_mcp.server.prompts import complete

        with _logged("a completion"):
            return await complete(self._grok, params)


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """An internal error goes to the log; the client gets a reference, where the SDK might send it all."""
    try:
        yield
    except MCPError:
        raise
    except OverloadedError as overloaded:
        raise MCPError(code=INTERNAL_ERROR, message=f"{overloaded.message} {overloaded.advice}") from None
    except Exception:
        error = log_internal_error(logger, f"request for {what}")
        raise MCPError(code=INTERNAL_ERROR, message=f"{error.message} {error.advice}") from None
