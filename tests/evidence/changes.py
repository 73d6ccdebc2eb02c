"""What is done to sound answers, and what has to be said of each then: who changes it writes that down."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from tests.evidence.scenes import PASSAGES, Cite, Scene, recorded, written
from tests.evidence.wire import (
    FORMS,
    Form,
    as_items,
    as_json,
    chat_annotated,
    chat_listed,
    chat_notes,
    cut,
    items_of,
    listed,
    notes_of,
    responses,
)
from tests.gateways.shapes import message, response_stream, web_search
from tests.gateways.table import Json
from tests.support.endpoint import Reply, body, events
from tests.support.payloads import payload_reply

Fault = tuple[str, str]
"""What does not hold, and why: a number, or for a place its source's address."""

NUMBERS, SOURCE, PLACE = "two_numbers", "no_source", "span_outside"


@dataclass
class Truth:
    """What has to come back, by addresses."""

    cited: set[str] = field(default_factory=set)
    met_only: set[str] = field(default_factory=set)
    unseen: set[str] = field(default_factory=set)
    broken: set[Fault] = field(default_factory=set)

    @property
    def is_sound(self) -> bool:
        return not (self.unseen or self.broken)


@dataclass(frozen=True)
class Case:
    """One changed answer: what was done, to which, in which form."""

    change: str
    scene: str
    form: str
    gateway: str
    reply: Reply
    truth: Truth
    asked: Json = field(default_factory=dict)
    """Arguments of the call, where it is another one than a plain search."""


def sound(scene: Scene) -> Truth:
    """What is said of an answer that nothing was done to."""
    return Truth({cite.url for cite in scene.cites}, set(scene.met_only))


def cases() -> Iterator[Case]:
    for scene in (recorded(), *written()):
        for form in FORMS:
            yield from _in_form(scene, form)
    yield from _apart()


def _in_form(scene: Scene, form: Form) -> Iterator[Case]:
    def case(change: str, changed: Scene, truth: Truth) -> Case:
        return Case(change, scene.name, form.name, form.gateway, form.make(changed), truth)

    yield case("nothing", scene, sound(scene))
    if form.steps:
        alone = replace(scene, searches=(), pages=(), posts=(), recorded=False)
        alone = replace(alone, uncited=tuple(scene.met_only))
        yield case("no steps", alone, sound(scene))
    veiled = tuple(
        part if isinstance(part, Cite) else f"\ufeff🚋\u200b{part}\U000e0041" for part in scene.parts
    )
    yield case("invisible characters", replace(scene, parts=veiled), sound(scene))
    yield case(
        "a marker that leads nowhere",
        replace(scene, parts=(*scene.parts, Cite(77, "#ref", noted=False), ".")),
        replace(sound(scene), broken={("77", SOURCE)}),
    )
    for place in _chosen(scene, form):
        for change in CHANGES if form.streamed else CHANGES[:-1]:
            for name, changed, truth in change(scene, place, form):
                yield case(name, changed, truth)


def _chosen(scene: Scene, form: Form) -> list[int]:
    """Places of citations that are changed: all of a short answer, some of a long one in a stream."""
    number = len(scene.cites)
    if number < 20:
        return list(range(number))
    return [7, number - 1][: 1 + form.places] if form.streamed else []


Change = Callable[[Scene, int, Form], Iterator[tuple[str, Scene, Truth]]]


def _is_last(scene: Scene, place: int) -> bool:
    return scene.cites[place].url not in [cite.url for cite in scene.cites[place + 1 :]]


def _is_alone(scene: Scene, place: int) -> bool:
    return [cite.url for cite in scene.cites].count(scene.cites[place].url) == 1


def _without_step(scene: Scene, url: str) -> Scene:
    searches = tuple((query, tuple(one for one in urls if one != url)) for query, urls in scene.searches)
    return replace(scene, searches=searches, pages=tuple(page for page in scene.pages if page != url))


