"""What an answer says of where its sources come from: each class, each habit of endpoints that is no fault,
and the figures that stand in the documents.
"""

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from grok_mcp.bounds import QUERY_CHARACTERS, STEP_SOURCES, STEPS
from grok_mcp.dialects import parse
from grok_mcp.events import CitationFound, Place, SourcesFound, TextDelta
from grok_mcp.gateways import GATEWAYS
from grok_mcp.messages import Answer, BrokenMarker, ChatRequest, Evidence, Message, Step
from grok_mcp.pipeline.answer import build_answer
from grok_mcp.pipeline.fold import Fold
from grok_mcp.pipeline.same_page import page_key
from grok_mcp.stores.documents import pack_outcome, unpack_outcome
from tests.evidence.measure import measure
from tests.evidence.scenes import Cite, recorded
from tests.evidence.wire import chat_listed, cut, responses
from tests.gateways.shapes import Item, annotation, message, response_stream, web_search
from tests.support.endpoint import Endpoint, Reply, chat, events
from tests.support.host import Result, host_on
from tests.support.pages import ROOT
from tests.support.payloads import payload_reply, payloads_of

pytestmark = pytest.mark.anyio

COUNCIL, TRANSIT, FORUM = (
    "https://city.example/council/minutes-1112",
    "https://transit.example/news/extension",
    "https://forum.example/t/9917",
)
UNLISTED = "The endpoint did not list [{}] as a source: the address is from the text."
RENUMBERED = "The answer gives [{}] to a source that has another number."
SHARED = "The answer gives [{}] to more than one source."
MISPLACED = "The endpoint says that [{}] is cited where the text does not cite it."
NOWHERE = "The answer points to [{}], which is not the address of a page."


def evidence(
    cited: tuple[int, ...] = (),
    met_only: tuple[int, ...] = (),
    unseen: tuple[int, ...] = (),
    /,
    **broken: str,
) -> dict[str, Any]:
    """As it is published; `broken` as in `_7="no_source"`."""
    lists = {"cited": [*cited], "met_only": [*met_only], "unseen": [*unseen]}
    return {**lists, "broken": [{"marker": int(name[1:]), "why": why} for name, why in broken.items()]}


async def searched(reply: Reply, gateway: str = "xai", **arguments: Any) -> Result:
    settings: dict[str, Any] = {"results": "structured", "max_result_chars": 0}
    async with Endpoint(reply) as endpoint, host_on(endpoint, gateway=gateway, **settings) as host:
        return await host.search(**arguments)


BLIND = ("made up, and cut", "marker renumbered (alone", "place shifted (alone")
"""What nothing in the answer shows, as the documents tell."""


async def test_what_changes_do_to_answers_is_said_as_the_documents_tell() -> None:
    measured = await measure()
    assert [line for line in measured.wrong if not line.startswith(BLIND)] == []
    assert {count.precision for count in measured.counts.values()} == {1.0}
    assert measured.sound_with_note == 0
    page = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    assert measured.table() in page and measured.sentence() in page


async def test_a_sound_answer_says_which_sources_it_cites_and_which_it_only_met() -> None:
    answer = (await searched(payload_reply("05_responses_stream_web_and_x_search.sse"))).structured
    assert answer["evidence"] == evidence((1, 2, 3), (4,))
    assert "warnings" not in answer


async def test_a_default_result_of_a_sound_answer_says_nothing_of_it() -> None:
    reply = payload_reply("05_responses_stream_web_and_x_search.sse")
    async with Endpoint(reply) as endpoint, host_on(endpoint, gateway="xai") as host:
        result = await host.search()
    assert "Note:" not in result.text and "evidence" not in json.dumps(result.answer)
    assert result.raw.structured_content is None


@pytest.mark.parametrize("reply", [chat("It is so."), chat("A [link](https://a.example/) and x[[1]].")])
async def test_an_answer_without_sources_and_markers_has_no_evidence(reply: Reply) -> None:
    async with Endpoint(reply) as endpoint, host_on(endpoint, results="structured") as host:
        assert "evidence" not in (await host.ask()).structured


def changed(place: int, **changes: Any) -> Reply:
    return responses(recorded().with_cite(place, **changes))


