import json
import re
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx2
import pytest

from grok_mcp.sandbox import SandboxServer
from grok_mcp.sandbox.faults import MAX_SCRIPTS, WORDS, Fault, FaultBook, Word, grammar
from tests.sandbox_faults import FAULTS
from tests.sandbox_faults.shapes import BODIES, JSON_BODIES

from .wire import Endpoint, joined, parse

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")


def broken(grok: Endpoint, fault: str, **fields: Any) -> str:
    """What arrives of a stream that breaks off, which it must do."""
    messages = [{"role": "user", "content": "Hi"}]
    body = {"model": f"grok-4.7!{fault}", "messages": messages, "stream": True, **fields}
    arrived = b""
    with (
        pytest.raises(httpx2.RemoteProtocolError, match="incomplete chunked read"),
        grok.client.stream("POST", "chat/completions", json=body) as reply,
    ):
        for piece in reply.iter_bytes():
            arrived += piece
    return arrived.decode()


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 410, 429, 500, 503, 529, 599])
def test_a_status_comes_with_the_error_body_of_that_status(grok: Endpoint, status: int) -> None:
    response = grok.send_chat(fault=f"status={status}", stream=True)
    assert response.status_code == status
    assert set(response.json()) == {"code", "error"}


def test_a_status_of_422_is_plain_text(grok: Endpoint) -> None:
    response = grok.send_chat(fault="status=422")
    assert response.headers["content-type"].startswith("text/plain")
    assert response.text.startswith("Failed to deserialize")


@pytest.mark.parametrize("shape", BODIES)
def test_an_error_body_takes_every_known_shape(grok: Endpoint, shape: str) -> None:
    response = grok.send_chat(fault=f"status=502;body={shape};message=a%20%3C;retry-after=2.5")
    assert response.headers["retry-after"] == "2.5"
    seen = response.json() if "json" in response.headers.get("content-type", "") else response.text
    expected: dict[str, Any] = {
        "xai": {"code": "The service is currently unavailable", "error": "a <"},
        "openai": {
            "error": {
                "message": "a <",
                "type": "upstream_error",
                "param": "",
                "code": "The service is currently unavailable",
            }
        },
        "string": {"error": "a <"},
        "text": "a <",
        "html": "<!DOCTYPE html><html><head><title>502</title></head><body>Error 502 a &lt;</body></html>",
        "empty": "",
        "fastapi": {"detail": "a <"},
        "details": {"detail": [{"loc": ["body"], "msg": "a <", "type": "value_error"}]},
        "message": {"message": "a <"},
        "newapi": {
            "error": {
                "message": "a < (request id: 20261122000000000000001)",
                "type": "new_api_error",
                "param": "",
                "code": "The service is currently unavailable",
            }
        },
        "acedata": {
            "success": False,
            "error": {"code": "api_error", "message": "a <"},
            "trace_id": "2cf86e86-0000-4000-8000-032c0f2a4e89",
        },
        "openrouter": {
            "error": {
                "code": 502,
                "message": "Provider returned error",
                "metadata": {
                    "provider_name": "xAI",
                    "raw": '{"code": "The service is currently unavailable", "error": "a <"}',
                },
            },
            "user_id": "user_sandbox",
        },
        "msg": {"code": 502, "msg": "a <", "success": False},
        "errormsg": {"error_code": 502, "error_msg": "a <"},
        "errors": {"errors": [{"message": "a <", "code": 502}]},
        "textcode": {"error": {"message": "a <", "type": "upstream_error", "code": "502"}},
    }
    expected["list"] = [expected["openai"]]
    expected["events"] = f"event: error\ndata: {json.dumps(expected['openai'])}\n\ndata: [DONE]\n\n"
    assert seen == expected[shape]


def test_a_script_may_stand_behind_the_name_of_the_model(grok: Endpoint) -> None:
    assert grok.send_chat(model="grok-4.7!status=503,retry-after=1").headers["retry-after"] == "1"
    assert grok.send_responses(model="grok-4.7!status=503").status_code == 503
    assert grok.chat(model="grok-4.7!")["model"] == "grok-4.7"


def test_times_ends_a_script(grok: Endpoint) -> None:
    statuses = [grok.send_chat(fault="status=500; times=2;").status_code for _ in range(3)]
    assert statuses == [500, 500, 200]