def drop(scene: Scene, place: int, form: Form) -> Iterator[tuple[str, Scene, Truth]]:
    """A source that a step, a list or both no longer show."""
    url = scene.cites[place].url
    without = _without_step(scene, url)
    if form.steps and url in scene.shown:
        yield "source dropped from its step", without, sound(scene)
    if not _is_alone(scene, place):
        yield "one of two annotations dropped", scene.with_cite(place, noted=False), sound(scene)
        return
    truth = sound(scene)
    if not (form.steps and url in scene.shown):
        truth = replace(truth, cited=truth.cited - {url}, unseen={url})
    yield "annotation dropped", scene.with_cite(place, noted=False), truth
    gone = without.with_cite(place, noted=False)
    yield "dropped from step and list", gone, replace(truth, cited=truth.cited - {url}, unseen={url})


def renumber(scene: Scene, place: int, form: Form) -> Iterator[tuple[str, Scene, Truth]]:
    """A marker with another number, in the text alone."""
    cite = scene.cites[place]
    if _is_last(scene, place):
        changed = scene.with_cite(place, number=99, listed_number=cite.number)
        noticed = form.numbered or not _is_alone(scene, place)
        yield (
            "marker renumbered",
            changed,
            replace(sound(scene), broken={("99", NUMBERS)} if noticed else set()),
        )
    other = next((one for one in scene.cites if one.url != cite.url), None)
    if other and _is_alone(scene, place):
        truth = replace(sound(scene), broken={(str(other.number), NUMBERS)})
        taken = scene.with_cite(place, number=other.number, listed_number=cite.number)
        yield "number used twice in the text", taken, truth
        everywhere = scene.with_cite(place, number=other.number)
        yield "number used twice everywhere", everywhere, truth


def move(scene: Scene, place: int, form: Form) -> Iterator[tuple[str, Scene, Truth]]:
    """A place that is beside its marker, or outside the text."""
    if not form.places:
        return
    cite = scene.cites[place]
    truth = replace(sound(scene), broken={(cite.url, PLACE)})
    start = scene.text.index(cite.marker)
    for shift in (-len(cite.marker) - 1, -9, -1, 1, 12, len(cite.marker) + 1):
        if start + shift >= 0 and start + shift + len(cite.marker) <= len(scene.text):
            yield "place shifted", scene.with_cite(place, shift=shift), truth
    yield "place outside the text", scene.with_cite(place, outside=True), truth


def swap(scene: Scene, place: int, form: Form) -> Iterator[tuple[str, Scene, Truth]]:
    """Another address than the run met, in the text or in the list."""
    cite = scene.cites[place]
    if not _is_alone(scene, place):
        return
    sound_one = sound(scene)
    disagreeing: set[Fault] = set()
    if form.places:
        disagreeing = {(str(cite.number), NUMBERS)} if form.numbered else {(cite.url, PLACE)}
    for name, url in _others(cite.url):
        truth = Truth(sound_one.cited - {cite.url}, sound_one.met_only | {cite.url}, {url}, disagreeing)
        yield name, scene.with_cite(place, url=url, listed_url=cite.url), truth
    invented = "https://made-up.example/never/met"
    truth = Truth(sound_one.cited - {cite.url}, sound_one.met_only, {invented})
    forged = _without_step(scene, cite.url).with_cite(place, url=invented, noted=False)
    yield "address made up", forged, truth
    if form.places:
        disagreeing = {(str(cite.number), NUMBERS)} if form.numbered else {(invented, PLACE)}
    truth = Truth(sound_one.cited, sound_one.met_only | {invented}, set(), disagreeing)
    if not (form.steps and cite.url in scene.shown):
        truth.cited, truth.unseen = truth.cited - {cite.url}, {cite.url}
    yield "address swapped in the list", scene.with_cite(place, listed_url=invented), truth


def exchange(scene: Scene, place: int, form: Form) -> Iterator[tuple[str, Scene, Truth]]:
    """The addresses of two markers exchanged in the text."""
    cites = scene.cites
    if place + 1 >= len(cites) or not (_is_alone(scene, place) and _is_alone(scene, place + 1)):
        return
    first, second = cites[place : place + 2]
    changed = scene.with_cite(place, url=second.url, listed_url=first.url)
    changed = changed.with_cite(place + 1, url=first.url, listed_url=second.url)
    broken: set[Fault] = set()
    if form.numbered:
        broken = {(str(first.number), NUMBERS), (str(second.number), NUMBERS)}
    elif form.places:
        broken = {(first.url, PLACE), (second.url, PLACE)}
    yield "addresses exchanged", changed, replace(sound(scene), broken=broken)