INVENTED = "https://made-up.example/never/met"


@pytest.mark.parametrize(
    ("reply", "found", "note"),
    [
        pytest.param(
            changed(2, noted=False), evidence((1, 2), (4,), (3,)), UNLISTED.format(3), id="not in any list"
        ),
        pytest.param(
            changed(1, url=INVENTED, listed_url=TRANSIT),
            evidence((1, 3), (4, 5), (2,), _2="two_numbers"),
            f"{UNLISTED.format(2)} {SHARED.format(2)}",
            id="another address in the text",
        ),
        pytest.param(
            changed(1, number=9, listed_number=2),
            evidence((1, 3, 9), (10,), _9="two_numbers"),
            RENUMBERED.format(9),
            id="another number in the text",
        ),
        pytest.param(
            changed(1, number=1),
            evidence((1, 3, 4), (5,), _1="two_numbers"),
            SHARED.format(1),
            id="one number for two",
        ),
        pytest.param(
            changed(1, shift=-20),
            evidence((1, 2, 3), (4,), _2="span_outside"),
            MISPLACED.format(2),
            id="a place beside the marker",
        ),
        pytest.param(
            changed(1, outside=True),
            evidence((1, 2, 3), (4,), _2="span_outside"),
            MISPLACED.format(2),
            id="a place behind the text",
        ),
        pytest.param(
            responses(replace(recorded(), parts=(*recorded().parts, Cite(9, "#ref", noted=False)))),
            evidence((1, 2, 3), (10,), _9="no_source"),
            NOWHERE.format(9),
            id="a marker without a page",
        ),
    ],
)
async def test_what_does_not_hold_is_one_note_with_its_numbers(
    reply: Reply, found: dict[str, Any], note: str
) -> None:
    answer = (await searched(reply)).structured
    assert answer["evidence"] == found
    assert answer["warnings"] == [note]


async def test_a_marker_of_a_source_that_was_left_out_is_told_once() -> None:
    reply = chat(f"Yes[[1]](javascript:alert) and[[2]]({FORUM}).", citations=["javascript:alert", FORUM])
    answer = (await searched(reply, "nebula", model="grok-4.7")).structured
    assert answer["evidence"] == evidence((2,), _1="no_source")
    assert answer["warnings"] == ["Sources that are not addresses of web pages were left out: 1."]


async def test_many_numbers_are_counted_in_the_note() -> None:
    text = "".join(f"[[{number}]](https://a.example/{number})" for number in range(1, 31))
    answer = (await searched(chat(text, citations=["https://b.example/"]), "nebula")).structured
    assert answer["evidence"]["unseen"] == [*range(1, 31)]
    assert "[20] and 10 more as a source" in " ".join(answer["warnings"])


async def test_titles_that_agree_with_no_marker_are_no_numbers_of_sources() -> None:
    """Some endpoint may count from zero, or its annotations."""
    first, second = "[[1]](https://a.example/)", "[[2]](https://b.example/)"
    notes = [
        annotation("https://a.example/", "2", 1, 1 + len(first)),
        annotation("https://b.example/", "1", 2 + len(first), 2 + len(first) + len(second)),
    ]
    answer = (
        await searched(response_stream("grok-4.7", message(f"A{first}B{second}", annotations=notes)))
    ).structured
    assert answer["evidence"] == evidence((1, 2)) and "warnings" not in answer


A, B = "https://a.example/x", "https://b.example/y"
TEXT = f"Yes, it is so[[1]]({A}), and so it is[[2]]({B}). More of it stands elsewhere[[3]](<c.example d>)."
AT = {url: (TEXT.index(f"[[{number}]]"), TEXT.index(url) + len(url) + 1) for number, url in ((1, A), (2, B))}


