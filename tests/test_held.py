"""Answers that are collected later: handed over while they run, by their `answer_id`, on one process."""

import json
from typing import Any

import anyio
import jsonschema_rs
import pytest
from dirty_equals import IsPartialDict, IsStr
from mcp.shared.exceptions import MCPError

from grok_mcp import events
from grok_mcp.errors import InterruptedAnswerError, LengthError
from grok_mcp.events import ignore
from grok_mcp.messages import Answer, Call, Collected, Running
from grok_mcp.pipeline.in_flight import InFlight
from grok_mcp.pipeline.runs import Runs
from grok_mcp.stores.answers import LocalAnswers
from tests.support.answers import SCHEMA, collected, sentence, slow
from tests.support.endpoint import Endpoint, Reply, body, chat, events as stream
from tests.support.host import Result, host_on
from tests.support.ledger import file, rows
from tests.support.pace import within

pytestmark = pytest.mark.anyio

SOON_S = 0.2


@pytest.mark.parametrize("legacy", [False, True], ids=["2026-07-28", "2025-11-25"])
async def test_a_slow_call_returns_what_came_and_the_rest_is_collected(legacy: bool) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    reply = slow("It is ", "blue.", usage=usage)
    async with Endpoint(reply, chat("By scattering.")) as endpoint:
        async with host_on(endpoint, wait=SOON_S, legacy=legacy) as host:
            first = await host.ask("Which colour?", watch=True, instruction="misspelt")
            answer_id, offset = sentence(first)
            again = await collected(host, answer_id, offset)
            reply.release.set()
            rest = await collected(host, answer_id, offset)
            whole = await collected(host, answer_id)
            second = await host.ask("Why?", conversation_id=rest.answer["conversation_id"])
    assert first.answer == {"finish_reason": "running", "model": "grok-4.7", "answer_id": answer_id}
    assert first.text.startswith(
        "It is \n\nNote: Grok is still writing; this is the text up to character 6. For"
    )
    assert offset == 6
    assert again.answer["finish_reason"] == "running" and sentence(again) == (answer_id, 6)
    assert "there is no new text yet" in again.text
    assert rest.text.startswith("blue.\n\nNote: The argument 'instruction'")
    assert rest.answer == IsPartialDict(finish_reason="stop", usage=IsPartialDict(input_tokens=7))
    assert "answer_id" not in rest.answer
    assert whole.text.startswith("It is blue.\n\n")
    assert second.text.startswith("By scattering.")
    said = [turn["content"] for turn in endpoint.requests[-1].body["messages"]]
    assert said == ["Which colour?", "It is blue.", "Why?"]


async def test_a_call_that_was_handed_over_is_counted_once_when_it_ends_and_collecting_is_free() -> None:
    reply = slow(
        "It is ", "blue.", usage={"prompt_tokens": 7, "completion_tokens": 5, "cost_in_usd_ticks": 90}
    )
    async with Endpoint(reply) as endpoint:
        async with host_on(endpoint, wait=SOON_S, state_dir=file().parent) as host:
            answer_id, _ = sentence(await host.ask())
            assert rows() == [], "its end is still to come"
            reply.release.set()
            for _ in range(2):
                await collected(host, answer_id)
    (row,) = rows()
    assert row == IsPartialDict(tool="ask_grok", cost_ticks=90, finish_reason="stop", input_tokens=7)


async def test_a_call_that_is_still_silent_is_handed_over_too() -> None:
    reply = slow("Late.", written=0)
    async with Endpoint(reply) as endpoint, host_on(endpoint, wait=SOON_S) as host:
        answer_id, offset = sentence(await host.ask())
        reply.release.set()
        rest = await collected(host, answer_id, offset)
    assert offset == 0
    assert rest.text.startswith("Late.\n\n")


async def test_a_call_in_time_is_not_handed_over() -> None:
    async with Endpoint(chat("Quick.")) as endpoint, host_on(endpoint, wait=30) as host:
        result = await host.ask()
        assert "answer_id" not in result.answer and "answer_id" not in result.text
        assert len(host.grok.in_flight) == 0


