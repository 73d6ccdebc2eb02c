"""What one call may cost: refused or asked about before anything goes out, in both eras of the protocol."""

import re
from typing import Any, Literal, cast

import anyio
import pytest
from dirty_equals import IsPartialDict
from mcp.client import Client
from mcp_types import (
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    ErrorData,
    InputRequiredResult,
    ListRootsResult,
)

from grok_mcp.server import consent
from tests.support.endpoint import Endpoint, Reply, body, chat
from tests.support.host import Host, Result, host_on
from tests.support.ledger import priced, query, rows
from tests.support.pace import until, within

pytestmark = pytest.mark.anyio

LIMIT = "0.01"
ERAS = pytest.mark.parametrize("legacy", [True, False], ids=["2025", "2026"])
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


class User:
    """Answers the questions of a host, and keeps them."""

    def __init__(self, *answers: Any) -> None:
        self._answers = answers
        self.questions: list[str] = []

    async def __call__(self, context: Any, params: Any) -> Any:
        assert isinstance(params, ElicitRequestFormParams)
        assert params.requested_schema == {"type": "object", "properties": {}}
        self.questions.append(params.message)
        answer = self._answers[min(len(self.questions), len(self._answers)) - 1]
        if isinstance(answer, ErrorData):
            return answer
        return ElicitResult(action=cast("Literal['accept', 'decline', 'cancel']", answer))


async def test_a_call_above_the_limit_is_refused_where_the_host_cannot_ask() -> None:
    async with Endpoint(priced(1)) as endpoint, host_on(endpoint, call_limit_usd=LIMIT) as host:
        refused = await host.ask()
        cheaper = re.search(r"max_output_tokens of at most ([\d,]+)", refused.text)
        assert cheaper is not None
        assert endpoint.requests == []
        fits = await host.ask(max_output_tokens=cheaper[1].replace(",", ""))
    assert refused.error == IsPartialDict(code="call_limit", retryable=False)
    assert refused.text.startswith(
        "[call_limit] This call may cost 0.0301 USD, more than the 0.01 USD that GROK_MCP_CALL_LIMIT_USD "
    )
    assert "5,000 tokens of output for 0.0300 USD" in refused.text
    assert "This host can't ask its user. Nothing was sent. A retry will not help." in refused.text
    assert fits.answer["finish_reason"] == "stop"
    assert [row.get("error") for row in rows()] == ["call_limit", None]
    assert rows()[0].keys().isdisjoint({"cost_ticks", "cost_source", "input_tokens"})


@ERAS
async def test_a_call_that_its_user_agrees_to_goes_out_and_is_not_asked_about_again(legacy: bool) -> None:
    user = User("accept")
    async with Endpoint(body({"error": {"message": "busy"}}, status=503), priced(1)) as endpoint:
        async with host_on(endpoint, legacy=legacy, elicitation=user, call_limit_usd=LIMIT) as host:
            answered = await host.ask(watch=True)
    assert answered.answer["usage"]["cost_usd"] == 1e-10
    assert user.questions == [
        "This call may cost 0.0301 USD, more than the 0.01 USD that GROK_MCP_CALL_LIMIT_USD allows for one "
        "call (grok-4.7, about 2 tokens of input for 0.000004 USD, 5,000 tokens of output for 0.0300 USD). "
        "Send it?"
    ]
    assert len(endpoint.requests) == 2, "it was sent again without another question"
    assert [row.get("error") for row in rows()] == [None]


@ERAS
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("decline", "Its user declined that."),
        ("cancel", "Its user dismissed the question."),
    ],
)
async def test_a_call_that_its_user_does_not_agree_to_costs_nothing(
    answer: str, reason: str, legacy: bool
) -> None:
    user = User(answer)
    async with Endpoint(priced(1)) as endpoint:
        async with host_on(endpoint, legacy=legacy, elicitation=user, call_limit_usd=LIMIT) as host:
            refused = await host.ask()
    assert refused.error == IsPartialDict(code="call_limit", retryable=False)
    assert f"{reason} Nothing was sent." in refused.text
    assert (len(user.questions), endpoint.requests) == (1, [])
    assert [row.get("error") for row in rows()] == ["call_limit"]


async def test_a_host_that_refuses_the_question_gets_a_refusal() -> None:
    user = User(ErrorData(code=-32603, message="no"))
    async with Endpoint(priced(1)) as endpoint:
        async with host_on(endpoint, legacy=True, elicitation=user, call_limit_usd=LIMIT) as host:
            refused = await host.ask()
    assert refused.error["code"] == "call_limit" and "the host refused the question" in refused.text
    assert endpoint.requests == []