def spell(scene: Scene, place: int, form: Form) -> Iterator[tuple[str, Scene, Truth]]:
    """The same page by another address, in the text or in the list: nothing is wrong with that."""
    cite = scene.cites[place]
    for name, url in _spellings(cite.url):
        truth = replace(sound(scene), cited=sound(scene).cited | {url})
        yield f"spelt otherwise: {name}", scene.with_cite(place, url=url, listed_url=cite.url), truth
        yield f"spelt otherwise: {name}", scene.with_cite(place, listed_url=url), truth


CHANGES: tuple[Change, ...] = (drop, renumber, move, swap, exchange, spell)


def _spellings(url: str) -> Iterator[tuple[str, str]]:
    """Addresses that lead to the same page."""
    if url.startswith("https://x.com/"):
        post = url.rpartition("/")[2]
        yield "x.com and twitter.com", f"https://twitter.com/i/web/status/{post}"
        yield "x.com and twitter.com", f"https://mobile.twitter.com/someone/status/{post}?s=20&t=abc"
        yield "x.com and twitter.com", f"http://www.x.com/Someone/status/{post}/photo/1"
        return
    head, _, rest = url.removeprefix("https://").partition("/")
    path, _, query = rest.partition("?")
    asked = f"?{query}" if query else ""
    yield "http", f"http://{head}/{rest}"
    yield "www.", f"https://www.{head.upper()}/{rest}"
    yield "port", f"https://{head}:443/{rest}"
    yield "slash at the end", f"https://{head}/{path}/{asked}"
    yield "fragment", f"{url}#section-2"
    yield "tracking parameters", f"{url}{'&' if query else '?'}utm_source=grok&fbclid=IwAR0&gclid=x"
    yield "percent-encoding", f"https://{head}/{quote(path, safe='/').replace('e', '%65', 1)}{asked}"
    yield "empty steps", f"https://{head}/./a/../{path}{asked}"
    if query:
        turned = "&".join(reversed(query.split("&")))
        yield "order of parameters", f"https://{head}/{path}?{turned}"
        yield "escaped as HTML", url.replace("&", "&amp;")


def _others(url: str) -> Iterator[tuple[str, str]]:
    """Addresses that lead elsewhere, however near they look."""
    yield "address swapped in the text", "https://made-up.example/never/met"
    if url.startswith("https://x.com/"):
        yield "another post", url[:-1] + "7"
        return
    head, _, rest = url.removeprefix("https://").partition("/")
    yield "another page of the site", f"https://{head}/archive/{rest}"
    yield "another host", f"https://blog.{head}/{rest}"
    yield "another port", f"https://{head}:8443/{rest}"
    yield "another parameter", f"{url}{'&' if '?' in url else '?'}id=7"
    yield "another case of the path", f"https://{head}/{rest.title()}"


def _apart() -> Iterator[Case]:
    """Changes that are to a whole answer, and endpoints that do it in their own way."""
    scenes = [recorded(), *written()]
    for scene in scenes:
        yield from _cuts(scene)
        yield from _framings(scene)
    yield from _habits(scenes[1])
    yield from _conversations(scenes[1])


