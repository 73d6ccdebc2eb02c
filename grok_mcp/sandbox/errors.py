"""Refusals, in the words and the shape of xAI."""

import json
from typing import Any

JSON = dict[str, Any]

TEAM = "00000000-0000-0000-0000-000000000000"
UNAVAILABLE = "The service is currently unavailable"
NO_CREDIT = f"Your team {TEAM} has either used all available credits or reached its monthly spending limit."
WRONG_KEY = "Incorrect API key provided: wr***ng. You can obtain an API key from https://console.x.ai."
WRONG_BODY = "Failed to deserialize the JSON body into the target type"

_BY_STATUS = {
    400: ("invalid-argument", "Invalid argument."),
    401: ("unauthenticated:no-credentials", "No credentials provided"),
    402: ("payment-required", "Insufficient credits"),
    403: ("The caller does not have permission to execute the specified operation", NO_CREDIT),
    404: ("not-found", f"The model does not exist or your team {TEAM} does not have access to it."),
    410: (
        "gone",
        "Live search is deprecated. Please switch to the Agent Tools API:"
        " https://docs.x.ai/docs/guides/tools/overview",
    ),
    422: ("invalid-argument", f"{WRONG_BODY}: data did not match"),
    429: ("Some resource has been exhausted", "Too many requests"),
}


class RefusalError(Exception):
    """The sandbox refuses a request as the real endpoint would."""

    def __init__(self, status: int, message: str, *, code: str = "invalid-argument") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def refusal(status: int, message: str = "") -> RefusalError:
    """The refusal with the code, and unless there is a message the sentence, of a status."""
    code, sentence = _BY_STATUS.get(status, ("invalid-argument", f"Refused with status {status}."))
    if status >= 500:
        code, sentence = UNAVAILABLE, "Service temporarily unavailable."
    return RefusalError(status, message or sentence, code=code)


def no_model(name: object) -> RefusalError:
    """The refusal of a model that is not served."""
    return refusal(404, f"The model {name} does not exist or your team {TEAM} does not have access to it.")


def unknown_tool(place: int, kind: object) -> RefusalError:
    """The refusal of a server tool where there are only functions."""
    variant = f"tools[{place}].type: unknown variant `{kind}`, expected `function` or `live_search`"
    return refusal(422, f"{WRONG_BODY}: {variant} at line 1 column 118")


def error_body(error: RefusalError) -> tuple[bytes, str]:
    """An error body and its content type; that of a 422 is plain text."""
    if error.status == 422:
        return error.message.encode(), "text/plain; charset=utf-8"
    body = {"code": error.code, "error": error.message}
    return json.dumps(body, ensure_ascii=False).encode(), "application/json"
