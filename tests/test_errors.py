"""Whatever an endpoint does wrong becomes one clear sentence, after the right number of requests."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import pytest
import stamina
from dirty_equals import IsPartialDict, IsStr

from grok_mcp import errors
from tests.support.endpoint import Endpoint, Reply, Request, body, chat, events, sse
from tests.support.host import host_on
from tests.support.pace import within
from tests.support.payloads import PAYLOADS
from tests.support.side_by_side import Asked, side_by_side

pytestmark = pytest.mark.anyio

ERRORS = json.loads((PAYLOADS / "09_errors_all_shapes.json").read_text(encoding="utf-8"))
CODES = {
    "auth": "authentication",
    "bad_request": "invalid_argument",
    "model_not_found": "model_not_found",
    "quota": "insufficient_credit",
    "rate_limit": "rate_limited",
    "content_policy": "content_filter",
    "search_dialect_gone": "search_unavailable",
    "upstream_unavailable": "overloaded",
}
SPECIAL = {"xai_chat_rejects_tool_type": "search_unavailable", "cloudflare_html": "timeout"}


def code_due(case: dict[str, Any]) -> str:
    return SPECIAL.get(case["name"], CODES[case["class"]])


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: case["name"])
@pytest.mark.parametrize("retries", [0, 2])
async def test_a_known_error_body_gets_its_code_and_number_of_requests(
    case: dict[str, Any], retries: int
) -> None:
    reply = body(case["body"], status=case["status"], content_type=case["content_type"])
    async with Endpoint(reply) as endpoint:
        async with host_on(endpoint, max_retries=retries) as host:
            result = await host.ask()
    retried = case["retry"] == "yes_backoff"
    assert result.error == IsPartialDict(code=code_due(case), retryable=retried, gateway="generic")
    assert len(endpoint.requests) == (1 + retries if retried else 1)
    assert len(result.text) < 2_000
    assert "xa***" not in result.text


OBJECTS = [case for case in ERRORS if isinstance(case["body"], dict)]
UNTOLD = {"xai_error_only_string", "fastapi_detail"}
"""Their bodies have words only: without a status, nobody can tell what they mean."""
TEXT = b'data: {"choices": [{"index": 0, "delta": {"content": "Half an ans"}}]}\n\n'


def in_stream(case: dict[str, Any], *before: bytes) -> Asked:
    """The error of this row as a `data:` line of a stream that began well."""
    said = case["body"] if isinstance(case["body"], str) else json.dumps(case["body"])
    return Asked(Reply((*before, f"data: {said}\n\n".encode(), b"data: [DONE]\n\n")))


@pytest.mark.parametrize("retries", [0, 2])
async def test_an_error_inside_a_stream_before_any_content_has_the_code_that_its_body_tells(
    retries: int,
) -> None:
    cases = ERRORS
    results = await side_by_side([in_stream(case) for case in cases], max_retries=retries)
    due = {}
    for case in cases:
        told = case in OBJECTS and case["name"] not in UNTOLD
        retried = told and case["retry"] == "yes_backoff"
        due[case["name"]] = (code_due(case) if told else "upstream", 1 + retries if retried else 1)
    came = {
        case["name"]: (result.error["code"], requests)
        for case, (result, requests) in zip(cases, results, strict=True)
    }
    assert came == due


def words_of(case: dict[str, Any]) -> str:
    """The beginning of what an error body says, in whichever shape."""
    error = case["body"].get("error", case["body"])
    words: str = error if isinstance(error, str) else error.get("message") or error["detail"]
    return words.partition(":")[0][:40]


async def test_an_error_inside_a_stream_behind_content_is_quoted_below_what_came_and_never_retried() -> None:
    asked = [in_stream(case, TEXT) for case in OBJECTS]
    results = await side_by_side(asked, max_retries=2, results="structured")
    for case, (result, requests) in zip(OBJECTS, results, strict=True):
        assert result.structured["text"] == "Half an ans", case["name"]
        assert result.structured["finish_reason"] == "interrupted"
        (warning,) = result.structured["warnings"]
        assert warning.startswith("The answer is incomplete: [")
        assert words_of(case) in warning
        assert requests == 1, case["name"]


def code_of(status: int) -> tuple[str, bool]:
    """The row of the taxonomy for a status whose body says nothing."""
    rows = {
        400: ("invalid_argument", False),
        401: ("authentication", False),
        402: ("insufficient_credit", False),
        403: ("permission", False),
        404: ("configuration", False),
        405: ("configuration", False),
        408: ("timeout", True),
        409: ("overloaded", True),
        410: ("search_unavailable", False),
        413: ("invalid_argument", False),
        415: ("upstream", False),
        422: ("invalid_argument", False),
        429: ("rate_limited", True),
        502: ("overloaded", True),
        503: ("overloaded", True),
        504: ("timeout", True),
        524: ("timeout", True),
        529: ("overloaded", True),
    }
    return rows.get(status, ("upstream", status >= 500))


async def test_every_status_from_400_to_599_gets_one_code_and_at_most_the_retries_that_are_due() -> None:
    async with Endpoint() as endpoint:
        async with host_on(endpoint, max_retries=1, gateway="nebula") as host:
            for status in range(400, 600):
                endpoint.replies = [body("", status=status)]
                endpoint.requests.clear()
                error = (await host.ask()).error
                code, retried = code_of(status)
                assert error == IsPartialDict(code=code, retryable=retried, status=status)
                assert len(endpoint.requests) == 1 + retried, status


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed_so_the_key_stays_at_the_configured_host(status: int) -> None:
    async with Endpoint() as other, Endpoint(body("", status=status, location=other.url)) as endpoint:
        async with host_on(endpoint, gateway="nebula") as host:
            error = (await host.ask()).error
    assert error["code"] == "configuration"
    assert other.requests == []
    assert len(endpoint.requests) == 1


KEY = "xai-AbCdEf0123456789AbCdEf0123456789"


@pytest.mark.parametrize(
    "leak",
    [
        f"Incorrect API key provided: {KEY}",
        f"token={KEY} is bad",
        f"Authorization: Bearer {KEY}",
        "key sk-or-v1-0123456789abcdef is bad",
        "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl expired",
    ],
)
async def test_no_key_that_an_endpoint_quotes_reaches_the_host(leak: str) -> None:
    async with Endpoint(body({"error": leak}, status=400)) as endpoint:
        async with host_on(endpoint, XAI_API_KEY=KEY) as host:
            result = await host.ask()
    shown = result.raw.model_dump_json()
    assert "***" in shown
    for secret in (KEY, KEY[4:20], "0123456789abcdef", "eyJhbGci"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"XAI_API_KEY": "x"}, "Some context exceeds the maximum"),
        ({"gateway": "sandbox"}, "The sandbox is closed"),
    ],
)
async def test_a_key_that_is_no_secret_takes_no_words_apart(settings: dict[str, Any], words: str) -> None:
    async with Endpoint(body({"error": words}, status=400)) as endpoint:
        async with host_on(endpoint, **settings) as host:
            assert words in (await host.ask()).text


KEY_LIKE = re.compile(
    r"(?:xai|sk)-[A-Za-z0-9]{4,}|bearer\s+[A-Za-z0-9._-]{4,}|eyJ[A-Za-z0-9_-]{4,}", re.IGNORECASE
)
KEYS = (
    "xai-AbCdEf0123456789AbCdEf sk-or-v1-0123456789abcdef Bearer AbCdEf.0123456789 "
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl "
)


def with_keys(said: Any) -> Any:
    """An error body with keys in front of each of its words."""
    if isinstance(said, dict):
        return {name: with_keys(value) for name, value in said.items()}
    return KEYS + said if isinstance(said, str) else said


@pytest.mark.parametrize("dirty", [False, True], ids=["as it is", "with keys in all its words"])
async def test_no_row_of_the_known_errors_shows_anything_like_a_key(dirty: bool) -> None:
    cases = [{**case, "body": with_keys(case["body"])} if dirty else case for case in ERRORS]
    asked = []
    for case in cases:
        refused = body(case["body"], status=case["status"], content_type=case["content_type"])
        asked += [Asked(refused), in_stream(case), in_stream(case, TEXT)]
    results = await side_by_side(asked, max_retries=0, XAI_API_KEY=KEY)
    assert len(KEY_LIKE.findall(KEYS)) == 4
    for result, _ in results:
        handle = r"conv_[\w-]+"  # random, so it may look like anything
        assert not KEY_LIKE.search(re.sub(handle, "", result.raw.model_dump_json()))


async def test_upstream_text_is_quoted_short_and_without_control_characters() -> None:
    words = "bad\x1b[31m request\u202e " + "very " * 200
    async with Endpoint(body({"error": words}, status=400)) as endpoint, host_on(endpoint) as host:
        text = (await host.ask()).text
    assert len(text) < 450
    assert "\x1b" not in text and "\u202e" not in text


async def test_of_a_refusal_that_does_not_end_64_kib_are_read() -> None:
    refused = Reply((b"very " * 1_639,) * 8, status=400, content_type="text/plain", end="hang")
    async with Endpoint(refused) as endpoint, host_on(endpoint, max_retries=0) as host:
        with within(5):
            result = await host.ask()
    assert result.error["code"] == "invalid_argument"
    assert len(result.text) < 450


@pytest.mark.parametrize("kind", [errors.GrokError, errors.ConfigurationError, errors.UpstreamError])
def test_the_text_of_any_error_is_bounded(kind: type[errors.GrokError]) -> None:
    text = kind("A long story. " * 1_000, "Do this. " * 1_000).text
    assert text.startswith(f"[{kind.code}] A long story.")
    assert len(text) == 1_990


async def test_the_text_of_an_error_about_a_very_long_argument_is_bounded() -> None:
    async with Endpoint(chat("Hi.")) as endpoint, host_on(endpoint) as host:
        result = await host.ask(temperature="x" * 100_000, options={"x" * 100_000: 1})
    assert result.error["code"] == "invalid_argument"
    assert len(result.text) < 2_000
    assert endpoint.requests == []


async def test_a_wait_that_the_endpoint_asks_for_in_seconds_is_kept_and_the_call_succeeds() -> None:
    refused = body({"error": "Too many requests"}, status=429, retry_after="0")
    async with Endpoint(refused, chat("At last.")) as endpoint, host_on(endpoint) as host:
        result = await host.ask()
    assert "At last." in result.text
    assert len(endpoint.requests) == 2


async def test_a_wait_beyond_the_deadline_fails_at_once_and_says_how_long_to_wait() -> None:
    refused = body({"error": "Too many requests"}, status=429, retry_after="3600")
    async with Endpoint(refused) as endpoint, host_on(endpoint) as host:
        result = await host.ask()
    assert result.error == IsPartialDict(code="rate_limited", retry_after_s=3600.0)
    assert "Wait 3600 s" in result.text
    assert len(endpoint.requests) == 1


async def test_a_wait_may_be_given_as_a_date() -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    refused = body({"error": "Too many requests"}, status=429, retry_after=when)
    async with Endpoint(refused) as endpoint, host_on(endpoint) as host:
        error = (await host.ask()).error
    assert 7_000 < error["retry_after_s"] <= 7_200


async def test_a_wait_of_either_form_is_really_waited_for() -> None:
    def in_two_seconds() -> str:
        return format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)

    async def pause_s(wait: Callable[[], str]) -> float:
        def choose(request: Request) -> Reply:
            if len(endpoint.requests) > 1:
                return chat("At last.")
            return body("", status=429, retry_after=wait())

        async with Endpoint(choose=choose) as endpoint, host_on(endpoint) as host:
            assert "At last." in (await host.ask()).text
        first, second = endpoint.requests
        return second.at - first.at

    pauses: dict[str, float] = {}

    async def measure(form: str, wait: Callable[[], str]) -> None:
        pauses[form] = await pause_s(wait)

    with stamina.set_testing(False):
        async with anyio.create_task_group() as group:
            group.start_soon(measure, "seconds", lambda: "1")
            group.start_soon(measure, "date", in_two_seconds)
    assert 0.9 <= pauses["seconds"] < 3
    assert 0.5 <= pauses["date"] < 4  # a date has whole seconds only


@pytest.mark.parametrize(
    ("wait", "requests"),
    [
        ("-5", 3),
        ("-inf", 3),
        ("nan", 3),
        ("soon", 3),
        ("", 3),
        ("0x10", 3),
        ("1 second", 3),
        ("Fri, 99 Foo", 3),
        ("Fri, 31 Dec 99999 23:59:59 GMT", 3),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 3),
        ("Sun Nov  6 08:49:37 1994", 3),
        ("999999999", 1),
        ("10000000000", 1),
        ("inf", 1),
        ("Fri, 31 Dec 9999 23:59:59 -1200", 1),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 1),
    ],
)
async def test_a_wait_that_makes_no_sense_is_no_wait_and_one_that_is_enormous_no_retry(
    wait: str, requests: int
) -> None:
    async with Endpoint(body("", status=429, **{"Retry-After": wait})) as endpoint:
        async with host_on(endpoint, max_retries=2) as host:
            error = (await host.ask()).error
    assert error == IsPartialDict(code="rate_limited", retryable=True)
    assert error.get("retry_after_s", 0) >= 0
    assert len(endpoint.requests) == requests


async def test_nothing_is_sent_again_once_content_has_come() -> None:
    broken = Reply(chat("Half an ans").pieces[:1], end="cut")
    async with Endpoint(broken) as endpoint, host_on(endpoint, results="structured") as host:
        answer = (await host.ask()).structured
    assert answer["text"] == "Half an ans"
    assert answer["finish_reason"] == "interrupted"
    assert answer["warnings"] == [IsStr(regex=r"The answer is incomplete: \[connection\] .*")]
    assert len(endpoint.requests) == 1


async def test_reasoning_counts_as_content_so_a_break_behind_it_is_an_error_and_no_retry() -> None:
    thought = {"choices": [{"index": 0, "delta": {"reasoning_content": "Hm."}}]}
    async with Endpoint(events(thought, done=False)) as endpoint, host_on(endpoint) as host:
        error = (await host.ask()).error
    assert error["code"] == "interrupted"
    assert len(endpoint.requests) == 1


async def test_a_connection_that_breaks_before_any_byte_is_tried_again() -> None:
    async with Endpoint(Reply(end="cut"), chat("Here.")) as endpoint, host_on(endpoint) as host:
        assert "Here." in (await host.ask()).text
    assert len(endpoint.requests) == 2


async def test_an_endpoint_that_is_not_there_is_a_connection_error() -> None:
    async with host_on("http://127.0.0.1:9/v1", max_retries=0) as host:
        result = await host.ask()
    assert result.error == IsPartialDict(code="connection", retryable=True)
    assert "127.0.0.1:9" in result.text


async def test_a_silent_endpoint_ends_at_the_idle_timeout() -> None:
    async with Endpoint(Reply(end="silent")) as endpoint:
        async with host_on(endpoint, idle_timeout=0.2) as host:
            result = await host.ask()
    assert result.error["code"] == "timeout"
    assert "GROK_MCP_IDLE_TIMEOUT" in result.text
    assert len(endpoint.requests) == 1


async def test_a_call_ends_at_its_deadline_with_what_has_come() -> None:
    slow = Reply(chat("So far").pieces[:1], end="hang")
    async with Endpoint(slow) as endpoint:
        async with host_on(endpoint, timeout=0.3, results="structured") as host:
            answer = (await host.ask()).structured
        await endpoint.closed.wait()
    assert answer["text"] == "So far"
    assert answer["finish_reason"] == "interrupted"
    assert "GROK_MCP_TIMEOUT" not in answer["text"]


async def test_a_deadline_without_any_text_is_a_timeout_error() -> None:
    async with Endpoint(Reply(end="silent")) as endpoint, host_on(endpoint, timeout=0.2) as host:
        result = await host.ask()
    assert result.error["code"] == "timeout"
    assert "GROK_MCP_TIMEOUT" in result.text


@dataclass(frozen=True)
class Unusable:
    """An answer that holds nothing, and the code that says so."""

    name: str
    reply: Reply
    code: str


UNUSABLE = [
    Unusable("an empty stream", sse(""), "connection"),
    Unusable("an empty body", sse("", content_type="application/json"), "connection"),
    Unusable("a stream of blank lines", sse("\n\n \n"), "connection"),
    Unusable("a stream that only keeps alive", sse(": ping\n\ndata: ping\n\n"), "connection"),
    Unusable("only the end marker", sse("data: [DONE]\n\n"), "upstream"),
    Unusable("garbage", sse("data: {oops\n\ndata: [DONE]\n\n"), "upstream"),
    Unusable("plain text", sse("Hello", content_type="text/plain"), "upstream"),
    Unusable("an HTML page", sse("<html><title>Hi</title></html>", content_type="text/html"), "upstream"),
    Unusable("a JSON list", body([1, 2]), "upstream"),
    Unusable("an empty object", body({}), "upstream"),
    Unusable("no words at the limit", chat(finish="length"), "length"),
    Unusable("no words for safety", chat(finish="content_filter"), "content_filter"),
]


@pytest.mark.parametrize("case", UNUSABLE, ids=lambda case: case.name)
async def test_an_answer_that_holds_nothing_is_an_error(case: Unusable) -> None:
    async with Endpoint(case.reply) as endpoint, host_on(endpoint, max_retries=0) as host:
        assert (await host.ask()).error["code"] == case.code


async def test_a_piece_of_garbage_in_a_good_stream_is_skipped_and_told() -> None:
    good = chat("Fine.")
    mixed = Reply((good.pieces[0], b"data: {oops\n\n", *good.pieces[1:]))
    async with Endpoint(mixed) as endpoint, host_on(endpoint) as host:
        text = (await host.ask()).text
    assert "Fine." in text
    assert "could not be read" in text


async def test_a_parameter_that_the_model_refuses_is_left_out_once_with_a_note() -> None:
    refused = body({"error": "This model does not support 'reasoning_effort' value 'none'"}, status=400)
    async with Endpoint(refused, chat("Done.")) as endpoint, host_on(endpoint, max_retries=0) as host:
        text = (await host.ask(reasoning_effort="none")).text
    first, second = endpoint.requests
    assert first.body["reasoning_effort"] == "none"
    assert "reasoning_effort" not in second.body
    assert "Note: reasoning_effort was left out" in text


async def test_spent_tokens_are_told_with_an_error() -> None:
    used = {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5}
    async with Endpoint(chat(finish="length", usage=used)) as endpoint, host_on(endpoint) as host:
        error = (await host.ask()).error
    assert error["usage"]["input_tokens"] == 5


@pytest.mark.parametrize(
    ("key", "cause"),
    [
        (None, "There is no API key"),
        ("", "There is no API key"),
        ("${XAI_API_KEY}", "XAI_API_KEY holds a placeholder"),
        ("your-key-here", "XAI_API_KEY holds a placeholder"),
    ],
)
async def test_without_a_key_the_tools_are_listed_and_a_call_names_the_variable(
    key: str | None, cause: str
) -> None:
    async with Endpoint() as endpoint, host_on(endpoint, XAI_API_KEY=key) as host:
        assert len((await host.client.list_tools()).tools) == 4
        result = await host.ask()
    assert result.error["code"] == "configuration"
    assert cause in result.text and "Set XAI_API_KEY" in result.text
    assert endpoint.requests == []


TOO_ODD = '{"error": {"message": "Too odd.", "code": 500}}'


@pytest.mark.parametrize(
    "written",
    [
        f"event: error\ndata: {TOO_ODD}\n\ndata: [DONE]\n\n",
        f"data: {TOO_ODD}\r\n\r\n",
        'id: 1\rdata:{"type": "error", "message": "Too odd."}\r\r',
        f': waiting\n\ndata: {{"type": "ping"}}\n\ndata: {TOO_ODD}\n\n',
        "event: error\ndata: Too odd.\n\n",
    ],
)
@pytest.mark.parametrize("status", [400, 500])
async def test_an_error_status_over_a_stream_is_told_in_its_sentence(written: str, status: int) -> None:
    reply = body(written, status=status, content_type="text/event-stream")
    async with Endpoint(reply) as endpoint, host_on(endpoint, max_retries=0) as host:
        told = (await host.ask()).error["message"]
    assert f"answered HTTP {status}: “Too odd.”" in told


async def test_a_stream_that_begins_again_and_again_under_an_error_status_is_read() -> None:
    reply = body("data:" * 20_000, status=400, content_type="text/event-stream")
    async with Endpoint(reply) as endpoint, host_on(endpoint) as host:
        assert "answered HTTP 400" in (await host.ask()).text


BREAKS = {
    "cut before the first byte": Reply((b"",), end="cut"),
    "cut amid a line": Reply((b'data: {"choi',), end="cut"),
    "reset": Reply((b"data: {}\n\n",), end="reset"),
    "behind some text": replace(chat("One, ", finish=None, done=False), end="cut"),
    "not the encoding that it names": Reply((b"no gzip",), headers={"content-encoding": "gzip"}),
}


@pytest.mark.parametrize("reply", BREAKS.values(), ids=BREAKS)
async def test_no_sentence_about_a_connection_holds_the_name_of_a_class(reply: Reply) -> None:
    async with Endpoint(reply) as endpoint, host_on(endpoint, max_retries=0) as host:
        told = (await host.ask()).text
    assert not re.search(r"[a-z]Error|Exception", told)
    assert re.search(r"(?:failed|can't be read): \S", told)


async def test_a_refused_connection_is_told_without_the_name_of_a_class() -> None:
    async with Endpoint() as endpoint:
        pass
    async with host_on(endpoint, max_retries=0) as host:
        told = (await host.ask()).error
    assert told["code"] == "connection" and "Error" not in told["message"]
