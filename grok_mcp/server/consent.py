"""Asks the user of a host whether a call may cost more than `GROK_MCP_CALL_LIMIT_USD`.

By elicitation in its form mode, with a form that has no fields: accepting it is the consent. Until 2025-11-25
that is a request of ours while the call waits; since 2026-07-28 it is the result of the call, and the client
repeats the call with the answer.
"""

import hashlib
import json
import re
from decimal import Decimal

import anyio
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types import (
    CallToolRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import ValidationError

from grok_mcp.errors import CallLimitError
from grok_mcp.messages import Consent
from grok_mcp.server.connection import Context

ANSWERED_S = 120.0
"""How long a user may take. Hosts without progress notes give up before, and cancel the call by that."""
KEY = "cost"
"""The question among the input requests of a result."""

_STATE = re.compile(r"(\d{1,15}(?:\.\d{1,30})?) ([0-9a-f]{64})", re.ASCII)
_CANNOT = "This host can't ask its user."
_REASONS = {"decline": "Its user declined that.", "cancel": "Its user dismissed the question."}


class Asking:
    """What one call has of its user: whether an answer came with it, and the way to ask.

    An answer counts for the amount and the arguments that it was asked for, which the client sends back as
    they are. They carry no seal: a client that would forge them could as well answer in place of its user.
    """

    def __init__(self, ctx: Context, params: CallToolRequestParams) -> None:
        self._ctx = ctx
        self._params = params
        self._by_result = ctx.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS

    def begin(self) -> tuple[bool, Consent]:
        """Whether the user can be asked now, and the consent that the call came with."""
        if not _can_ask(self._ctx, by_result=self._by_result):
            return False, Consent(reason=_CANNOT)
        asked_usd = self._asked_usd()
        answer = (self._params.input_responses or {}).get(KEY)
        if asked_usd is None or answer is None:
            return True, Consent()
        consent = _read(answer, asked_usd)
        return consent.granted_usd is not None, consent

    async def ask(self, error: CallLimitError) -> Consent | InputRequiredResult:
        """Ask for what the error is about: the answer, or the result that asks for it."""
        request = ElicitRequest(
            params=ElicitRequestFormParams(
                message=f"{error.question} Send it?", requested_schema={"type": "object", "properties": {}}
            )
        )
        if self._by_result:
            state = f"{error.usd:f} {self._digest}"
            return InputRequiredResult(input_requests={KEY: request}, request_state=state)
        with anyio.move_on_after(ANSWERED_S):
            try:
                answer = await self._ctx.session.send_request(
                    request,
                    ElicitResult,
                    metadata=ServerMessageMetadata(related_request_id=self._ctx.request_id),
                )
            except MCPError:
                return Consent(reason="Its user could not be asked: the host refused the question.")
            except ValidationError:
                return _read(None, error.usd)
            return _read(answer, error.usd)
        return Consent(reason=f"Its user was asked, and did not answer within {ANSWERED_S:g} s.")

    def _asked_usd(self) -> Decimal | None:
        """The amount that the client was asked about for just this call, None where it was not."""
        match = _STATE.fullmatch(self._params.request_state or "")
        return Decimal(match[1]) if match and self._by_result and match[2] == self._digest else None

    @property
    def _digest(self) -> str:
        called = json.dumps([self._params.name, self._params.arguments], sort_keys=True)
        return hashlib.sha256(called.encode()).hexdigest()


def _can_ask(ctx: Context, *, by_result: bool) -> bool:
    """Whether the client has declared the form mode; one that names no mode means it (2025-06-18)."""
    capabilities = ctx.session.client_capabilities
    declared = capabilities.elicitation if capabilities is not None else None
    if declared is None or (declared.form is None and declared.url is not None):
        return False
    return by_result or ctx.session.can_send_request


def _read(answer: object, usd: Decimal) -> Consent:
    """The consent in an answer, of whatever shape."""
    if not isinstance(answer, ElicitResult):
        return Consent(reason="The host's answer to that can't be read.")
    if answer.action == "accept":
        return Consent(granted_usd=usd)
    return Consent(reason=_REASONS[answer.action])