@pytest.mark.parametrize(
    ("notes", "broken"),
    [
        pytest.param(
            [(A, "1", *AT[A]), (A, "1", 0, 13), (B, "2", *AT[B])], {}, id="a marker and its passage"
        ),
        pytest.param([(A, "1", AT[A][0] + 1, AT[A][0] + 4), (B, "2", *AT[B])], {}, id="a part of the marker"),
        pytest.param([(A, "1", *AT[A]), (B, "1984", *AT[B])], {}, id="a title that is a year"),
        pytest.param([(A, "1", 0, AT[A][1]), (B, "2", 0, AT[B][1])], {}, id="passages with their markers"),
        pytest.param([(A, "1", 0, 13), (B, "2", 50, 80)], {}, id="passages only"),
        pytest.param(
            [(A, "1", *AT[A]), (B, "2", TEXT.index("[[3]]"), len(TEXT) - 1)],
            {},
            id="a marker that can't be read",
        ),
        pytest.param(
            [(A, "Page A", *AT[B]), (B, "Page B", *AT[A])],
            {"_1": "span_outside", "_2": "span_outside"},
            id="each at the other's marker",
        ),
        pytest.param(
            [(A, "1", *AT[A]), (B, "2", 0, 13)], {"_2": "span_outside"}, id="a passage in place of a marker"
        ),
        pytest.param(
            [(A, "1", *AT[A]), (B, "2", AT[B][0] - 3, AT[B][1] - 3)],
            {"_2": "span_outside"},
            id="a torn marker",
        ),
    ],
)
async def test_a_place_is_claimed_to_be_wrong_only_where_it_is_sure(
    notes: list[tuple[str, str, int, int]], broken: dict[str, str]
) -> None:
    answered = message(TEXT, annotations=[annotation(*note) for note in notes])
    answer = (await searched(response_stream("grok-4.7", answered))).structured
    assert answer["evidence"] == evidence((1, 2), **broken)
    assert len(answer.get("warnings", [])) == bool(broken)


async def test_a_place_that_counts_over_all_parts_of_a_text_is_not_outside() -> None:
    second = f"And so it is[[1]]({A})."
    at = 20 + second.index("[[")
    note = annotation(A, "1", at, at + second.index(").") + 1 - second.index("[["))
    parts = [{"type": "output_text", "text": "It is as it is, yes."}, {"type": "output_text", "text": second}]
    parts[1]["annotations"] = [note]  # type: ignore[assignment]
    item = {"type": "message", "id": "m", "content": parts}
    done = {"type": "response.completed", "response": {"model": "grok-4.7", "output": [item]}}
    assert (await searched(events(done))).structured["evidence"] == evidence((1,))


async def test_a_page_that_a_step_opened_is_met_though_no_list_names_it() -> None:
    opened = web_search("q")
    action = {"type": "open_page", "url": "http://www.city.example/minutes/"}
    item = Item(opened.opened, opened.streamed, {**opened.done, "action": action})
    reply = response_stream("grok-4.7", item, message("Yes[[1]](https://city.example/minutes)."))
    answer = (await searched(reply)).structured
    assert answer["evidence"] == evidence((1,)) and "warnings" not in answer
    assert "from_text" not in answer["citations"][0]


@pytest.mark.parametrize("before", ["annotation.added", "output_text.done"])
async def test_what_a_cut_has_taken_away_is_not_missed(before: str) -> None:
    answer = (await searched(cut(responses(recorded()), before))).structured
    assert answer["finish_reason"] == "interrupted"
    assert answer["evidence"]["unseen"] == answer["evidence"]["broken"] == []
    assert len(answer["warnings"]) == 1 and "incomplete" in answer["warnings"][0]


async def test_a_list_that_a_cut_behind_the_end_took_away_is_not_missed() -> None:
    *pieces, last, _ = chat_listed(recorded()).pieces
    ended = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
    answer = (
        await searched(Reply((*pieces, ended, last[:20]), end="cut"), "nebula", model="grok-4.7")
    ).structured
    assert answer["finish_reason"] == "stop" and answer["evidence"] == evidence()
    assert not any("did not list" in warning for warning in answer["warnings"])


async def test_a_source_of_an_earlier_turn_is_neither_met_nor_missed() -> None:
    again = chat(f"As I said[[1]]({COUNCIL}), and new[[2]]({INVENTED}).")
    async with Endpoint(payload_reply("05_responses_stream_web_and_x_search.sse"), again) as endpoint:
        async with host_on(endpoint, results="structured") as host:
            handle = (await host.search()).structured["conversation_id"]
            answer = (await host.ask(conversation_id=handle)).structured
    assert answer["evidence"] == evidence((), (), (2,))
    assert answer["warnings"] == [UNLISTED.format(2)]
    assert [cited["from_text"] for cited in answer["citations"]] == [True, True]