def _cuts(scene: Scene) -> Iterator[Case]:
    """Streams that end too early: what the cut has taken away is not missed."""
    seen = Truth({cite.url for cite in scene.cites} & scene.shown, set(scene.met_only) & scene.shown)
    for before in ("annotation.added", "output_text.done"):
        truth = seen if before == "annotation.added" else sound(scene)
        yield Case("cut", scene.name, "responses", "xai", cut(responses(scene), before), truth)
    annotated, listing = chat_annotated(scene), chat_listed(scene)
    yield Case("cut", scene.name, "chat", "openrouter", cut(annotated, '"annotations"'), Truth())
    yield Case("cut", scene.name, "chat", "nebula", cut(listing, '"citations"'), Truth())
    place = len(scene.cites) - 1
    url, invented = scene.cites[place].url, "https://made-up.example/never/met"
    forged = cut(responses(scene.with_cite(place, url=invented, noted=False)), "output_text.done")
    truth = sound(scene)
    truth = Truth(truth.cited - {url}, truth.met_only | ({url} & scene.shown), {invented})
    yield Case("made up, and cut", scene.name, "responses", "xai", forged, truth)
    ended = [b"".join(listing.pieces[:-2]), _finish(), b""]
    yield Case("cut behind the end", scene.name, "chat", "nebula", Reply(tuple(ended), end="cut"), Truth())
    *parts, last = [part for part in scene.parts if part]
    while not isinstance(last, Cite):
        last = parts.pop()
    torn = replace(scene, parts=(*parts, last.marker[:-4]), recorded=False)
    cited = {cite.url for cite in torn.cites}
    truth = Truth(cited, (set(scene.met_only) | {cite.url for cite in scene.cites}) - cited)
    answer = message(torn.text, annotations=notes_of(replace(scene, recorded=False), numbered=True))
    reply = response_stream("grok-4.7", *items_of(torn), answer)
    pieces = tuple(
        piece.replace(b"response.completed", b"response.incomplete").replace(
            b'"incomplete_details": null', b'"incomplete_details": {"reason": "max_output_tokens"}'
        )
        for piece in reply.pieces
    )
    yield Case("cut at the token limit", scene.name, "responses", "xai", Reply(pieces), truth)


def _finish() -> bytes:
    return b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'


def _framings(scene: Scene) -> Iterator[Case]:
    """The same answer in other pieces."""
    truth = sound(scene)
    for size in (1, 3, 100_000):
        yield Case("split", scene.name, "responses", "xai", responses(scene, size), truth)
        yield Case("split", scene.name, "chat", "openrouter", chat_annotated(scene, size), truth)
    middle = len(scene.parts) // 2
    halves = scene.parts[:middle], scene.parts[middle:]
    reply = as_items(replace(scene, recorded=False), *halves)
    truth = replace(truth, met_only=set(scene.met_only) & scene.shown)
    yield Case("several messages", scene.name, "responses", "xai", reply, truth)
    junk = "Other[[1]](https://junk.example/)[[1]](https://junk.example/2)[[8]](#x)."
    notes = chat_notes(scene)
    chunks: list[Json] = [
        {"choices": [{"index": 1, "delta": {"content": junk}}]},
        {"choices": [{"index": 0, "delta": {"content": scene.text, "annotations": notes}}]},
        {"choices": [{"index": number, "delta": {}, "finish_reason": "stop"} for number in (0, 1)]},
    ]
    yield Case("several answers", scene.name, "chat", "openrouter", events(*chunks), sound(scene))