async def test_a_question_that_nobody_answers_in_time_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consent, "ANSWERED_S", 0.05)

    async def silent(context: Any, params: Any) -> ElicitResult:
        await anyio.sleep_forever()
        raise AssertionError

    async with Endpoint(priced(1)) as endpoint:
        async with host_on(endpoint, legacy=True, elicitation=silent, call_limit_usd=LIMIT) as host:
            refused = await host.ask()
    assert refused.error["code"] == "call_limit" and "did not answer within 0.05 s" in refused.text
    assert endpoint.requests == []


async def test_a_caller_who_vanishes_while_asked_leaves_nothing_behind() -> None:
    asked = anyio.Event()

    async def silent(context: Any, params: Any) -> ElicitResult:
        assert query("SELECT * FROM in_flight") == [], "nothing is reserved while a user thinks"
        asked.set()
        await anyio.sleep_forever()
        raise AssertionError

    settings: dict[str, Any] = {"call_limit_usd": LIMIT, "budget_usd_per_day": 1}
    async with Endpoint(priced(1)) as endpoint:
        async with host_on(endpoint, legacy=True, elicitation=silent, **settings) as host:
            await host.ask(max_output_tokens=100)  # so that there is a ledger
            async with anyio.create_task_group() as group:
                group.start_soon(host.ask)
                with within(10):
                    await asked.wait()
                assert len(host.grok.in_flight) > 0
                group.cancel_scope.cancel()
            await until(lambda: len(host.grok.in_flight) == 0)
    assert len(endpoint.requests) == len(rows()) == 1
    assert query("SELECT * FROM in_flight") == []


async def test_a_server_that_ends_does_not_wait_for_the_answer_of_a_user() -> None:
    asked = anyio.Event()
    results: list[Result] = []

    async def silent(context: Any, params: Any) -> ElicitResult:
        asked.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def ask(host: Host) -> None:
        results.append(await host.ask())

    async with Endpoint(priced(1)) as endpoint:
        async with host_on(endpoint, legacy=True, elicitation=silent, call_limit_usd=LIMIT) as host:
            async with anyio.create_task_group() as group:
                group.start_soon(ask, host)
                with within(10):
                    await asked.wait()
                    await host.grok.in_flight.drain(0)
    (refused,) = results
    assert refused.error["code"] == "call_limit" and "was stopped before its user answered" in refused.text


async def test_the_time_that_a_user_takes_is_not_taken_from_the_call() -> None:
    """Ours: a call is handed over when its host has waited long enough for the endpoint."""
    answered = anyio.Event()

    async def slow(context: Any, params: Any) -> ElicitResult:
        await anyio.sleep(0.5)
        answered.set()
        return ElicitResult(action="accept")

    async with Endpoint(Reply(end="hang")) as endpoint:
        async with host_on(endpoint, legacy=True, elicitation=slow, call_limit_usd=LIMIT, wait=0.1) as host:
            handed_over = await host.ask()
            assert answered.is_set()
            await until(lambda: len(endpoint.requests) == 1)
    assert handed_over.answer["answer_id"]


@ERAS
async def test_a_correction_of_json_belongs_to_the_call_that_was_agreed_to(legacy: bool) -> None:
    user = User("accept")
    async with Endpoint(chat('{"n": "four"}'), chat('{"n": 4}')) as endpoint:
        async with host_on(endpoint, legacy=legacy, elicitation=user, call_limit_usd=LIMIT) as host:
            answered = await host.call("grok_structured", prompt="A number?", schema=SCHEMA)
    assert answered.structured["data"] == {"n": 4}
    assert len(endpoint.requests) == 2
    (question,) = user.questions
    assert "10,000 tokens of output for 0.0600 USD, with a correction of the JSON" in question


async def test_the_fees_of_a_search_count() -> None:
    user = User("decline")
    async with Endpoint(priced(1)) as endpoint:
        async with host_on(endpoint, elicitation=user, call_limit_usd=LIMIT) as host:
            refused = await host.search(sources=["web"], options={"max_turns": 2})
    assert "a search for 0.0100 USD" in user.questions[0]
    assert "options.max_turns of 1, fewer sources, or no search" in refused.text


async def test_the_whole_conversation_counts() -> None:
    user = User("accept")
    async with Endpoint(priced(1, "word " * 6000)) as endpoint:
        async with host_on(endpoint, elicitation=user, call_limit_usd="0.015") as host:
            first = await host.ask(max_output_tokens=100)
            assert user.questions == []
            await host.ask(max_output_tokens=100, conversation_id=first.answer["conversation_id"])
    assert "10,0" in user.questions[0] and "tokens of input for 0.0201 USD" in user.questions[0]