async def test_zero_waits_for_as_long_as_it_takes() -> None:
    reply = slow("It is ", "blue.")
    async with Endpoint(reply) as endpoint, host_on(endpoint, wait=0) as host:
        async with anyio.create_task_group() as group:
            results: list[Result] = []

            async def ask() -> None:
                results.append(await host.ask())

            group.start_soon(ask)
            await anyio.sleep(2 * SOON_S)
            assert results == []
            reply.release.set()
    assert results[0].text.startswith("It is blue.")


async def test_grok_result_is_listed_where_there_can_be_something_to_collect() -> None:
    async def names(**settings: Any) -> list[str]:
        async with host_on("http://127.0.0.1:9/v1", **settings) as host:
            return [tool.name for tool in (await host.client.list_tools()).tools]

    assert "grok_result" in await names(wait=0)
    assert "grok_result" in await names(max_result_chars=0)
    assert "grok_result" not in await names(wait=0, max_result_chars=0)
    async with host_on("http://127.0.0.1:9/v1", wait=0, max_result_chars=0) as host:
        with pytest.raises(MCPError, match="Unknown tool: grok_result"):
            await host.client.call_tool("grok_result", {"answer_id": "ans_1"})


async def test_json_that_takes_long_is_null_until_it_is_collected_and_fits_the_published_schema() -> None:
    reply = slow('{"a"', ": 1}")
    async with Endpoint(reply) as endpoint, host_on(endpoint, wait=SOON_S) as host:
        tools = {tool.name: tool for tool in (await host.client.list_tools()).tools}
        first = await host.call("grok_structured", prompt="One?", schema=SCHEMA)
        reply.release.set()
        rest = await collected(host, first.answer["answer_id"], 2)
    published = tools["grok_structured"].output_schema
    assert published is not None
    jsonschema_rs.validate(published, first.structured)
    answer_id = first.answer["answer_id"]
    assert first.structured == {
        "data": None,
        "model": "grok-4.7",
        "finish_reason": "running",
        "answer_id": answer_id,
        "warnings": [
            f'Grok is still working: call grok_result with answer_id "{answer_id}" for the JSON.',
        ],
    }
    assert json.loads(first.text) == first.structured
    assert rest.raw.structured_content is None
    assert json.loads(rest.text) == IsPartialDict(
        data={"a": 1},
        finish_reason="stop",
        conversation_id=IsStr(regex="conv_.*"),
        warnings=["JSON always comes whole: offset has no effect on it."],
    )


async def test_a_failure_after_the_hand_over_is_what_is_collected_each_time() -> None:
    reply = slow('{"a"', ": 1", finish="length")
    async with Endpoint(reply) as endpoint, host_on(endpoint, wait=SOON_S) as host:
        first = await host.call("grok_structured", prompt="One?", schema=SCHEMA)
        reply.release.set()
        errors = [await collected(host, first.answer["answer_id"]) for _ in range(2)]
    assert [one.error["code"] for one in errors] == ["length", "length"]
    assert errors[0].text == errors[1].text
    assert '{"a": 1' in errors[0].text


async def test_a_failure_while_a_call_is_waited_for_is_its_result() -> None:
    hanging = Reply(body({"error": {"message": "No capacity"}}).pieces, status=400, hold=0)
    async with Endpoint(hanging) as endpoint, host_on(endpoint, wait=SOON_S, max_retries=0) as host:
        answer_id, _ = sentence(await host.ask())
        hanging.release.set()
        assert (await collected(host, answer_id)).error["code"] == "invalid_argument"


async def test_the_notes_of_each_call_add_up_to_its_own_text() -> None:
    reply = slow("It is ", "blue ", "and green.", written=2)
    async with Endpoint(reply) as endpoint:
        async with host_on(
            endpoint, wait=SOON_S, progress="deltas", results="structured", legacy=True
        ) as host:
            first = await host.ask(watch=True)
            answer_id, offset = sentence(first)
            again = await collected(host, answer_id, 3, watch=True)
            reply.release.set()
            rest = await collected(host, answer_id, offset, watch=True)
            late = await collected(host, answer_id, 3, watch=True)
    for result, text in (
        (first, "It is blue "),
        (again, "is blue "),
        (rest, "and green."),
        (late, "is blue and green."),
    ):
        assert "".join(message for _, message in result.notes) == text
        assert result.structured["text"] == text


