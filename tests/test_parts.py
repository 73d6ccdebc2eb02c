"""Results that are too long are cut where it hurts least, and nothing of them is lost."""

import re
from typing import Any, NamedTuple

import pytest
from dirty_equals import IsPartialDict

from tests.support.answers import sentence
from tests.support.endpoint import Endpoint, chat, events
from tests.support.host import Host, Result, host_on
from tests.support.payloads import payload_reply

pytestmark = pytest.mark.anyio

LIMIT = 1_000
FAMILY = "👩‍👩‍👧‍👦"
FLAG = "🇸🇪"


class Case(NamedTuple):
    id: str
    text: str
    ends: str
    """What each part but the last ends with, as a regular expression."""


CASES = (
    Case("paragraphs", "\n\n".join(f"{n}. " + "Word word.\n" * 20 for n in range(30)), r"\n\n"),
    Case("paragraphs of Windows", "\r\n\r\n".join("Some words. " * 25 for _ in range(30)), r"\r\n\r\n"),
    Case("one long paragraph of lines", "A line, and another.\n" * 300, r"[^\n]\n"),
    Case("lines of Windows", "A line, and another.\r\n" * 300, r"[^\r]\r\n"),
    Case("one line of sentences", "This is a sentence. And this? " * 200, r"[.?]\s"),
    Case("sentences without white space", "これは文です。これも文です。" * 200, "。"),
    Case("one line of words", "word " * 2_000, r"word\s"),
    Case("one giant word", "x" * 5_000, "x"),
    Case("families", FAMILY * 500, FAMILY),
    Case("flags", FLAG * 2_000, FLAG),
    Case("flags out of step", "x" + FLAG * 2_000, FLAG),
    Case("accents", "e\u0301" * 2_000, "e\u0301"),
    Case("thumbs", "👍🏽" * 2_000, "👍🏽"),
    Case("carriage returns only", "\r\n" * 3_000, r"\r\n"),
    Case("joiners only", "\u200d" * 3_000, ""),
    Case("a short title, then one giant word", "Title\n\n" + "x" * 5_000, "x"),
)


async def parts_of(host: Host, first: Result) -> list[Result]:
    """A result and all that follows it."""
    parts = [first]
    while "answer_id" in parts[-1].answer:
        answer_id, offset = sentence(parts[-1])
        parts.append(await host.call("grok_result", answer_id=answer_id, offset=offset))
        assert len(parts) < 100
    return parts


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_the_parts_of_a_long_answer_add_up_to_its_text(case: Case) -> None:
    async with Endpoint(chat(case.text)) as endpoint:
        async with host_on(endpoint, max_result_chars=LIMIT, results="structured") as host:
            parts = await parts_of(host, await host.ask())
    texts = [part.structured["text"] for part in parts]
    assert "".join(texts) == case.text
    assert len(parts) > 3
    for part, text in zip(parts[:-1], texts[:-1], strict=True):
        assert re.search(f"(?:{case.ends})$", text), repr(text[-40:])
        assert len(part.text) <= LIMIT and len(text) >= LIMIT // 8
        assert part.answer["finish_reason"] == "stop"
    assert "answer_id" not in parts[-1].text and "answer_id" not in parts[-1].structured


async def test_a_cut_says_how_long_the_text_is_and_where_to_go_on() -> None:
    text = "\n\n".join("Some words. " * 25 for _ in range(30))
    async with Endpoint(chat(text)) as endpoint, host_on(endpoint, max_result_chars=LIMIT) as host:
        first = await host.ask()
        answer_id, offset = sentence(first)
        second = await host.call("grok_result", answer_id=f" {answer_id}\n", offset=str(offset))
        same = await host.call("grok_result", answer_id=answer_id, offset=offset)
    assert f"\n\nNote: This is the text up to character {offset} of {len(text)}. For the rest" in first.text
    assert f"Note: This is the text from character {offset} to " in second.text
    assert second.text == same.text
    assert second.answer["conversation_id"] == first.answer["conversation_id"]


