"""Every error that a caller can get, as one tree.

    GrokError
    ├── ConfigurationError             a setting is missing or wrong
    │   └── MissingKeyError            there is no key to send; nothing was sent
    ├── InvalidArgumentError           the tool's argument is wrong; nothing was sent
    ├── ConversationNotFoundError      unknown or expired `conversation_id`
    ├── BudgetError                    what may be spent in a day is spent; nothing was sent
    ├── QuotaError                     the requests or tokens of a minute are used up; nothing was sent
    ├── ModelNotAllowedError           the caller may not use the model; nothing was sent
    ├── CallLimitError                 the call may cost more than one call may; nothing was sent
    ├── AnswerNotFoundError            unknown or expired `answer_id`
    ├── CancelledCallError             the caller has ended the call
    ├── InternalError                  a bug of ours; the log has the traceback
    ├── UpstreamError                  the endpoint failed, or answered what can't be read
    │   ├── UpstreamConnectionError    no connection, or reset before any byte
    │   ├── UpstreamTimeoutError       deadline, idle time or a status that says so
    │   ├── BadRequestError            the endpoint refuses the request
    │   ├── AuthenticationError        wrong or missing key
    │   ├── PermissionDeniedError      the key may not do this
    │   ├── InsufficientCreditError    credits or spending limit used up
    │   ├── ModelNotFoundError         no such model for this key
    │   ├── RateLimitError             too many requests
    │   ├── OverloadedError            no capacity at the moment
    │   ├── ContentRefusedError        the request was refused for safety
    │   ├── EndpointError              wrong path or address: a setting has to change
    │   └── SearchUnavailableError     no search at this endpoint
    └── AnswerError                    an answer came and can't be used
        ├── ContentFilterError         the answer was stopped for safety
        ├── LengthError                cut at the token limit
        ├── InterruptedAnswerError     the stream broke
        └── SchemaMismatchError        not valid against the caller's schema

`server/call.py` is the one place that turns them into results.
"""

from decimal import Decimal
from typing import Any, ClassVar

from grok_mcp import bounds
from grok_mcp.usage import Usage


class GrokError(Exception):
    """A failure with a code, what failed, and what to do next.

    `retry_after_s` is in seconds, `usage` what the failed call has spent. `message` and `advice` are
    whole sentences without any secret. `gate` is what refuses a call with it where nothing was sent.
    """

    code: ClassVar[str] = "internal"
    retryable: bool = False
    gate: str = ""

    def __init__(
        self,
        message: str,
        advice: str = "",
        *,
        retryable: bool | None = None,
        retry_after_s: float | None = None,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        if retryable is not None:
            self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.status = status
        self.request_id = request_id
        self.usage: Usage | None = None
        self.attachment = ""

    @property
    def text(self) -> str:
        """The one paragraph that the model reads; an attachment, if any, follows it."""
        text = f"[{self.code}] {self.message} {self.advice}".rstrip()[: bounds.ERROR_TEXT_CHARACTERS]
        return f"{text}\n\n{self.attachment}" if self.attachment else text

    def to_dict(self) -> dict[str, Any]:
        """The machine part of an error result."""
        known: dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "retryable": self.retryable,
            "retry_after_s": self.retry_after_s,
            "status": self.status,
            "request_id": self.request_id,
            "usage": self.usage.to_dict() if self.usage else None,
        }
        return {name: value for name, value in known.items() if value is not None}


class ConfigurationError(GrokError):
    """A setting is missing or wrong."""

    code = "configuration"
    gate = "configuration"


class MissingKeyError(ConfigurationError):
    """There is no key for the endpoint; nothing was sent."""

    gate = "key"


class InvalidArgumentError(GrokError):
    """An argument of the tool call is wrong; nothing was sent."""

    code = "invalid_argument"
    gate = "arguments"


class ConversationNotFoundError(GrokError):
    """The `conversation_id` is unknown, expired, or somebody else's."""

    code = "conversation_not_found"
    gate = "arguments"


class BudgetError(GrokError):
    """What a caller, or its group, may spend in a day is spent, or bound by calls in flight; nothing was
    sent.
    """

    code = "budget"
    gate = "budget"
    retryable = True


class QuotaError(GrokError):
    """The requests or tokens a minute of a caller, or of its group, are used up; nothing was sent."""

    code = "rate_limited"
    gate = "quota"
    retryable = True


class ModelNotAllowedError(GrokError):
    """The caller may not use the model, by the operator's limits; nothing was sent."""

    code = "permission"
    gate = "permission"


class CallLimitError(GrokError):
    """The call may cost more than one call may, and nobody has agreed to it; nothing was sent.

    `usd` is what it may cost, `question` the same for whoever can agree to it.
    """

    code = "call_limit"
    gate = "call_limit"
    usd = Decimal(0)
    question = ""


class AnswerNotFoundError(GrokError):
    """The `answer_id` is unknown, expired, or somebody else's."""

    code = "answer_not_found"
    gate = "arguments"


class CancelledCallError(GrokError):
    """The caller has ended the call; what it had spent by then is in the ledger."""

    code = "cancelled"


class InternalError(GrokError):
    """A bug of this program; the log holds the traceback under the reference in the message."""

    code = "internal"


class UpstreamError(GrokError):
    """The endpoint failed, or answered something that can't be read."""

    code = "upstream"


class UpstreamConnectionError(UpstreamError):
    """No connection to the endpoint, or it was reset before any byte."""

    code = "connection"
    retryable = True


class UpstreamTimeoutError(UpstreamError):
    """The endpoint took too long."""

    code = "timeout"


class BadRequestError(UpstreamError):
    """The endpoint refuses the request; `parameter` names the unsupported one where it is named."""

    code = "invalid_argument"
    parameter: str | None = None


class AuthenticationError(UpstreamError):
    """The key is wrong or missing."""

    code = "authentication"


class PermissionDeniedError(UpstreamError):
    """The key may not do this."""

    code = "permission"
    gate = "permission"


class InsufficientCreditError(UpstreamError):
    """Credits, quota or the spending limit are used up."""

    code = "insufficient_credit"


class ModelNotFoundError(UpstreamError):
    """The model does not exist, or not for this key."""

    code = "model_not_found"


class RateLimitError(UpstreamError):
    """Too many requests."""

    code = "rate_limited"
    gate = "quota"
    retryable = True


class OverloadedError(UpstreamError):
    """The endpoint has no capacity at the moment."""

    code = "overloaded"
    gate = "capacity"
    retryable = True


class EndpointError(UpstreamError):
    """The address or path is wrong: a setting has to change."""

    code = "configuration"


class ContentRefusedError(UpstreamError):
    """The endpoint refused the request for safety."""

    code = "content_filter"


class SearchUnavailableError(UpstreamError):
    """The endpoint can't search in the requested way."""

    code = "search_unavailable"


class AnswerError(GrokError):
    """An answer came and can't be used."""

    code = "upstream"


class ContentFilterError(AnswerError):
    """The answer was stopped for safety."""

    code = "content_filter"


class LengthError(AnswerError):
    """The answer was cut at the token limit."""

    code = "length"


class InterruptedAnswerError(AnswerError):
    """The answer broke off."""

    code = "interrupted"
    retryable = True


class SchemaMismatchError(AnswerError):
    """The answer is not valid against the caller's schema."""

    code = "schema_mismatch"