def test_the_count_of_scripts_is_bounded() -> None:
    book = FaultBook()
    for number in range(MAX_SCRIPTS + 1):
        assert book.take(f"times=1;served={number}").times == 1
    assert book.take(f"times=1;served={MAX_SCRIPTS}").times is None
    assert book.take("times=1;served=0").times == 1


@pytest.mark.parametrize(
    "script",
    [
        "sing",
        "status",
        "status=200",
        "body=xml",
        "stall=-1",
        "delay=nan",
        "hang=1",
        "cut=many",
        "=5",
        "twice=2",
        "failed",
        "served",
        "credits",
        "credits=500",
        "notools=yes",
        "prose=1",
    ],
)
def test_a_script_that_is_not_understood_is_answered_with_the_grammar(grok: Endpoint, script: str) -> None:
    response = grok.send_chat(fault=script)
    assert response.status_code == 400
    assert repr(script) in response.json()["error"]
    assert "status=STATUS" in response.json()["error"]


def test_the_grammar_has_a_line_for_every_word() -> None:
    _, *lines = grammar((*WORDS, *FAULTS)).splitlines()
    signs = [line.split()[0] for line in lines]
    assert signs == [f"{word.name}={word.kind}" if word.kind else word.name for word in (*WORDS, *FAULTS)]
    assert all(len(line.split(maxsplit=1)) == 2 for line in lines)


def test_the_readme_names_every_word_that_the_sandbox_knows_by_itself() -> None:
    scripts = re.findall(r"`(?:grok-4\.7!)?([a-z-]+(?:=[^`|]+)?(?:;[^`|]+)?)`", PAGE)
    words = {part.partition("=")[0] for script in scripts for part in script.split(";")}
    assert {word.name for word in WORDS} - words == set()


def test_a_sandbox_takes_further_words() -> None:
    def shout(fault: Fault, times: int) -> None:
        fault.bodies.append(lambda body: body | {"object": body["object"].upper() + "!" * times})

    with SandboxServer(pace=0, faults=[Word("shout", "N", "in capitals", shout)]) as sandbox:
        body = {"model": "grok-4.7!shout=2", "input": "Hi"}
        answer = httpx2.post(f"{sandbox.url}/responses", json=body, headers={"Authorization": "Bearer x"})
    assert answer.json()["object"] == "RESPONSE!!"


def test_a_sandbox_without_further_faults_refuses_their_words() -> None:
    assert {word.name for word in WORDS}.isdisjoint(word.name for word in FAULTS)
    with SandboxServer(pace=0) as sandbox:
        body = {"model": "grok-4.7!crlf", "messages": [{"role": "user", "content": "Hi"}]}
        response = httpx2.post(
            f"{sandbox.url}/chat/completions", json=body, headers={"Authorization": "Bearer x"}
        )
    assert response.status_code == 400
    assert "Not understood in the fault script: 'crlf'" in response.json()["error"]


def test_error200_is_an_error_in_a_json_body_with_status_200(grok: Endpoint) -> None:
    response = grok.send_chat(fault="error200", stream=True)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert response.json() == {
        "code": "The service is currently unavailable",
        "error": "Timed out waiting for first token",
    }
    error = grok.send_chat(fault="error200;body=openrouter", stream=True).json()["error"]
    assert error["code"] == 502


def test_json_answers_a_stream_with_one_body(grok: Endpoint) -> None:
    response = grok.send_chat(fault="json;noindex;nousage", stream=True)
    assert response.headers["content-type"] == "application/json"
    assert "usage" not in response.json()
    assert "index" not in response.json()["choices"][0]
    body = grok.send_responses(fault="json;nousage", stream=True).json()
    assert body["object"] == "response" and "usage" not in body


def test_each_flag_of_the_bytes_changes_the_frames_in_its_way(grok: Endpoint) -> None:
    plain = grok.send_chat("Frames", stream=True).text
    assert grok.send_chat("Frames", "nodone", stream=True).text == plain.removesuffix("data: [DONE]\n\n")
    assert grok.send_chat("Frames", "noblank", stream=True).text == plain.removesuffix("\n\n")
    assert grok.send_chat("Frames", "noblank;nodone", stream=True).text.endswith("}")
    assert grok.send_chat("Frames", "crlf", stream=True).content.decode() == plain.replace("\n", "\r\n")
    assert grok.send_chat("Frames", "cr", stream=True).content.decode() == plain.replace("\n", "\r")
    commented = grok.send_chat("Frames", "keepalive", stream=True).text
    assert commented.count(": keepalive\n\n") == plain.count("data: {")
    assert (
        grok.send_chat("Frames 🚋", "split", stream=True).text
        == grok.send_chat("Frames 🚋", stream=True).text
    )