async def test_two_who_collect_at_once_both_get_the_rest_and_see_how_far_it_is() -> None:
    reply = slow("It is ", "blue.")
    results: list[Result] = []
    async with Endpoint(reply) as endpoint, host_on(endpoint, wait=1, legacy=True) as host:
        answer_id, offset = sentence(await host.ask())

        async def collect() -> None:
            results.append(await collected(host, answer_id, offset, watch=True))

        async with anyio.create_task_group() as group:
            group.start_soon(collect)
            group.start_soon(collect)
            await anyio.sleep(0.2)
            reply.release.set()
    assert [result.text.startswith("blue.") for result in results] == [True, True]
    assert all(result.notes[0][1].startswith("writing, 6 characters: …It is") for result in results)


async def test_a_call_that_is_cancelled_in_time_closes_the_connection_to_the_endpoint() -> None:
    async with Endpoint(slow("It is ", "blue.")) as endpoint, host_on(endpoint, wait=30) as host:
        async with anyio.create_task_group() as group:
            group.start_soon(host.ask)
            with within(5):
                while not endpoint.requests:
                    await anyio.sleep(0.01)
            group.cancel_scope.cancel()
        with within(1):
            await endpoint.closed.wait()
            while len(host.grok.in_flight):
                await anyio.sleep(0.01)


async def test_a_collector_that_is_cancelled_ends_nothing() -> None:
    reply = slow("It is ", "blue.")
    async with Endpoint(reply) as endpoint, host_on(endpoint, wait=SOON_S) as host:
        answer_id, offset = sentence(await host.ask())
        with anyio.move_on_after(SOON_S / 2):
            await host.client.call_tool("grok_result", {"answer_id": answer_id, "offset": offset})
        reply.release.set()
        assert (await collected(host, answer_id, offset)).text.startswith("blue.")


async def test_a_handed_over_call_keeps_its_place_among_the_calls_upstream() -> None:
    reply = slow("It is ", "blue.")
    async with Endpoint(reply, chat("Second.")) as endpoint:
        async with host_on(endpoint, wait=SOON_S, max_concurrency=1) as host:
            first, _ = sentence(await host.ask("One?"))
            second, _ = sentence(await host.ask("Two?"))
            assert len(endpoint.requests) == 1
            reply.release.set()
            assert (await collected(host, first)).text.startswith("It is blue.")
            assert (await collected(host, second)).text.startswith("Second.")


async def test_a_closing_server_waits_for_what_it_has_handed_over_then_interrupts_it() -> None:
    async with Endpoint(slow("It is ", "blue.")) as endpoint, host_on(endpoint, wait=SOON_S) as host:
        answer_id, offset = sentence(await host.ask())
        assert len(host.grok.in_flight) > 0
        results: list[Result] = []

        async def collect() -> None:
            results.append(await collected(host, answer_id, offset))

        async with anyio.create_task_group() as group:
            group.start_soon(collect)
            await anyio.sleep(SOON_S / 4)
            with within(5):
                await host.grok.in_flight.drain(0)
        assert len(host.grok.in_flight) == 0
        await endpoint.closed.wait()
    assert results[0].answer["finish_reason"] == "interrupted"
    assert "[interrupted] This server was stopped" in results[0].text


async def test_a_closing_server_hands_nothing_over_that_nobody_could_collect() -> None:
    reply = slow("It is ", "blue.")
    async with Endpoint(reply) as endpoint, host_on(endpoint, wait=2 * SOON_S, keep="off") as host:
        results: list[Result] = []

        async def ask() -> None:
            results.append(await host.ask())

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            with within(5):
                while not endpoint.requests:
                    await anyio.sleep(0.01)
            await host.grok.in_flight.drain(4 * SOON_S)
    assert results[0].answer["finish_reason"] == "interrupted"


@pytest.mark.parametrize("answer_id", ["ans_1", "", "conv_1", "\ud800", "x" * 100_000])
async def test_an_id_that_leads_nowhere_is_an_error_that_says_so(answer_id: str) -> None:
    async with host_on("http://127.0.0.1:9/v1") as host:
        result = await collected(host, answer_id)
    assert result.error["code"] == ("answer_not_found" if answer_id else "invalid_argument")
    assert len(result.text) < 2_000


