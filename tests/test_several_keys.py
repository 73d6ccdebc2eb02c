"""Several keys in one file: which goes out, which rests, and what is tried next, as the endpoint sees it."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from grok_mcp.endpoint import Keys
from grok_mcp.errors import InsufficientCreditError, RateLimitError
from grok_mcp.settings import Settings
from tests.support.endpoint import Endpoint, Reply, Request, body, chat
from tests.support.host import host_on
from tests.support.pace import within

pytestmark = pytest.mark.anyio

FIRST, SECOND, THIRD = KEYS = tuple(f"xai-key-{name}-1234567890" for name in ("one", "two", "three"))
NO_CREDIT = {"code": "permission-denied", "error": "Your team has used all available credits"}
REFUSALS = {
    "out of credit": body(NO_CREDIT, status=403),
    "402": body({"error": {"message": "Insufficient credits"}}, status=402),
    "too many calls": body({"code": "resource-exhausted", "error": "Too many requests"}, status=429),
    "too many calls, with a time": body({"error": "Too many requests"}, status=429, retry_after="30"),
    "refused": body({"code": "unauthenticated:bad-credentials", "error": "no"}, status=401),
    "blocked": body(
        {"code": "permission-denied", "error": "The caller does not have permission"}, status=403
    ),
    "out of credit in a stream": Reply(
        (b'data: {"error":{"message":"You have used all available credits","code":403}}\n\n',)
    ),
}


def sent(request: Request) -> str:
    return request.headers["authorization"].removeprefix("Bearer ")


def by_key(replies: Mapping[str, Reply]) -> Any:
    return lambda request: replies.get(sent(request), chat("Hi."))


def in_file(folder: Path, *keys: str) -> dict[str, Any]:
    file = folder / "keys"
    file.write_text("# the first is our own\n" + "\n\n".join(keys) + "\n")
    return {"XAI_API_KEY": None, "api_key_file": file}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=list(REFUSALS))
async def test_a_call_goes_out_with_the_next_key_at_once(
    refusal: Reply, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    replies = {FIRST: refusal, SECOND: refusal}
    async with Endpoint(choose=by_key(replies)) as endpoint:
        async with host_on(endpoint, **in_file(tmp_path, *KEYS)) as host:
            with within(5):  # no time that the endpoint has named is waited for
                first = await host.ask()
            second = await host.ask()
    assert first.text.startswith("Hi.") and second.text.startswith("Hi.")
    posts = [sent(request) for request in endpoint.requests]
    assert posts[:3] == list(KEYS)
    rests = refusal is not REFUSALS["blocked"]  # which may be about the model alone
    assert posts[3:] == ([THIRD] if rests else list(KEYS))
    said = [record.getMessage() for record in caplog.records if "rests for" in record.getMessage()]
    assert [line.split(" rests")[0] for line in said] == [
        f"key {number} of 3 in GROK_MCP_API_KEY_FILE" for number in (1, 2) if rests
    ]
    assert not [key for key in KEYS if key in caplog.text + first.text]


async def test_where_every_key_is_out_of_credit_the_error_says_so_after_one_request_each(
    tmp_path: Path,
) -> None:
    async with Endpoint(REFUSALS["out of credit"]) as endpoint:
        async with host_on(endpoint, **in_file(tmp_path, *KEYS)) as host:
            failed = await host.ask()
            again = await host.ask()
    assert failed.error["code"] == again.error["code"] == "insufficient_credit"
    assert [sent(request) for request in endpoint.requests] == [*KEYS, FIRST]


async def test_what_is_not_about_the_key_is_not_tried_with_another(tmp_path: Path) -> None:
    async with Endpoint(body({"error": "The model grok-9 does not exist"}, status=404)) as endpoint:
        async with host_on(endpoint, **in_file(tmp_path, *KEYS)) as host:
            failed = await host.ask(model="grok-4.7")
    assert failed.error["code"] == "model_not_found"
    assert {sent(request) for request in endpoint.requests} == {FIRST}


async def test_nothing_is_sent_again_once_text_has_come(tmp_path: Path) -> None:
    begun = Reply(
        (
            b'data: {"choices":[{"index":0,"delta":{"content":"Half a"}}]}\n\n',
            b'data: {"error":{"message":"You have used all available credits","code":403}}\n\n',
        )
    )
    async with Endpoint(begun) as endpoint, host_on(endpoint, **in_file(tmp_path, *KEYS)) as host:
        result = await host.ask()
    assert result.text.startswith("Half a")
    assert [sent(request) for request in endpoint.requests] == [FIRST]


async def test_keys_that_the_file_gets_later_are_used_and_those_that_rest_are_tried_again(
    tmp_path: Path,
) -> None:
    replies = {FIRST: REFUSALS["out of credit"]}
    async with Endpoint(choose=by_key(replies)) as endpoint:
        async with host_on(endpoint, **in_file(tmp_path, FIRST, SECOND)) as host:
            await host.ask()
            in_file(tmp_path, FIRST, THIRD)
            with within(10):
                while sent(endpoint.requests[-1]) != THIRD:
                    await anyio.sleep(0.05)
                    await host.ask()
            replies.clear()
            assert [sent(request) for request in endpoint.requests][-2:] == [FIRST, THIRD]
            in_file(tmp_path, FIRST, SECOND, THIRD)
            with within(10):
                while sent(endpoint.requests[-1]) != FIRST:
                    await anyio.sleep(0.05)
                    await host.ask()


async def test_one_key_alone_never_rests(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with Endpoint(REFUSALS["out of credit"], chat("Hi.")) as endpoint:
        async with host_on(endpoint, **in_file(tmp_path, FIRST)) as host:
            failed, answered = await host.ask(), await host.ask()
    assert failed.error["code"] == "insufficient_credit" and answered.text.startswith("Hi.")
    assert "rests" not in caplog.text


def test_of_keys_that_all_rest_the_first_to_wake_up_is_used(tmp_path: Path) -> None:
    keys = Keys(Settings(**in_file(tmp_path, *KEYS)))
    keys.rest(FIRST, InsufficientCreditError("no"))
    keys.rest(SECOND, RateLimitError("no", retry_after_s=3))
    assert (keys.key, keys.resting, keys.has_other({THIRD})) == (THIRD, 2, False)
    keys.rest(THIRD, RateLimitError("no", retry_after_s=1e9))
    assert (keys.key, keys.resting) == (SECOND, 3)


FILES = {
    "17 keys": ("\n".join(f"xai-key-{number:03}-1234567890" for number in range(17)), "more than 16 keys"),
    "one is a placeholder": (f"{FIRST}\n${{OTHER}}\n", "in line 2"),
    "nothing but notes": ("# none\n\n", "is empty"),
}


@pytest.mark.parametrize(("text", "reason"), FILES.values(), ids=list(FILES))
def test_a_file_that_holds_something_else_has_no_key(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(text)
    keys = Keys(Settings(api_key_file=tmp_path / "keys"))
    assert keys.key is None and reason in keys.missing_reason


async def test_the_list_of_models_comes_by_the_key_that_gets_it(tmp_path: Path, caplog: Any) -> None:
    caplog.set_level(logging.WARNING)
    models = body({"data": [{"id": "grok-4.7"}]})
    choose = lambda request: REFUSALS["refused"] if sent(request) == FIRST else models  # noqa: E731
    async with Endpoint(choose=choose) as endpoint:
        async with host_on(endpoint, **in_file(tmp_path, FIRST, SECOND)) as host:
            shown = await host.client.read_resource("grok://models")
    assert '"source":"endpoint"' in shown.contents[0].text.replace(" ", "")  # type: ignore[union-attr]
    assert [sent(request) for request in endpoint.requests] == [FIRST, SECOND]
