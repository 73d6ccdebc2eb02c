"""How we behave when an endpoint fails before it has said anything, judged by a third party: `llmock`.

It serves both dialects, fails on demand, and grades its client by what arrived and when: whether it waited
as long as it was told to, retried what can be retried and nothing else, gave up in time, and took no cut
stream for an answer. Its own pytest plugin stays off; the server is an ordinary one on loopback.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import stamina
from llmock.scenarios import Behavior, Delay, Fail, Match, SlowFirstToken, StreamFault

from tests.support.host import Host, Result, host_on
from tests.support.pace import slowness

if TYPE_CHECKING:
    from llmock.testing import LLMockServer
    from llmock.verdict import Verdict

pytestmark = pytest.mark.anyio

IDLE_S = 1.5 * slowness()
SILENT_S = 3 * IDLE_S
RETRIES = 3  # with fewer, a judge can't distinguish growing waits from constant ones

# The dialect, and whose address and error bodies.
FORMS = {
    "chat completions": ("chat_completions", "openai"),
    "chat completions of xAI": ("chat_completions", "xai"),
    "responses": ("responses", "openai"),
}


@dataclass(frozen=True)
class Row:
    """A fault, how often it comes (None: always), and what a caller gets: "answer" or an error's code."""

    name: str
    fault: Behavior
    times: int | None = 1
    outcome: str = "answer"
    attempts: int = 2


ROWS = (
    # what passes
    Row("no fault", Delay(0), attempts=1),
    *(Row(f"{status} once", Fail(status)) for status in (408, 409, 429, 500, 502, 503, 504, 529)),
    Row("429 that names no wait", Fail(429, retry_after=0)),
    Row("429 that asks for two seconds", Fail(429, retry_after=2)),
    Row("500 twice", Fail(500, retry_after=0), times=2, attempts=3),
    Row("connection dropped before any event", StreamFault("disconnect", after_chunks=0)),
    Row("connection dropped before any text", StreamFault("disconnect", after_chunks=1)),
    Row("connection dropped three times", StreamFault("disconnect", after_chunks=0), 3, attempts=1 + RETRIES),
    Row(
        "silence before any event",
        StreamFault("stall", after_chunks=0, stall_seconds=SILENT_S),
        outcome="timeout",
        attempts=1,
    ),
    Row(
        "silence before any text",
        StreamFault("stall", after_chunks=1, stall_seconds=SILENT_S),
        outcome="timeout",
        attempts=1,
    ),
    Row("a late answer", Delay(SILENT_S), outcome="timeout", attempts=1),
    Row("a late first event", SlowFirstToken(SILENT_S), outcome="timeout", attempts=1),
    Row("a slow answer", Delay(0.2), attempts=1),
    Row("empty stream", StreamFault("truncate", after_chunks=0)),
    Row("stream that ends before any text", StreamFault("truncate", after_chunks=1)),
    # what stays
    Row("503 always", Fail(503, retry_after=0), None, "overloaded", 1 + RETRIES),
    Row("429 always", Fail(429, retry_after=1), None, "rate_limited", 1 + RETRIES),
    Row(
        "connection dropped always",
        StreamFault("disconnect", after_chunks=0),
        None,
        "connection",
        1 + RETRIES,
    ),
    # what no retry mends
    *(
        Row(f"{status} always", Fail(status), None, code, 1)
        for status, code in (
            (400, "invalid_argument"),
            (401, "authentication"),
            (403, "permission"),
            (422, "invalid_argument"),
        )
    ),
    Row(
        "context too long",
        Fail(
            400, code="context_length_exceeded", message="This model's maximum context length was exceeded."
        ),
        None,
        "invalid_argument",
        1,
    ),
)


CUT = {"chat completions": 3, "chat completions of xAI": 3, "responses": 6}
"""The events of a stream until some of its text was among them."""


@pytest.fixture(autouse=True)
def instant_retries() -> Iterator[None]:
    """Here the waits are what is judged, so they are real."""
    with stamina.set_testing(False):
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[LLMockServer]:
    from llmock.testing import LLMockServer

    with LLMockServer() as running:
        yield running


def model_of(row: Row) -> str:
    """Each row has a model of its own, by which the server knows its fault."""
    return row.name.replace(" ", "-")


def outcome(result: Result) -> str:
    if result.raw.is_error:
        return str(result.error["code"])
    return "answer" if result.structured["finish_reason"] == "stop" else result.structured["finish_reason"]


async def judged(server: LLMockServer, form: str, rows: tuple[Row, ...]) -> tuple[dict[str, str], Verdict]:
    """What comes of each row, all of them at the same time, and what the judge says of our part in it."""
    from llmock.verdict import judge

    dialect, provider = FORMS[form]
    server.state.reset()
    for row in rows:
        server.state.scenarios.add(replace(row.fault, times=row.times, match=Match(model=model_of(row))))
    outcomes: dict[str, str] = {}

    async def one(host: Host, row: Row) -> None:
        outcomes[row.name] = outcome(await host.ask(model=model_of(row)))

    settings: dict[str, Any] = {"dialect": dialect, "idle_timeout": IDLE_S, "max_retries": RETRIES}
    async with host_on(
        server.base_url(provider), results="structured", max_concurrency=len(rows), **settings
    ) as host:
        async with anyio.create_task_group() as group:
            for row in rows:
                group.start_soon(one, host, row)
    records = await anyio.to_thread.run_sync(lambda: server.state.journal.records(wait=SILENT_S))
    return outcomes, judge(record for record in records if record.method == "POST")


@pytest.mark.parametrize("form", FORMS)
async def test_a_judge_finds_nothing_against_us_in_faults_before_the_first_content(
    server: LLMockServer, form: str
) -> None:
    outcomes, verdict = await judged(server, form, ROWS)
    assert outcomes == {row.name: row.outcome for row in ROWS}
    verdict.assert_ok(strict=True)
    attempts = {call.first.model: len(call.attempts) for call in verdict.calls}
    assert attempts == {model_of(row): row.attempts for row in ROWS}


@pytest.mark.parametrize("form", FORMS)
async def test_what_breaks_behind_the_first_content_is_told_and_not_asked_for_again(
    server: LLMockServer, form: str
) -> None:
    """An answer has been paid for once text came. The judge sees only the wire."""
    faults = {kind: StreamFault(kind, CUT[form], SILENT_S) for kind in ("disconnect", "truncate", "stall")}
    rows = tuple(Row(kind, fault, None, "interrupted", 1) for kind, fault in faults.items())
    outcomes, verdict = await judged(server, form, rows)
    assert outcomes == {row.name: row.outcome for row in rows}
    assert [len(call.attempts) for call in verdict.calls] == [1, 1, 1]
    assert {found.code for found in verdict.findings} == {"gave_up", "truncated_stream_accepted"}
