"""Each gateway gets the request that it documents, and its own shape of answer is understood.

To add a gateway, add its record in `gateways.py` and a row here.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest
from dirty_equals import IsPartialDict, IsStr

from grok_mcp.gateways import GATEWAYS
from tests.conftest import host_on
from tests.endpoint import Endpoint, Reply, body, events

pytestmark = pytest.mark.anyio

CHAT = {
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}],
    "stream": True,
    "stream_options": {"include_usage": True},
    "temperature": 0.5,
}
RESPONSES = {
    "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}],
    "stream": True,
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": IsStr(regex=r"[0-9a-f]{32}"),
    "temperature": 0.5,
    "max_output_tokens": 9,
}
MESSAGE = {"role": "assistant", "content": "Hi."}
RESPONSE = body(
    {
        "object": "response",
        "model": "grok-4.7",
        "status": "completed",
        "output": [{"type": "message", "id": "m", "content": [{"type": "output_text", "text": "Hi."}]}],
        "usage": {
            "input_tokens": 10,
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 5},
            "total_tokens": 17,
            "cost_in_usd_ticks": 1_000,
        },
    }
)


@dataclass(frozen=True)
class Row:
    """What one gateway is sent, what it answers in its own shape, and the usage that this means."""

    gateway: str
    path: str
    sent: dict[str, Any]
    reply: Reply
    usage: dict[str, Any] = field(default_factory=dict)
    header: str | None = None


def chat_reply(usage: dict[str, Any], **choice: Any) -> Reply:
    return body(
        {"id": "abc", "choices": [{"message": MESSAGE, "finish_reason": "stop", **choice}], "usage": usage}
    )


ROWS = [
    Row(
        "xai",
        "/responses",
        {"model": "grok-4.7", **RESPONSES},
        RESPONSE,
        {"output_tokens": 7, "text_tokens": 2, "cost_usd": 1e-7, "cost_source": "reported"},
        "x-grok-conv-id",
    ),
    Row("xai-us", "/responses", {"model": "grok-4.7", **RESPONSES}, RESPONSE, header="x-grok-conv-id"),
    Row(
        "nebula",
        "/chat/completions",
        {"model": "grok-4", **CHAT, "max_tokens": 9},
        chat_reply(
            {
                "prompt_tokens": 100,
                "completion_tokens": 500,
                "total_tokens": 600,
                "completion_token_details": {"reasoning_tokens": 300, "text_tokens": 200},
            }
        ),
        {"output_tokens": 500, "reasoning_tokens": 300, "text_tokens": 200, "cost_source": "estimated"},
    ),
    Row(
        "theturbo",
        "/chat/completions",
        {"model": "grok-4", **CHAT, "max_tokens": 9},
        chat_reply({"prompt_tokens": 10, "completion_tokens": 30, "total_tokens": 40}),
        {"output_tokens": 30, "text_tokens": 30, "total_tokens": 40},
        "x-conversation-id",
    ),
    Row(
        "acedata",
        "/chat/completions",
        {"model": "grok-4", **CHAT, "max_tokens": 9},
        body({"choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}]}),
    ),
    Row(
        "surgeai",
        "/chat/completions",
        {"model": "grok-4", **CHAT, "max_tokens": 9},
        chat_reply(
            {
                "prompt_tokens": 688,
                "completion_tokens": 196,
                "total_tokens": 884,
                "prompt_tokens_details": {"cached_tokens": 679},
                "completion_tokens_details": {
                    "reasoning_tokens": 124,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            },
            index=0,
        ),
        {"cached_tokens": 679, "output_tokens": 196, "text_tokens": 72},
    ),
    Row(
        "openrouter",
        "/chat/completions",
        {"model": "x-ai/grok-4.7", **CHAT, "max_tokens": 9},
        events(
            {"id": "gen-1", "model": "x-ai/grok-4.7", "choices": [{"index": 0, "delta": MESSAGE}]},
            {"id": "gen-1", "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}]},
            {
                "id": "gen-1",
                "choices": [],
                "usage": {"prompt_tokens": 9, "completion_tokens": 4, "cost": 0.25},
            },
        ),
        {"input_tokens": 9, "output_tokens": 4, "cost_usd": 0.25, "cost_source": "reported"},
    ),
    Row(
        "generic",
        "/chat/completions",
        {"model": "grok-4.7", **CHAT, "max_tokens": 9},
        chat_reply({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}),
        {"total_tokens": 2},
    ),
    Row("sandbox", "/responses", {"model": "grok-4.7", **RESPONSES}, RESPONSE, header="x-grok-conv-id"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.gateway)
async def test_a_gateway_is_asked_as_it_documents_and_its_answer_is_understood(row: Row) -> None:
    async with Endpoint(row.reply) as endpoint, host_on(endpoint, gateway=row.gateway) as host:
        result = await host.ask(instructions="Be brief.", temperature=0.5, max_output_tokens=9)
    (request,) = endpoint.requests
    assert (request.method, request.path) == ("POST", f"/v1{row.path}")
    assert request.body == row.sent
    key = GATEWAYS[row.gateway].own_key or "xai-test-key-1234567890"
    assert request.headers["authorization"] == f"Bearer {key}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept"] == "application/json, text/event-stream"
    affinity = {"x-grok-conv-id", "x-conversation-id"} & request.headers.keys()
    assert affinity == ({row.header} if row.header else set())
    assert result.text.startswith("Hi.\n")
    assert result.answer["usage"] == IsPartialDict(row.usage)


def test_every_gateway_has_a_row() -> None:
    assert [row.gateway for row in ROWS] == list(GATEWAYS)


@pytest.mark.parametrize("gateway", ["xai", "theturbo"])
async def test_the_turns_of_a_conversation_carry_the_same_affinity_and_others_another(gateway: str) -> None:
    reply = RESPONSE if gateway == "xai" else chat_reply({})
    header = GATEWAYS[gateway].affinity_header
    assert header
    async with Endpoint(reply) as endpoint, host_on(endpoint, gateway=gateway) as host:
        handle = (await host.ask()).answer["conversation_id"]
        await host.ask("And?", conversation_id=handle)
        await host.ask("Something else")
    first, second, other = (request.headers[header.lower()] for request in endpoint.requests)
    assert first == second != other