def _habits(scene: Scene) -> Iterator[Case]:
    """What endpoints are known to do, and is not wrong."""
    bare = [{"type": "url_citation", "url": note["url"]} for note in notes_of(scene, numbered=True)]
    item = {"type": "web_search_call", "id": "fc_1", "name": "web_search", "arguments": '{"query": "q"}'}
    answer = message(scene.text, annotations=bare)
    reply = body({"object": "response", "status": "completed", "output": [item, answer.done]})
    alone = replace(sound(scene), met_only=set(scene.uncited))
    yield Case("bare annotations, steps of 2025", scene.name, "responses", "xai", reply, alone)
    plain = payload_reply("06_responses_web_search_nonstream.json")
    truth = Truth(set(), {"https://atlas.example/palau", "https://gov.example/pw"})
    yield Case("bare annotations, steps of 2025", "recorded", "responses", "xai", plain, truth)
    for file in ("03_chat_legacy_live_search_response.json", "04_chat_legacy_live_search_stream.sse"):
        truth = Truth(set(), set(_LISTED[file]))
        yield Case("a list alone", "recorded", "chat", "nebula", payload_reply(file), truth)
    passage = payload_reply("12b_openrouter_stream_annotations_cost.sse")
    truth = Truth({"https://atlas.example/palau"})
    yield Case("passages", "recorded", "chat", "openrouter", passage, truth)
    for shift in (0, 3):
        yield Case("passages", "written", "chat", "openrouter", _passages(shift), _passage_truth())
    quoted = Scene("title", ("A novel", Cite(3, "https://novel.example/1984"), " of 1949."))
    notes = [note | {"title": "1984"} for note in notes_of(quoted, numbered=True)]
    reply = response_stream("grok-4.7", message(quoted.text, annotations=notes))
    yield Case("a number for a title", "title", "responses", "xai", reply, sound(quoted))
    twice = Scene(
        "spelling",
        ("One", Cite(1, "https://a.example/x"), " two", Cite(2, "https://a.example/x/"), "."),
        (("q", ("https://a.example/x",)),),
    )
    yield Case("one page, two spellings", "spelling", "responses", "xai", responses(twice), sound(twice))
    repeated = responses(scene).pieces
    doubled = tuple(piece for piece in repeated for _ in range(1 + (b"annotation.added" in piece)))
    yield Case("repeated annotations", scene.name, "responses", "xai", Reply(doubled), sound(scene))
    hidden = replace(scene, searches=tuple((query, ()) for query, _ in scene.searches), pages=())
    truth = replace(sound(scene), met_only=set(scene.uncited))
    yield Case("steps that show nothing", scene.name, "responses", "xai", responses(hidden), truth)
    link = "A text[[1]](https://a.example/x) with a wiki [[link]] and R code x[[1]] (no source)."
    reply = response_stream(
        "grok-4.7", web_search("q", "https://a.example/x"), message(link[:32], link[32:], annotations=[])
    )
    yield Case(
        "brackets that are no markers", "code", "responses", "xai", reply, Truth({"https://a.example/x"})
    )
    empty = _with_list_order(scene)
    yield Case("a list in another order", scene.name, "chat", "nebula", empty, sound(scene))


_LISTED = {
    "03_chat_legacy_live_search_response.json": (
        "https://agency.example/bulletins/2025-11-14",
        "https://tracker.example/objects/40211",
        "https://x.com/i/status/1988000000000000001",
    ),
    "04_chat_legacy_live_search_stream.sse": (
        "https://news.example/launch-slips",
        "https://daily.example/space/friday",
    ),
}


def _with_list_order(scene: Scene) -> Reply:
    chunk = {"choices": [{"index": 0, "delta": {"content": scene.text}, "finish_reason": "stop"}]}
    return events({**chunk, "citations": [*reversed(listed(scene))]})


def _passages(shift: int) -> Reply:
    notes, at = [], 0
    for text, url in PASSAGES:
        note = {"url": url, "title": "A page", "start_index": at + shift, "end_index": at + len(text)}
        notes.append({"type": "url_citation", "url_citation": note})
        at += len(text)
    text = "".join(text for text, _ in PASSAGES)
    return events(
        {"choices": [{"index": 0, "delta": {"content": text, "annotations": notes}, "finish_reason": "stop"}]}
    )


def _passage_truth() -> Truth:
    return Truth({url for _, url in PASSAGES})


def _conversations(scene: Scene) -> Iterator[Case]:
    """Addresses that the caller gave, and JSON."""
    given = "https://given.example/by/the-caller?utm_source=mail"
    asked = {"query": f"What says {given}, please? And [this](twitter.com/a/status/12345)?"}
    text = replace(
        scene,
        parts=(
            *scene.parts,
            Cite(6, "https://www.given.example/by/the-caller", noted=False),
            Cite(7, "https://x.com/i/status/12345", noted=False),
        ),
    )
    reply = responses(replace(text, recorded=False))
    yield Case("addresses of the caller", scene.name, "responses", "xai", reply, sound(scene), asked)
    schema = {"type": "object", "properties": {"report": {"type": "string"}}, "required": ["report"]}
    asked_json: Json = {"prompt": "Report", "schema": schema, "search": True}
    yield Case("JSON", scene.name, "responses", "xai", as_json(scene), sound(scene), asked_json)
    forged = scene.with_cite(1, url="https://made-up.example/never/met", noted=False)
    trams = scene.cites[1].url
    truth = sound(scene)
    truth = Truth(truth.cited - {trams}, truth.met_only | {trams}, {"https://made-up.example/never/met"})
    yield Case("JSON", scene.name, "responses", "xai", as_json(forged), truth, asked_json)