@pytest.mark.parametrize(
    "prompt",
    [
        f"Read {COUNCIL}.",
        "See city.example/council/minutes-1112?utm_source=mail, please",
        f"([minutes]({COUNCIL}#page=2))",
        f"<https://WWW.City.example/council/minutes-1112/>, {'word ' * 50}",
        json.dumps({"url": COUNCIL}).replace("/", "\\/"),
        pytest.param(
            "".join(f"self.name{n}\n" for n in range(3_000)) + COUNCIL, id="behind much that looks like one"
        ),
        pytest.param(
            "".join(f"https://city.example/{n}\n" for n in range(3_000)) + COUNCIL, id="behind other pages"
        ),
    ],
)
async def test_an_address_that_the_caller_gave_is_not_missed(prompt: str) -> None:
    async with Endpoint(chat(f"It says so[[1]]({COUNCIL}).")) as endpoint:
        async with host_on(endpoint, results="structured") as host:
            answer = (await host.ask(prompt)).structured
    assert answer["evidence"] == evidence() and "warnings" not in answer


@pytest.mark.parametrize(
    ("cited", "given"),
    [
        ("https://bücher.example/1", "https://xn--bcher-kva.example/1"),
        ("https://xn--bcher-kva.example/1", "bücher.example/1"),
        ("http://localhost/1", "http://localhost/1"),
    ],
)
async def test_an_address_that_the_caller_gave_may_have_another_spelling(cited: str, given: str) -> None:
    async with Endpoint(chat(f"It says so[[1]]({cited}).")) as endpoint:
        async with host_on(endpoint, results="structured") as host:
            answer = (await host.ask(f"Read {given}")).structured
    assert answer["evidence"] == evidence()


async def test_the_address_of_a_picture_that_the_caller_gave_is_not_missed() -> None:
    picture = "https://city.example/plan.png"
    async with Endpoint(chat(f"It shows a square[[1]]({picture}).")) as endpoint:
        async with host_on(endpoint, results="structured") as host:
            answer = (await host.ask("What is it?", images=[picture])).structured
    assert answer["evidence"] == evidence()


@pytest.mark.parametrize("prompt", ["Read https://city.example/council/other", "What says city.example?"])
async def test_another_page_of_a_site_that_the_caller_named_is_missed(prompt: str) -> None:
    async with Endpoint(chat(f"It says so[[1]]({COUNCIL}).")) as endpoint:
        async with host_on(endpoint, results="structured") as host:
            answer = (await host.ask(prompt)).structured
    assert answer["evidence"] == evidence((), (), (1,))


SCHEMA = {"type": "object", "properties": {"report": {"type": "string"}}, "required": ["report"]}


def written(text: str) -> Item:
    return message(json.dumps(text) if text.startswith("Yes") else text)


async def test_a_correction_of_json_keeps_its_numbers_and_the_sources_of_the_first_answer() -> None:
    first = response_stream(
        "grok-4.7",
        web_search("q", COUNCIL, TRANSIT, FORUM),
        message(f'{{"town": "Yes[[2]]({TRANSIT}) and[[3]]({INVENTED})"}}'),
    )
    second = response_stream(
        "grok-4.7", message(f'{{"report": "Yes[[2]]({TRANSIT}/) no[[7]](https://other.example/)"}}')
    )
    async with Endpoint(first, second) as endpoint:
        async with host_on(endpoint, gateway="xai", results="structured") as host:
            result = await host.call("grok_structured", prompt="?", schema=SCHEMA, search=True)
    answer = result.structured
    assert answer["evidence"] == evidence((2,), (4, 5), (7,))
    assert [(one["index"], one["url"]) for one in answer["citations"]] == [
        (2, f"{TRANSIT}/"),
        (4, COUNCIL),
        (5, FORUM),
        (7, "https://other.example/"),
    ]
    assert answer["warnings"] == [
        UNLISTED.format(7),
        "The first answer did not fit the schema; Grok corrected it.",
    ]