async def test_a_model_without_a_known_price_answers_with_one_note() -> None:
    note = "The price of acme-1 is unknown, so GROK_MCP_CALL_LIMIT_USD (0.01 USD) was not checked."
    user = User("decline")
    async with Endpoint(chat('{"n": "four"}'), chat('{"n": 4}')) as endpoint:
        async with host_on(endpoint, elicitation=user, call_limit_usd=LIMIT) as host:
            answered = await host.call("grok_structured", prompt="A?", schema=SCHEMA, model="acme-1")
            plain = await host.ask(model="acme-1")
    assert answered.structured["warnings"].count(note) == 1
    assert plain.text.count(note) == 1
    assert user.questions == []


async def test_without_a_limit_nobody_is_asked() -> None:
    user = User("decline")
    async with Endpoint(priced(1)) as endpoint, host_on(endpoint, elicitation=user) as host:
        assert (await host.ask(max_output_tokens=10**30)).answer
    assert user.questions == []


async def test_an_absurd_number_of_tokens_is_refused_with_its_amount() -> None:
    async with Endpoint(priced(1)) as endpoint, host_on(endpoint, call_limit_usd=LIMIT) as host:
        refused = await host.ask(max_output_tokens=10**30)
    assert refused.error["code"] == "call_limit" and "may cost 6000000000.01 USD" in refused.text


async def test_a_long_name_of_a_model_hides_neither_amount_nor_setting() -> None:
    user = User("decline")
    async with Endpoint(priced(1)) as endpoint:
        async with host_on(endpoint, elicitation=user, call_limit_usd=LIMIT) as host:
            refused = await host.ask(model="x" * 5000 + "/grok-4.7")
    assert len(user.questions[0]) < 400 and "may cost 0.0301 USD" in user.questions[0]
    assert "have GROK_MCP_CALL_LIMIT_USD raised" in refused.text


async def test_what_the_user_agrees_to_still_has_to_be_within_the_budget_of_the_day() -> None:
    user = User("accept")
    settings: dict[str, Any] = {"call_limit_usd": LIMIT, "budget_usd_per_day": 1e-9}
    async with Endpoint(priced(100)) as endpoint:
        async with host_on(endpoint, elicitation=user, **settings) as host:
            assert (await host.ask()).answer
            assert (await host.ask()).error["code"] == "budget"
    assert len(endpoint.requests) == 1


# ------------------------------------------------------------------------- the rounds of 2026-07-28, by hand


async def round_of(client: Client, prompt: str = "Hi", **answer: Any) -> CallToolResult | InputRequiredResult:
    with within(20):
        result = await client.session.call_tool(
            "ask_grok", {"prompt": prompt}, allow_input_required=True, **answer
        )
    assert isinstance(result, CallToolResult | InputRequiredResult)
    return result


async def asked_by(client: Client, prompt: str = "Hi", **answer: Any) -> InputRequiredResult:
    result = await round_of(client, prompt, **answer)
    assert isinstance(result, InputRequiredResult)
    return result


async def told_by(client: Client, prompt: str = "Hi", **answer: Any) -> Result:
    result = await round_of(client, prompt, **answer)
    assert isinstance(result, CallToolResult)
    return Result(result)


YES = {"cost": ElicitResult(action="accept")}


async def test_an_answer_counts_for_the_call_that_it_was_asked_for_and_no_other() -> None:
    async with Endpoint(priced(1)) as endpoint:
        async with host_on(endpoint, elicitation=User("decline"), call_limit_usd=LIMIT) as host:
            client = host.client
            question = await asked_by(client)
            assert question.input_requests is not None
            request = question.input_requests["cost"]
            assert isinstance(request, ElicitRequest) and "0.0301 USD" in request.params.message
            state = question.request_state
            assert endpoint.requests == []
            for other in (
                {"prompt": "Ho", "input_responses": YES, "request_state": state},
                {"input_responses": YES},
                {"input_responses": YES, "request_state": "nonsense"},
                {"input_responses": YES, "request_state": "9" * 10_000},
                {"input_responses": YES, "request_state": f"0.02 {str(state).split(' ')[1]}"},
                {"request_state": state},
                {"input_responses": {"other": ElicitResult(action="accept")}, "request_state": state},
            ):
                await asked_by(client, **other)
            assert endpoint.requests == []
            for _ in range(2):  # also when the client has to repeat the call
                assert (await told_by(client, input_responses=YES, request_state=state)).answer
            unreadable = {"cost": ListRootsResult(roots=[])}
            refused = await told_by(client, input_responses=unreadable, request_state=state)
    assert len(endpoint.requests) == 2
    assert refused.error["code"] == "call_limit" and "answer to that can't be read" in refused.text
    assert [row.get("error") for row in rows()] == [None, None, "call_limit"]


async def test_an_error_of_the_arguments_comes_before_any_question() -> None:
    async with Endpoint(Reply()) as endpoint:
        async with host_on(endpoint, elicitation=User("accept"), call_limit_usd=LIMIT) as host:
            assert (await told_by(host.client, " ")).error["code"] == "invalid_argument"