async def test_a_result_that_just_fits_is_whole_and_one_character_more_is_not() -> None:
    async with Endpoint(chat("x" * 900)) as endpoint:
        async with host_on(endpoint, max_result_chars=40_000) as host:
            length = len((await host.ask()).text)
        async with host_on(endpoint, max_result_chars=length + 1) as host:  # the handle may vary, times too
            fits = await host.ask()
        async with host_on(endpoint, max_result_chars=length - 50) as host:
            cut = await host.ask()
    assert "answer_id" not in fits.answer
    assert "answer_id" in cut.answer


async def test_the_default_cuts_at_forty_thousand_and_zero_cuts_nothing() -> None:
    text = "Some words. " * 5_000
    async with Endpoint(chat(text)) as endpoint:
        async with host_on(endpoint) as host:
            cut = await host.ask()
        async with host_on(endpoint, max_result_chars=0, results="structured") as host:
            whole = await host.ask()
    assert 30_000 < len(cut.text) <= 40_000
    assert whole.structured["text"] == text


async def test_json_is_never_cut() -> None:
    long = "x" * 5_000
    async with Endpoint(chat(f'{{"a": "{long}"}}')) as endpoint:
        async with host_on(endpoint, max_result_chars=LIMIT) as host:
            result = await host.call("grok_structured", prompt="Long?", schema={"type": "object"})
    assert result.structured["data"] == {"a": long}
    assert "answer_id" not in result.answer


async def test_each_part_lists_its_own_sources_and_the_last_one_those_that_are_left() -> None:
    marks = [f"[[{n}]](https://a.example/{n})" for n in range(1, 9)]
    text = "\n\n".join(f"{'Some words. ' * 40}{mark}" for mark in marks)
    annotations = [
        {
            "type": "url_citation",
            "url": f"https://a.example/{n}",
            "start_index": text.index(mark),
            "end_index": text.index(mark) + len(mark),
        }
        for n, mark in enumerate(marks, 1)
    ]
    content = [{"type": "output_text", "text": text, "annotations": annotations}]
    done = {
        "status": "completed",
        "model": "grok-4.7",
        "output": [{"type": "message", "id": "m", "role": "assistant", "content": content}],
        "citations": ["https://a.example/never-cited"],
    }
    async with Endpoint(events({"type": "response.completed", "response": done})) as endpoint:
        async with host_on(endpoint, gateway="xai", max_result_chars=2_000, results="structured") as host:
            parts = await parts_of(host, await host.search())
    assert len(parts) > 2
    for part in parts[:-1]:
        shown = set(re.findall(r"\[\[(\d)\]\]", part.structured["text"]))
        assert {str(cited["index"]) for cited in part.structured["citations"]} == shown
        assert "Sources:" in part.text
    listed = [cited["url"] for cited in parts[-1].structured["citations"]]
    assert {annotation["url"] for annotation in annotations} <= set(listed)


async def test_a_marker_is_not_torn() -> None:
    mark = "[[1]](https://a.example/" + "y" * 300 + ")"
    text = "x" * 600 + mark + "x" * 2_000
    annotation = {
        "type": "url_citation",
        "url": mark[6:-1],
        "start_index": 600,
        "end_index": 600 + len(mark),
    }
    content = [{"type": "output_text", "text": text, "annotations": [annotation]}]
    output = [{"type": "message", "id": "m", "role": "assistant", "content": content}]
    done = {"status": "completed", "model": "grok-4.7", "output": output}
    async with Endpoint(events({"type": "response.completed", "response": done})) as endpoint:
        async with host_on(endpoint, gateway="xai", max_result_chars=1_500, results="structured") as host:
            parts = await parts_of(host, await host.search())
    texts = [part.structured["text"] for part in parts]
    assert "".join(texts) == text
    assert any(mark in one for one in texts)