async def test_a_correction_gives_no_number_to_two_sources() -> None:
    first = response_stream("grok-4.7", web_search("q", COUNCIL, TRANSIT, FORUM), message('{"town": 1}'))
    second = response_stream("grok-4.7", message(f'{{"report": "Yes[[1]]({TRANSIT})"}}'))
    async with Endpoint(first, second) as endpoint:
        async with host_on(endpoint, gateway="xai", results="structured") as host:
            result = await host.call("grok_structured", prompt="?", schema=SCHEMA, search=True)
    numbered = [(one["index"], one["url"]) for one in result.structured["citations"]]
    assert numbered == [(1, TRANSIT), (3, FORUM), (4, COUNCIL)]
    assert result.structured["evidence"] == evidence((1,), (3, 4))


async def test_more_addresses_than_are_kept_are_no_fault_of_the_text() -> None:
    text = "".join(f"[[{number}]](https://a.example/{number})" for number in range(1, 1_500))
    answer = (await searched(chat(text, citations=["https://b.example/"]), "nebula")).structured
    assert len(answer["citations"]) == 1_001
    assert len(answer["evidence"]["unseen"]) == 1_000 and answer["evidence"]["broken"] == []


async def test_a_correction_does_not_make_an_invented_address_a_source() -> None:
    wrong = f'{{"town": "Yes[[1]]({INVENTED})"}}'
    right = f'{{"report": "Yes[[1]]({INVENTED})"}}'
    replies = [
        response_stream("grok-4.7", web_search("q", COUNCIL), message(text)) for text in (wrong, right)
    ]
    async with Endpoint(*replies) as endpoint:
        async with host_on(endpoint, gateway="xai", results="structured") as host:
            result = await host.call("grok_structured", prompt="?", schema=SCHEMA, search=True)
    assert result.structured["evidence"] == evidence((), (2,), (1,))
    assert result.structured["warnings"][0] == UNLISTED.format(1)


async def test_a_page_of_a_long_answer_has_the_evidence_of_its_own_sources() -> None:
    text, at = "", []
    for number in range(1, 5):
        text += "Some words. " * 60
        at.append(len(text))
        text += f"[[{number}]](https://a.example/{number})\n\n"
    notes = [
        annotation(
            f"https://a.example/{number}", str(number), start, start + len("[[1]](https://a.example/1)")
        )
        for number, start in enumerate(at, 1)
        if number != 3
    ]
    notes[0] |= {"start_index": 5, "end_index": 31}
    reply = response_stream(
        "grok-4.7", web_search("q", "https://a.example/9"), message(text, annotations=notes)
    )
    async with Endpoint(reply) as endpoint:
        async with host_on(endpoint, gateway="xai", max_result_chars=1_400, results="structured") as host:
            parts = [(await host.search()).structured]
            while "answer_id" in parts[-1]:
                offset = sum(len(part["text"]) for part in parts)
                result = await host.call("grok_result", answer_id=parts[0]["answer_id"], offset=offset)
                parts.append(result.structured)
    assert len(parts) > 2
    assert parts[0]["evidence"]["broken"] == [{"marker": 1, "why": "span_outside"}]
    assert parts[-1]["evidence"] == evidence((1, 2, 4), (5,), (3,), _1="span_outside")
    for part in parts[:-1]:
        listed = {cited["index"] for cited in part.get("citations", ())}
        found = part.get("evidence", evidence())
        assert {*found["cited"], *found["met_only"], *found["unseen"]} == listed
    for part in parts:
        for cited in part.get("citations", ()):
            for _, end in cited["spans"]:
                assert end <= len(part["text"])


