"""How endpoints send an answer: each form makes a reply of a scene."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tests.evidence.scenes import RECORDED, Cite, Scene
from tests.gateways.shapes import RESPONSE, Item, message, response_stream
from tests.gateways.table import Json
from tests.support.endpoint import Reply, body, events
from tests.support.payloads import payloads_of


def notes_of(scene: Scene, *, numbered: bool) -> list[Json]:
    """The annotations: each citation where its marker stands, then what was only met, without a place."""
    notes, at = [], 0
    length = len(scene.text)
    for part in scene.parts:
        if isinstance(part, str):
            at += len(part)
            continue
        start, end = at + part.shift, at + part.shift + len(part.marker)
        if part.outside:
            start, end = length + 10, length + 10 + len(part.marker)
        at += len(part.marker)
        if part.noted:
            url = part.listed_url or part.url
            title = str(part.listed_number or part.number) if numbered else f"A page of {url.split('/')[2]}"
            notes.append(_note(url, title, start, end))
    return notes + [_note(url, url, 0, 0) for url in scene.uncited]


def _note(url: str, title: str, start: int, end: int) -> Json:
    return {"type": "url_citation", "url": url, "start_index": start, "end_index": end, "title": title}


def items_of(scene: Scene) -> Iterator[Item]:
    """The steps of the run; searches on X show nothing of what they met."""
    for number, (query, urls) in enumerate(scene.searches):
        sources = [{"type": "url", "url": url} for url in urls]
        yield _step(f"ws_{number}", action={"type": "search", "query": query, "sources": sources})
    for number, url in enumerate(scene.pages):
        yield _step(f"ws_page_{number}", action={"type": "open_page", "url": url})
    for number, text in enumerate(scene.posts):
        item = {"id": f"ctc_{number}", "type": "custom_tool_call", "name": "x_keyword_search"}
        yield Item({**item, "input": ""}, [], {**item, "input": text, "status": "completed"})


def _step(name: str, **fields: object) -> Item:
    item = {"id": name, "type": "web_search_call"}
    return Item(
        {**item, "status": "in_progress"},
        [{"type": "response.web_search_call.in_progress"}, {"type": "response.web_search_call.completed"}],
        {**item, "status": "completed", **fields},
    )


def pieces_of(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def responses(scene: Scene, size: int = 17) -> Reply:
    if scene.recorded:
        return _in_recorded_frames(scene)
    answer = message(*pieces_of(scene.text, size), annotations=notes_of(scene, numbered=True))
    return response_stream("grok-4.7", *items_of(scene), answer)


def _in_recorded_frames(scene: Scene) -> Reply:
    """The recorded stream with other words, annotations and sources in its own frames."""
    notes, pieces = notes_of(scene, numbered=True), pieces_of(scene.text, 31)
    shown = {query: [{"type": "url", "url": url} for url in urls] for query, urls in scene.searches}
    payloads = []
    for payload in copy.deepcopy(payloads_of(RECORDED)):
        kind = payload["type"]
        if kind == "response.output_text.delta":
            payloads += [{**payload, "delta": piece} for piece in pieces]
            pieces = []
            continue
        if kind == "response.output_text.annotation.added":
            if payload["annotation_index"] == 0:
                payloads += [
                    {**payload, "annotation_index": place, "annotation": note}
                    for place, note in enumerate(notes)
                ]
            continue
        _fill_in(payload, scene.text, notes, shown)
        payloads.append(payload)
    return events(*payloads)


def _fill_in(value: object, text: str, notes: list[Json], shown: dict[str, list[Json]]) -> None:
    """Put text, annotations and sources into their places, wherever these are in a payload."""
    if isinstance(value, list):
        for one in value:
            _fill_in(one, text, notes, shown)
    elif isinstance(value, dict):
        if value.get("type") == "output_text" and value.get("text"):
            value |= {"text": text, "annotations": notes}
        elif value.get("type") == "response.output_text.done":
            value["text"] = text
        elif "sources" in value:
            value["sources"] = shown.get(value.get("query", ""), [])
        for one in value.values():
            _fill_in(one, text, notes, shown)


def responses_whole(scene: Scene) -> Reply:
    """One body in place of a stream."""
    answer = message(scene.text, annotations=notes_of(scene, numbered=True))
    output = [item.done for item in (*items_of(scene), answer)]
    return body({**RESPONSE, "model": "grok-4.7", "status": "completed", "output": output})


def _all_listed(scene: Scene) -> Scene:
    """Without steps everything that was only met has to be in the list."""
    return replace(scene, uncited=tuple(dict.fromkeys([*scene.uncited, *scene.met_only])))


def chat_notes(scene: Scene) -> list[Json]:
    """Nested annotations, as OpenRouter has them, titled by their pages."""
    notes = notes_of(_all_listed(scene), numbered=False)
    return [{"type": "url_citation", "url_citation": {**note, "content": "…"}} for note in notes]


def chat_annotated(scene: Scene, size: int = 13) -> Reply:
    deltas: list[Json] = [{"content": piece} for piece in pieces_of(scene.text, size)]
    return _chat(*deltas, {"content": "", "annotations": chat_notes(scene)})


def _chat(*deltas: Json, **last: object) -> Reply:
    chunks: list[Json] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **last}
    return events(*({"model": "x-ai/grok-4.7", **chunk} for chunk in (*chunks, end)))


def listed(scene: Scene) -> list[str]:
    """A plain list of sources, cited or not."""
    cited = [cite.listed_url or cite.url for cite in scene.cites if cite.noted]
    return list(dict.fromkeys([*cited, *_all_listed(scene).uncited]))


def chat_listed(scene: Scene, size: int = 23) -> Reply:
    """A chat whose list of sources comes with the last chunk, as live search had it."""
    deltas: list[Json] = [{"content": piece} for piece in pieces_of(scene.text, size)]
    return _chat(*deltas, citations=listed(scene))


def chat_whole(scene: Scene) -> Reply:
    """One body with a plain list of sources."""
    choice = {"index": 0, "message": {"role": "assistant", "content": scene.text}, "finish_reason": "stop"}
    return body(
        {"object": "chat.completion", "model": "grok-4", "choices": [choice], "citations": listed(scene)}
    )


@dataclass(frozen=True)
class Form:
    """A way to send an answer, and what of it can be known by that way.

    `numbered`: the titles of places are the numbers of sources; `places`: it says where a source is cited.
    """

    name: str
    gateway: str
    make: Callable[[Scene], Reply]
    steps: bool = False
    places: bool = False
    numbered: bool = False
    streamed: bool = True


FORMS = (
    Form("responses", "xai", responses, steps=True, places=True, numbered=True),
    Form("responses, one body", "xai", responses_whole, True, True, True, streamed=False),
    Form("chat, annotations", "openrouter", chat_annotated, places=True),
    Form("chat, list", "nebula", chat_listed),
    Form("chat, one body", "nebula", chat_whole, streamed=False),
)


def cut(reply: Reply, before: str) -> Reply:
    """The same, broken off before the first piece that holds these words."""
    place = next(at for at, piece in enumerate(reply.pieces) if before.encode() in piece)
    return Reply(reply.pieces[:place], end="cut")


def as_items(scene: Scene, *texts: tuple[str | Cite, ...]) -> Reply:
    """The answer in several messages, whose places count from the beginning of each."""
    parts = [replace(scene, parts=part, uncited=()) for part in texts]
    messages = []
    for number, part in enumerate(parts):
        item = message(part.text, annotations=notes_of(part, numbered=True))
        messages.append(
            Item({**item.opened, "id": f"m{number}"}, item.streamed, {**item.done, "id": f"m{number}"})
        )
    return response_stream("grok-4.7", *items_of(scene), *messages)


def as_json(scene: Scene) -> Reply:
    """The answer as the text of a JSON object, whose slashes are escaped; places count in the JSON."""
    parts: list[str | Cite] = ['{"report": "']
    for part in scene.parts:
        if isinstance(part, str):
            parts.append(json.dumps(part)[1:-1])
        else:
            url = part.url.replace("/", "\\/").replace("&", "\\u0026")
            parts.append(replace(part, url=url, listed_url=part.url))
    return responses(replace(scene, parts=(*parts, '"}'), recorded=False))