async def test_alternatives_are_behind_the_text_and_none_is_lost() -> None:
    texts = [f"{name} " + "Some words. " * 60 for name in ("First.", "Second.", "Third.")]
    chunks = [
        {"model": "grok-4.7", "choices": [{"index": n, "delta": {"content": text}, "finish_reason": "stop"}]}
        for n, text in enumerate(texts)
    ]
    async with Endpoint(events(*chunks)) as endpoint:
        async with host_on(endpoint, max_result_chars=LIMIT) as host:
            parts = await parts_of(host, await host.ask(options={"n": 3}))
    told = "".join(part.text.partition("\n\nNote: ")[0].partition("\n\ngrok-4.7")[0] for part in parts)
    assert told.count("Some words.") == 180
    assert told.index("First.") < told.index("Alternative 2:") < told.index("Third.")


@pytest.mark.parametrize(
    ("offset", "says"),
    [
        (3_001, "offset: the answer ends at character 3000."),
        (10**30, "offset: the answer ends at character 3000."),
        (-1, "offset: input should be greater than or equal to 0."),
        ("soon", "offset: input should be a valid integer"),
        ([], None),
    ],
)
async def test_an_offset_that_leads_nowhere_is_an_error_that_says_so(offset: Any, says: str | None) -> None:
    async with Endpoint(chat("x" * 3_000)) as endpoint, host_on(endpoint, max_result_chars=LIMIT) as host:
        answer_id, _ = sentence(await host.ask())
        result = await host.call("grok_result", answer_id=answer_id, offset=offset)
        ends = await host.call("grok_result", answer_id=answer_id, offset=3_000)
    if says is None:  # nothing, as some hosts write it
        assert result.text.startswith("x")
    else:
        assert result.error["code"] == "invalid_argument" and says in result.text
    assert ends.text.startswith("grok-4.7 · ")


async def test_what_is_handed_over_is_cut_as_well() -> None:
    reply = chat("Some words. " * 400, "The end.")
    reply.hold = 1
    async with Endpoint(reply) as endpoint:
        async with host_on(endpoint, wait=0.2, max_result_chars=LIMIT, results="structured") as host:
            first = await host.ask()
            answer_id, offset = sentence(first)
            second = await host.call("grok_result", answer_id=answer_id, offset=offset)
            reply.release.set()
            ahead = await host.call("grok_result", answer_id=answer_id, offset=sentence(second)[1])
            rest = await parts_of(host, ahead)
    texts = [part.structured["text"] for part in (first, second, *rest)]
    assert "".join(texts) == "Some words. " * 400 + "The end."
    assert first.answer == IsPartialDict(finish_reason="running", answer_id=answer_id)
    assert all(len(part.text) <= LIMIT for part in (first, second, *rest))


async def test_an_offset_ahead_of_what_is_written_gets_the_place_where_it_goes_on() -> None:
    reply = chat("Some words. ", "The end.")
    reply.hold = 1
    async with Endpoint(reply) as endpoint, host_on(endpoint, wait=0.2) as host:
        answer_id, offset = sentence(await host.ask())
        ahead = await host.call("grok_result", answer_id=answer_id, offset=500)
    assert sentence(ahead) == (answer_id, offset)


async def test_a_real_answer_with_sources_is_the_same_in_parts() -> None:
    reply = payload_reply("05_responses_stream_web_and_x_search.sse")
    async with Endpoint(reply) as endpoint:
        async with host_on(endpoint, gateway="xai", results="structured") as host:
            whole = (await host.search("Tram?")).structured
        async with host_on(endpoint, gateway="xai", max_result_chars=400, results="structured") as host:
            parts = await parts_of(host, await host.search("Tram?"))
    assert "".join(part.structured["text"] for part in parts) == whole["text"]
    last = parts[-1].structured
    assert last["evidence"] == whole["evidence"]
    assert [cited | {"spans": []} for cited in last["citations"]] == [
        cited | {"spans": []} for cited in whole["citations"]
    ]
    marked = [
        (cited["index"], part.structured["text"][slice(*span)])
        for part in parts
        for cited in part.structured["citations"]
        for span in cited["spans"]
    ]
    assert marked == [
        (cited["index"], whole["text"][slice(*span)])
        for cited in whole["citations"]
        for span in cited["spans"]
    ]