@pytest.mark.parametrize(("encoding", "size"), [("utf-16-le", 2), ("utf-8", 1)])
def test_places_that_an_endpoint_counts_in_other_units_are_read_in_code_points(
    encoding: str, size: int
) -> None:
    text = f"So \U0001f600[[1]]({A}), \U0001f600 na\u00efve[[2]]({B})."

    def counted(place: int) -> int:
        return len(text[:place].encode(encoding)) // size

    def answered(move: int) -> Answer:
        spans = [
            (url, text.index(f"[[{number}]]"), text.index(url) + len(url) + 1)
            for number, url in ((1, A), (2, B))
        ]
        notes = [
            annotation(url, url, counted(start) + move, counted(end) + move) for url, start, end in spans
        ]
        content = [{"type": "output_text", "text": text, "annotations": notes}]
        whole = {"model": "grok-4.7", "output": [{"type": "message", "id": "m", "content": content}]}
        return folded({"type": "response.completed", "response": whole})

    answer = answered(0)
    assert answer.evidence == Evidence((1, 2)) and answer.warnings == ()
    assert [text[slice(*span)] for cited in answer.citations for span in cited.spans] == [
        f"[[1]]({A})",
        f"[[2]]({B})",
    ]
    moved = answered(6).evidence
    assert moved and {one.why for one in moved.broken} == {"span_outside"}


@pytest.mark.parametrize("place", [(-1, -1), (0, 0)])
def test_a_place_that_is_none_is_not_outside_of_the_text(place: tuple[int, int]) -> None:
    content = [{"type": "output_text", "text": f"So[[1]]({A}).", "annotations": [annotation(A, "1", *place)]}]
    whole = {"model": "grok-4.7", "output": [{"type": "message", "id": "m", "content": content}]}
    assert folded({"type": "response.completed", "response": whole}).evidence == Evidence((1,))


MANY = range(1, 1_000)
CITED = "".join(f"So[[{number}]](https://site{number}.example/). " for number in MANY)
HOSTILE: dict[str, tuple[str, list[str], list[tuple[str, int, int]], str]] = {
    "an address of ten million parameters": (
        "So[[1]](https://a.example/).",
        [f"https://a.example/?{'a&' * 5_000_000}"],
        [],
        "",
    ),
    "hosts in foreign letters": (
        "So[[1]](https://a.example/).",
        [f"https://a{number}.{'äöü.' * 400}example/" for number in MANY],
        [],
        "",
    ),
    "addresses of many parameters": (
        "So[[1]](https://a.example/).",
        [f"https://a{number}.example/?{'a=1&' * 490}" for number in MANY],
        [],
        "",
    ),
    "a thousand made up, after a long conversation": (CITED, [], [], "There is a word. " * 240_000),
    "places of a long text": (
        f"[[1]]({COUNCIL}){' word' * 1_000_000}",
        [],
        [(COUNCIL, 0, len(COUNCIL) + 7), *((TRANSIT, number + 60, 5_000_000 - number) for number in MANY)],
        "",
    ),
    "brackets in an address": (f"[[1]](a{'()' * 3_000_000}", [], [], ""),
}
LINEAR_S = 0.8
"""What each takes is a fourth of that at most."""


@pytest.mark.parametrize(("text", "shown", "places", "said"), HOSTILE.values(), ids=HOSTILE)
def test_whatever_an_endpoint_sends_is_weighed_at_once(
    text: str, shown: list[str], places: list[tuple[str, int, int]], said: str
) -> None:
    fold = Fold()
    place = Place()
    fold.add(TextDelta(text, place))
    fold.add(SourcesFound(tuple(shown)))
    for url, start, end in places:
        fold.add(CitationFound(url, "1", place, start % len(text), end % (len(text) + 1)))
    request = ChatRequest("grok-4.7", (Message("user", said),))
    before = time.process_time()
    build_answer(fold, request, GATEWAYS["xai"], broken=False)
    assert time.process_time() - before < LINEAR_S


def folded(*payloads: Any, search: bool = True) -> Answer:
    """The answer that these payloads fold to."""
    fold = Fold(clean=search)
    for payload in payloads:
        for event in parse(payload):
            fold.add(event)
    return build_answer(fold, ChatRequest("grok-4.7", (Message("user", "?"),)), GATEWAYS["xai"], broken=False)