async def test_a_handed_over_call_is_in_flight_until_it_is_kept_and_its_host_hears_no_more() -> None:
    calls, goes_on = InFlight(), anyio.Event()
    runs = Runs(calls, LocalAnswers())
    heard: list[events.Event] = []
    later = events.Waiting("Later.")

    async def work(call: Call) -> Answer:
        await goes_on.wait()
        call.observe(later, "")
        return Answer("Text.")

    def note(event: events.Event, added: str) -> None:
        heard.append(event)

    running = await runs.within(Call(caller="ann", observe=note, wait_s=0.01), work, as_data=False)
    assert isinstance(running, Running)
    async with anyio.create_task_group() as group:
        group.start_soon(calls.drain, 10)
        await anyio.sleep(0.05)
        assert len(calls) == 1
        goes_on.set()
    assert len(calls) == 0 and heard == []
    collected = await runs.collect(running.answer_id, 0, Call(caller="ann", wait_s=0))
    assert collected == Collected(Answer("Text."), running.answer_id, 0)
    await runs.aclose()


async def test_what_still_runs_when_the_process_ends_is_ended_without_a_trace() -> None:
    runs, ended = Runs(InFlight(), LocalAnswers()), anyio.Event()

    async def work(call: Call) -> Answer:
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()
        raise AssertionError

    running = await runs.within(Call(caller="ann", wait_s=0.01), work, as_data=False)
    assert isinstance(running, Running)
    with within(5):
        await runs.aclose()
        await ended.wait()
    with pytest.raises(InterruptedAnswerError):
        await runs.collect(running.answer_id, 0, Call(caller="ann"))


async def test_held_answers_expire() -> None:
    store = LocalAnswers(lifetime_s=0.05)
    assert await store.put("ans_1", "ann", Answer("Text."))
    assert await store.get("ans_1", "ann", None, ignore) == Answer("Text.")
    assert await store.get("ans_1", "bob", None, ignore) is None
    await anyio.sleep(0.1)
    assert await store.get("ans_1", "ann", None, ignore) is None


async def test_held_answers_are_bounded_in_number_and_in_size() -> None:
    store = LocalAnswers(maximum=10, max_characters=1_000)
    for number in range(20):
        await store.put(f"ans_{number}", "ann", Answer("x"))
    kept = [number for number in range(20) if await store.get(f"ans_{number}", "ann", None, ignore)]
    assert kept == list(range(10, 20))
    assert not await store.put("too large", "ann", Answer("x" * 5_000))
    assert await store.get("ans_19", "ann", None, ignore), "what can't be stored takes nothing away"
    assert await store.put("large", "ann", Answer("x" * 1_000))
    assert await store.get("large", "ann", None, ignore)
    assert not await store.get("ans_19", "ann", None, ignore)


async def test_a_held_error_holds_no_frames() -> None:
    store = LocalAnswers()
    try:
        raise LengthError("Cut.", "Ask for less.")
    except LengthError as error:
        await store.put("ans_1", "ann", error)
    found = await store.get("ans_1", "ann", None, ignore)
    assert isinstance(found, LengthError)
    assert (found.text, found.__traceback__) == ("[length] Cut. Ask for less.", None)


async def test_an_answer_of_the_responses_dialect_is_handed_over_item_by_item() -> None:
    def delta(item: str, text: str) -> dict[str, Any]:
        return {
            "type": "response.output_text.delta",
            "item_id": item,
            "content_index": 0,
            "delta": text,
        }

    def done(item: str, text: str) -> dict[str, Any]:
        content = [{"type": "output_text", "text": text}]
        found = {"type": "message", "id": item, "role": "assistant", "content": content}
        return {"type": "response.output_item.done", "item": found}

    reply = stream(
        delta("a", "One \ud83d"),
        delta("b", "Three."),
        delta("a", "\ude80 two."),
        done("a", "One 🚀 two."),
        done("b", "Three."),
        {"type": "response.completed", "response": {"status": "completed", "output": []}},
    )
    reply.hold = 2
    async with Endpoint(reply) as endpoint:
        async with host_on(endpoint, wait=SOON_S, gateway="xai", results="structured") as host:
            first = await host.ask()
            answer_id, offset = sentence(first)
            reply.release.set()
            rest = await collected(host, answer_id, offset)
    assert first.structured["text"] == "One "
    assert rest.structured["text"] == "🚀 two.\n\nThree."