def test_bom_and_notype_stand_before_any_reply(grok: Endpoint) -> None:
    for stream in (True, False):
        plain = grok.send_chat("Frames", stream=stream)
        assert grok.send_chat("Frames", "bom", stream=stream).content == b"\xef\xbb\xbf" + plain.content
        untyped = grok.send_chat("Frames", "notype", stream=stream)
        assert "content-type" not in untyped.headers and untyped.content == plain.content


def test_multiline_and_eventlines_only_write_events_in_another_way(grok: Endpoint) -> None:
    """The standard joins the data lines of an event by line feeds, which keeps the JSON what it is."""
    plain = grok.responses_events("Frames")
    text = grok.send_responses("Frames", "multiline;eventlines;nodone", stream=True).text
    blocks = [block.split("\n") for block in text.removesuffix("\n\n").split("\n\n")]
    assert len(blocks) == len(plain)
    for number, (lines, event) in enumerate(zip(blocks, plain, strict=True)):
        assert lines[:2] == [f"event: {event['type']}", f"id: {number}"]
        assert len(lines) > 4 and all(line.startswith("data: ") for line in lines[2:])
        assert json.loads("\n".join(line.removeprefix("data: ") for line in lines[2:])) == event
    assert grok.send_chat("Frames", "eventlines", stream=True).text.startswith(
        "event: message\nid: 0\ndata: {"
    )


def test_reset_sends_its_events_and_then_a_tcp_reset(grok: Endpoint) -> None:
    body = {"model": "grok-4.7!reset=3", "input": "Hi", "stream": True}
    arrived = b""
    with (
        pytest.raises(httpx2.ReadError) as caught,
        grok.client.stream("POST", "responses", json=body) as reply,
    ):
        for piece in reply.iter_bytes():
            arrived += piece
    causes = [
        caught.value,
        caught.value.__cause__,
        caught.value.__cause__ and caught.value.__cause__.__cause__,
    ]
    assert any(isinstance(cause, ConnectionResetError) for cause in causes)
    assert len(parse(arrived.decode())) == 3
    assert grok.chat("Are you there?")["choices"]


def test_cut_breaks_the_connection_after_some_events(grok: Endpoint) -> None:
    assert len(parse(broken(grok, "cut=3"))) == 3
    assert broken(grok, "cut=0") == ""


def test_a_whole_body_is_cut_at_its_half(grok: Endpoint) -> None:
    whole = grok.chat("Hi", stream=False)
    half = broken(grok, "cut=1", stream=False)
    assert json.dumps(whole, ensure_ascii=False).startswith(half)
    with pytest.raises(json.JSONDecodeError):
        json.loads(half)


def test_end_closes_the_stream_cleanly_without_its_end(grok: Endpoint) -> None:
    response = grok.send_chat(fault="end=2", stream=True)
    assert len(parse(response.text)) == 2
    assert "[DONE]" not in response.text
    assert grok.send_chat(fault="end=0").text == ""


@pytest.mark.parametrize("shape", BODIES)
def test_error_puts_an_error_object_into_a_chat_stream(grok: Endpoint, shape: str) -> None:
    """Of the shape that a refusal has; those that are no JSON become xAI's."""
    response = grok.send_chat(fault=f"error=2;message=oops;body={shape}", stream=True)
    events = parse(response.text)
    assert len(events) == 3
    refusal = grok.send_chat(fault=f"status=503;message=oops;body={shape}")
    if shape not in JSON_BODIES:
        refusal = grok.send_chat(fault="status=503;message=oops")
    if shape == "openrouter":
        assert events[-1]["error"] == refusal.json()["error"]
    else:
        assert events[-1] == refusal.json()
    assert response.text.endswith("data: [DONE]\n\n")