def test_places_hold_where_the_end_of_a_stream_adds_text_with_invisible_characters() -> None:
    text = f"It\u200b is so\ufeff[[1]]({A}) and\u200b so[[2]]({B})."
    notes = [
        annotation(url, str(number), text.index(f"[[{number}]]"), text.index(url) + len(url) + 1)
        for number, url in ((1, A), (2, B))
    ]
    content = [{"type": "output_text", "text": text, "annotations": notes}]
    whole = {"model": "grok-4.7", "output": [{"type": "message", "id": "m", "content": content}]}
    begun = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text[:6]}
    answer = folded(begun, {"type": "response.completed", "response": whole})
    assert answer.evidence == Evidence((1, 2)) and answer.warnings == ()
    assert [answer.text[slice(*cited.spans[0])] for cited in answer.citations] == [
        f"[[1]]({A})",
        f"[[2]]({B})",
    ]


def test_steps_are_in_the_order_of_the_run_with_the_citations_that_they_showed() -> None:
    answer = folded(*payloads_of("05_responses_stream_web_and_x_search.sse"))
    assert answer.steps == (
        Step("web", ("tram extension council vote 12 November",), met=(1, 2, 4)),
        Step("x", ("tram extension since:2026-11-12",)),
    )
    assert "steps" not in answer.to_dict()
    assert [step.to_dict() for step in answer.steps] == [
        {"kind": "web", "queries": ["tram extension council vote 12 November"], "met": [1, 2, 4]},
        {"kind": "x", "queries": ["tram extension since:2026-11-12"]},
    ]


ITEMS: list[dict[str, Any]] = [
    {
        "type": "web_search_call",
        "id": "w1",
        "action": {"type": "search", "query": "a", "sources": [{"url": COUNCIL}]},
    },
    {"type": "web_search_call", "id": "w2", "action": {"type": "open_page", "url": f"{FORUM}#2"}},
    {
        "type": "web_search_call",
        "id": "w3",
        "action": {"type": "find_in_page", "url": TRANSIT, "pattern": "tram"},
    },
    {"type": "code_interpreter_call", "id": "c1", "code": "1"},
    {"type": "file_search_call", "id": "f1", "queries": ["b"], "results": []},
    {"type": "mcp_call", "id": "m1", "server_label": "city", "name": "timetable"},
    {"type": "view_image_call", "id": "v1"},
    {"type": "web_search_call", "id": "w4", "action": {"type": "search", "query": "a"}},
]


@pytest.mark.parametrize("numbered_otherwise", [False, True])
def test_each_kind_of_step_comes_once_whichever_end_of_the_stream_tells_it(numbered_otherwise: bool) -> None:
    text = {
        "type": "message",
        "id": "m",
        "content": [{"type": "output_text", "text": f"A[[1]]({COUNCIL})[[2]]({FORUM})"}],
    }
    begun = [
        {
            "type": "response.output_item.added",
            "output_index": at,
            "item": {"type": item["type"], "id": item["id"]},
        }
        for at, item in enumerate(ITEMS)
    ]
    phase = {"type": "response.web_search_call.searching", "output_index": 1}
    items = [{**ITEMS[0], "action": {"type": "search", "query": "a"}}, *ITEMS[1:]]
    done = [
        {"type": "response.output_item.done", "output_index": at, "item": item}
        for at, item in enumerate(items if numbered_otherwise else ITEMS)
    ]
    output = [None, *ITEMS, None, text] if numbered_otherwise else [*ITEMS, text]
    whole = {"type": "response.completed", "response": {"model": "grok-4.7", "output": output}}
    assert folded(*begun, phase, *done, whole).steps == (
        Step("web", ("a",), met=(1,)),
        Step("page", url=f"{FORUM}#2", met=(2,)),
        Step("page", url=TRANSIT, pattern="tram"),
        Step("code"),
        Step("files", ("b",)),
        Step("tool", name="city.timetable"),
        Step("media", name="image"),
        Step("web", ("a",)),
    )


def test_steps_whose_items_all_have_one_name_stay_apart() -> None:
    items = [
        {"type": "web_search_call", "id": "same", "action": {"query": query, "sources": [{"url": url}]}}
        for query, url in (("a", COUNCIL), ("b", TRANSIT))
    ]
    done = [
        {"type": "response.output_item.done", "output_index": at, "item": item}
        for at, item in enumerate(items)
    ]
    whole = {"type": "response.completed", "response": {"model": "grok-4.7", "output": items}}
    answer = folded(*done, whole)
    assert answer.steps == (Step("web", ("a",), met=(1,)), Step("web", ("b",), met=(2,)))
    assert answer.search_queries == ("a", "b")


