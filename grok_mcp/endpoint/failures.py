"""Decides what an endpoint's failure means: any status and any error body become one `GrokError`.

Pure: bytes and numbers in, an exception out, for refused requests and for errors inside a stream. The signs
come from the public documents and reports of xAI and the gateways; they are matched by words first, because
one status means different things at each. Patterns are compiled when first needed: no start should wait for
what only failures use.
"""

import math
import re
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from grok_mcp import bounds, errors
from grok_mcp.endpoint.error_bodies import ErrorBody, unsupported_parameter
from grok_mcp.errors import UpstreamError
from grok_mcp.gateways import within
from grok_mcp.redaction import quote

_GENERIC_STATUS = {
    "invalid-argument": 400,
    "invalid_request": 400,
    "bad_request": 400,
    "client specified an invalid argument": 400,
    "unauthenticated": 401,
    "permission-denied": 403,
    "the caller does not have permission": 403,
    "authentication_error": 401,
    "unauthorized": 401,
    "not-found": 404,
    "resource-exhausted": 429,
    "some resource has been exhausted": 429,
    "too_many_requests": 429,
    "resource_exhausted": 429,
    "rate_limit": 429,
    "ratelimit": 429,
    "throttling": 429,
    "internal_error": 500,
    "server_error": 500,
    "upstream_error": 500,
    "api_error": 500,
    "unavailable": 503,
    "overloaded": 503,
    "bad_gateway": 502,
    "request_timeout": 408,
    "gateway_timeout": 504,
    "deadline-exceeded": 504,
    "deadline_exceeded": 504,
    "timeout": 504,
}
"""Beginnings of `code` or `type` where a body comes without a meaningful status (200, or in a stream)."""

_AUTH = (
    r"incorrect api key|invalid api key|invalid_api_key|no credentials|unauthenticated"
    r"|\b(?:invalid|no)_token\b|token_(?:expired|mismatched)|api key (?:is )?(?:missing|required)"
    r"|api key not valid|api_key_invalid|无效的令牌"
)
_SAFETY = (
    r"usage guidelines|safety_check|content.?policy|content_filter|policy violation"
    r"|moderation|flagged|violates [^.]{0,60}(?:polic|guideline|terms of (?:service|use)|safety)"
    r"|content exists risk|inappropriate content|data_inspection_failed"
)
_CREDIT = (
    r"used all available credits|spending limit|insufficient (?:credits|balance|user quota|quota)"
    r"|insufficient_(?:user_)?quota|used_up|used up|out of credits|exceeded your current quota"
    r"|\bbalance\b|quota is not enough|pre_consume_token_quota_failed|quota (?:has been )?exhausted"
    r"|budget has been exceeded|budget_exceeded|exceeded budget|crossed budget"
    r"|exceeded(?:token)?budget|budget limit reached|billing[ _]hard[ _]limit|arrearage|key limit exceeded"
    r"|quota is exhausted|tokenstatusexhausted|doesn't have any credits|额度不足|额度已用尽|余额不足"
)
_SPENT = r"tokenstatusexhausted|额度已用尽|insufficient balance"
"""What one-api and its kind say with status 401 of a key that is good but used up."""
_LIVE_SEARCH = r"live search is deprecated|agent tools api"
_SEARCH_TOOL = (
    r"unknown variant `?(?:web_search|x_search)|untagged enum modeltoolchoice"
    r"|(?:unknown|unsupported|unrecognized)[^.]{0,100}(?:web_search|x_search|search_parameters|plugins)"
)
_NO_MODEL = (
    r"deploymentnotfound|\bmodels/\S{1,200} is not found|not_found_error.{0,40}\bmodel: |model_not_supported"
    r"|not supported model|\binvalid model grok|(?:selected|requested) model (?:is not|.{0,80}not) supported"
    r"|no allowed providers|no healthy deployments|llm provider not provided|model_disabled"
    r"|(?:\bmodel|grok).{0,200}\b(?:been discontinued|been sunset|end of life)\b"
    r"|模型不存在|无可用渠道|"
    r"model_not_found|no available channel|\bmodel\b.{0,200}\b(?:does not exist|not found|not exist)"
    r"|\b(?:does not exist|not found)\b.{0,200}\bmodel\b|no endpoints found"
    r"|is not a valid model|invalid model(?: name| id|:)|unknown model|unsupported model|no such model"
    r"|(?:\bmodel|grok).{0,200}\b(?:deprecated|retired|decommissioned|no longer (?:accessible|available))\b"
    r"|\b(?:deprecated(?! for this model)|retired|decommissioned)\b.{0,200}(?:\bmodel|grok)"
    r"|\bmodel\b.{0,200}\bmissing\b"
)
_TOO_LONG = (
    r"context[ _](?:length|window|size|limit)|maximum (?:prompt|context|model) length"
    r"|(?:prompt|input) is too long|too many (?:input )?tokens|token count (?:\(\d+\) )?exceeds"
    r"|range of input length|input tokens exceed|tokens of .{0,40} exceed max|request too large for model"
)
_NO_IMAGES = (
    r"image (?:input|content)s? (?:is|are) not supported|does not support (?:image|vision)"
    r"|(?<!endpoints found that )support image input|image_url is only supported|variant `?image_url"
    r"|not a multimodal model"
    r"|image input modality is not|unsupported content type: image|do not support images"
)
_UNAVAILABLE = (
    r"timed out waiting for first token|unavailable|overloaded|disconnected|no capacity|at capacity"
)
_LATE = r"deadline exceeded|request timeout|timed out"


class Endpoint(NamedTuple):
    """Whom an error sentence speaks of; `secrets` never appear in it."""

    title: str
    key_variable: str = "XAI_API_KEY"
    secrets: tuple[str, ...] = ()

    @property
    def mention(self) -> str:
        """Its title within a sentence."""
        return within(self.title)