def test_an_error_of_openrouter_stands_beside_a_choice_that_ends_with_it(grok: Endpoint) -> None:
    chunk = parse(grok.send_chat(fault="error=2;body=openrouter", stream=True).text)[-1]
    assert chunk["choices"] == [
        {"index": 0, "delta": {"content": ""}, "finish_reason": "error", "native_finish_reason": "error"}
    ]
    assert (chunk["provider"], chunk["error"]["code"]) == ("xAI", 503)


@pytest.mark.parametrize("shape", ["xai", "text"])
def test_error_puts_an_error_event_into_a_responses_stream(grok: Endpoint, shape: str) -> None:
    events = parse(grok.send_responses(fault=f"error=2;body={shape}", stream=True).text)
    assert events[-1] == {
        "sequence_number": 2,
        "type": "error",
        "code": None,
        "message": "Service temporarily unavailable.",
        "param": None,
    }


@pytest.mark.parametrize("shape", [shape for shape in JSON_BODIES if shape != "xai"])
def test_error_puts_the_object_of_a_gateway_into_a_responses_stream(grok: Endpoint, shape: str) -> None:
    events = parse(grok.send_responses(fault=f"error=2;body={shape}", stream=True).text)
    assert len(events) == 3
    assert events[-1] == grok.send_responses(fault=f"status=503;body={shape}").json()


def test_garbage_is_a_line_that_is_no_json(grok: Endpoint) -> None:
    text = grok.send_chat("Hi", "garbage=2", stream=True).text
    assert text.split("\n\n")[2] == "data: <<this is no JSON>>"
    assert joined(parse(text.replace("data: <<this is no JSON>>\n\n", ""))).startswith("Sandbox")
    with pytest.raises(json.JSONDecodeError):
        grok.send_chat(fault="garbage=0").json()


def test_joined_and_gluedone_leave_blank_lines_out(grok: Endpoint) -> None:
    plain = grok.send_chat("Frames", stream=True).text
    joined_up = grok.send_chat("Frames", "joined", stream=True).text
    assert joined_up.count("\n\n") == 1 and joined_up.replace("\n", "") == plain.replace("\n", "")
    glued = grok.send_chat("Frames", "gluedone", stream=True).text
    assert glued == plain.replace("}\n\ndata: [DONE]", "}\ndata: [DONE]") != plain
    last = grok.send_responses("Frames", "gluedone", stream=True).text
    assert last.endswith("}\ndata: [DONE]\n\n")


def test_cutevent_glues_an_event_to_the_beginning_of_the_one_before(grok: Endpoint) -> None:
    plain = grok.send_chat("Frames", stream=True).text.split("\n\n")
    cut = grok.send_chat("Frames", "cutevent=2", stream=True).text.split("\n\n")
    assert [*cut[:2], *cut[3:]] == [*plain[:2], *plain[4:]]
    assert plain[2].startswith(cut[2].removesuffix(plain[3])) and cut[2].endswith(plain[3])


def test_choiceerror_ends_a_chat_with_an_error_in_its_choice(grok: Endpoint) -> None:
    plain, events = grok.chat_events("Hi"), grok.chat_events("Hi", fault="choiceerror=3")
    error = {"code": 502, "message": "Upstream provider disconnected"}
    assert events[:3] == plain[:3] and len(events) == 4
    assert events[3]["choices"] == [{"index": 0, "delta": {}, "finish_reason": "error", "error": error}]
    (choice,) = grok.chat("Hi", fault="choiceerror=3")["choices"]
    assert (choice["finish_reason"], choice["error"]) == ("error", error)
    assert grok.responses_events("Hi", fault="choiceerror=3") == grok.responses_events("Hi")


@pytest.mark.parametrize("fault", ["hang", "stall=0", "stall=2", "delay=9", "pace=9"])
def test_a_script_that_waits_lets_the_client_time_out(grok: Endpoint, fault: str) -> None:
    body = {"model": f"grok-4.7!{fault}", "input": "Hi", "stream": True}
    with pytest.raises(httpx2.ReadTimeout):
        grok.client.post("responses", json=body, timeout=0.05)
    assert grok.chat("Are you there?")["choices"]


def test_delay_and_pace_only_slow_an_answer_down(grok: Endpoint) -> None:
    start = perf_counter()
    events = grok.chat_events("Slow", fault="delay=0.05;pace=0.001")
    assert perf_counter() - start >= 0.05
    assert events == grok.chat_events("Slow")