def test_steps_are_bounded_in_number_and_length() -> None:
    sources = [{"url": f"https://a.example/{number}"} for number in range(STEP_SOURCES + 20)]
    item = {"type": "web_search_call", "action": {"query": "long " * 1_000, "sources": sources}}
    output = [{**item, "id": f"w{number}"} for number in range(STEPS + 5)]
    answer = folded({"type": "response.completed", "response": {"model": "grok-4.7", "output": output}})
    assert len(answer.steps) == STEPS
    (query,) = answer.steps[0].queries
    assert len(query) == QUERY_CHARACTERS and query.endswith("…")
    assert len(answer.steps[0].met) == STEP_SOURCES


def test_a_stored_answer_keeps_its_steps_and_evidence() -> None:
    answer = Answer(
        "A",
        steps=(
            Step("web", ("q",), met=(1,)),
            Step("page", url=COUNCIL, pattern="p"),
            Step("media", name="image"),
        ),
        evidence=Evidence((1,), (2,), (3,), (BrokenMarker(3, "two_numbers"),), "Not so."),
    )
    assert unpack_outcome(pack_outcome(answer)) == answer


def test_an_answer_that_was_stored_before_there_was_evidence_can_be_read() -> None:
    stored = json.loads(pack_outcome(Answer("A", warnings=("W",))))
    del stored["answer"]["steps"], stored["answer"]["evidence"]
    assert unpack_outcome(json.dumps(stored).encode()) == Answer("A", warnings=("W",))


def test_a_process_of_an_older_version_can_read_what_a_newer_one_stores() -> None:
    stored = json.loads(pack_outcome(Answer("A")))
    stored["answer"]["invented_later"] = [1]
    assert unpack_outcome(json.dumps(stored).encode()) == Answer("A")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://a.example/x", "http://www.A.example:80/x/"),
        ("https://a.example/x", "https://a.example./x#part"),
        ("https://a.example/x?b=1&a=2", "https://a.example/x?a=2&utm_medium=m&b=1&gclid="),
        ("https://a.example/x?a=1&b=2", "https://a.example/x?a=1&amp;b=2"),
        ("https://a.example/ü (1)", "https://a.example/%C3%BC%20%281%29"),
        ("https://a.example/u\u0308", "https://a.example/%C3%BC"),
        ("https://a.example/a_b", "https://a.example/a\\_b"),
        ("https://bücher.example/", "https://xn--bcher-kva.example"),
        ("https://a.example/a/../b//c", "https://a.example/b/./c"),
        ("https://x.com/i/status/12", "https://mobile.twitter.com/Somebody/status/12?s=20"),
        ("https://x.com/i/web/status/12", "http://www.twitter.com/somebody/statuses/12/photo/1"),
        ("https://x.com/Somebody", "https://twitter.com/somebody/"),
    ],
)
def test_two_addresses_of_one_page_are_the_same(one: str, other: str) -> None:
    assert page_key(one) == page_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://a.example/x", "https://a.example/y"),
        ("https://a.example/x", "https://a.example/X"),
        ("https://a.example/x", "https://b.a.example/x"),
        ("https://a.example/x", "https://a.example:8443/x"),
        ("https://a.example/x", "https://a.example/x?id=1"),
        ("https://a.example/x?id=1", "https://a.example/x?id=2"),
        ("https://a.example/x?ref=main", "https://a.example/x?ref=next"),
        ("https://a.example/#/one", "https://a.example/#/two"),
        ("https://x.com/i/status/12", "https://x.com/i/status/13"),
        ("https://x.com/i/status/12", "https://x.example/i/status/12"),
        ("https://good.example/", "https://good.example@evil.example/"),
        ("https://a.example:x/", "https://a.example/"),
    ],
)
def test_addresses_of_two_pages_are_not_the_same(one: str, other: str) -> None:
    assert page_key(one) != page_key(other)