def classify(
    body: ErrorBody,
    endpoint: Endpoint,
    *,
    status: int = 200,
    retry_after_s: float | None = None,
    request_id: str | None = None,
) -> UpstreamError:
    """The one error that this failure means. `status` is 200 for an error inside an answer."""
    effective = _effective_status(status, body)
    words = f"{body.code} {body.message}".lower()
    kind, advice, retryable = _kind_by_words(effective, words, endpoint) or _kind_by_status(effective)
    reason = quote(body.message or body.code, endpoint.secrets)
    answered = f"HTTP {status}" if status != 200 else "an error"
    sentence = f"{endpoint.title} answered {answered}"
    error = kind(
        f"{sentence}: “{reason}”." if reason else f"{sentence} without a reason.",
        advice,
        retryable=retryable,
        retry_after_s=retry_after_s,
        status=status if status != 200 else body.status,
        request_id=request_id,
    )
    if isinstance(error, errors.BadRequestError):
        error.parameter = unsupported_parameter(body)
    if retry_after_s is not None and error.retryable:
        error.advice = f"Wait {retry_after_s:.0f} s before the next call."
    return error


def _effective_status(status: int, body: ErrorBody) -> int:
    """The status that the body names where the HTTP status means nothing."""
    if status != 200:
        return status
    if body.status is not None and 300 <= body.status <= 599:
        return body.status
    for words in (body.code.lower(), body.message.lower()):
        if re.search(_UNAVAILABLE, words):
            return 503
        if re.search(_LATE, words):
            return 504
    for beginning, meant in _GENERIC_STATUS.items():
        if any(word.startswith(beginning) for word in (body.code.lower(), *body.code.lower().split())):
            return meant
    return 200


_Kind = tuple[type[UpstreamError], str, bool]
_WAIT = "Try again in a moment."
_AGAIN = "Try again; if it goes on, ask the endpoint's operator."


def _kind_by_words(status: int, words: str, endpoint: Endpoint) -> _Kind | None:
    if status == 410 or re.search(_LIVE_SEARCH, words) or re.search(_SEARCH_TOOL, words):
        advice = "Set GROK_MCP_SEARCH_DIALECT to one that the endpoint speaks."
        return errors.SearchUnavailableError, advice, False
    if status == 401 and re.search(_SPENT, words):
        status = 402
    if status == 401 or (status in (400, 200) and re.search(_AUTH, words)):
        advice = f"Check the key in {endpoint.key_variable}; a retry will not help."
        return errors.AuthenticationError, advice, False
    if status in (400, 403, 503, 200) and re.search(_SAFETY, words):
        return errors.ContentRefusedError, "Rephrase the request; a retry will not help.", False
    if status == 402 or (status in (400, 403, 429, 200) and re.search(_CREDIT, words)):
        advice = f"Top up or raise the limit of the account behind {endpoint.key_variable}."
        return errors.InsufficientCreditError, advice, False
    if status in (200, 400, 413, 422, 500) and re.search(_TOO_LONG, words):
        advice = "Shorten the prompt, or go on without conversation_id; a retry will not help."
        return errors.BadRequestError, advice, False
    if status in (200, 400, 404, 422, 500) and re.search(_NO_IMAGES, words):
        return errors.BadRequestError, "Leave the images out, or name another model.", False
    if re.search(_NO_MODEL, words) and status in (200, 400, 403, 404, 422, 503):
        advice = "Name another model in the call or in GROK_MCP_MODEL; a retry will not help."
        return errors.ModelNotFoundError, advice, False
    return None


_BY_STATUS: dict[int, _Kind] = {
    400: (errors.BadRequestError, "Change the request; a retry will not help.", False),
    403: (
        errors.PermissionDeniedError,
        "Check what this key may do; a retry will not help.",
        False,
    ),
    404: (errors.EndpointError, "Check the base URL; a retry will not help.", False),
    408: (errors.UpstreamTimeoutError, _WAIT, True),
    409: (errors.OverloadedError, _WAIT, True),
    413: (errors.BadRequestError, "Send less text or smaller images.", False),
    415: (
        UpstreamError,
        "This server and the endpoint do not understand each other; please report it.",
        False,
    ),
    422: (errors.BadRequestError, "Change the request; a retry will not help.", False),
    429: (errors.RateLimitError, "Wait before the next call.", True),
    502: (errors.OverloadedError, _WAIT, True),
    503: (errors.OverloadedError, _WAIT, True),
    504: (errors.UpstreamTimeoutError, _WAIT, True),
    524: (errors.UpstreamTimeoutError, _WAIT, True),
    529: (errors.OverloadedError, _WAIT, True),
}
_BY_STATUS[405] = _BY_STATUS[404]


def _kind_by_status(status: int) -> _Kind:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 300 <= status <= 399:
        return errors.EndpointError, "Redirects are not followed: set the final base URL.", False
    if status >= 500:
        return UpstreamError, _AGAIN, True
    return UpstreamError, "A retry is unlikely to help.", False


def retry_after_s(value: str | None) -> float | None:
    """Seconds from a `Retry-After` header, which holds seconds or a date; None where it can't be read."""
    if not value:
        return None
    with suppress(ValueError):
        seconds = float(value)
        return None if math.isnan(seconds) else min(max(seconds, 0.0), bounds.RETRY_AFTER_S)
    try:
        seconds = (parsedate_to_datetime(value).astimezone(UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None
    except OverflowError:
        return bounds.RETRY_AFTER_S
    return min(max(seconds, 0.0), bounds.RETRY_AFTER_S)
