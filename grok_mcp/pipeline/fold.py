"""Adds up the events of one upstream answer, each once, at linear cost.

`turn.py` feeds it; `answer.py` turns what it holds into an `Answer`. It holds pieces of text in lists and
joins them when asked.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sized
from typing import Any

from grok_mcp import bounds, events
from grok_mcp.errors import UpstreamError
from grok_mcp.events import Event, Place
from grok_mcp.foreign import load_json
from grok_mcp.redaction import INVISIBLE, join_surrogates
from grok_mcp.usage import UsageReport

SEPARATOR = "\n\n"
"""Between two message items; parts of one item join without anything between."""


BLOCK = 1_024
"""Pieces that are joined at a time: a long answer in small pieces would else take several times its size."""


class Part:
    """The text of one place, and where characters were taken out of it."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.pieces: list[str] = []
        self.length = 0
        self.removed: list[int] = []
        self.held = ""
        self.announced = ""
        self.repeated: int | None = None
        """Where the text came whole first: how much of it deltas have said again since."""

    def append(self, text: str, *, clean: bool) -> str:
        """Add text; returns what was really added (a split surrogate pair waits for its other half)."""
        if not text.isascii() or self.held:
            text, self.held = self.held + text, ""
            if "\ud800" <= text[-1:] <= "\udbff":
                text, self.held = text[:-1], text[-1]
            text = join_surrogates(text)
        if clean and INVISIBLE.search(text):
            if len(self.removed) > bounds.ANSWER_INVISIBLE:
                raise _too_much(bounds.ANSWER_INVISIBLE, "invisible characters")
            self.removed.extend(self.length + match.start() for match in INVISIBLE.finditer(text))
            self.length += len(text)
            text = INVISIBLE.sub("", text)
        else:
            self.length += len(text)
        self.pieces.append(text)
        if len(self.pieces) >= BLOCK:
            self._join_pieces()
        return text

    def without_repetition(self, text: str) -> str:
        """What a delta adds to a text that had come whole before: nothing where it says the same again."""
        visible, start = INVISIBLE.sub("", text), self.repeated or 0
        if not start:
            self.announced = INVISIBLE.sub("", self.so_far)
        if self.announced.startswith(visible, start):
            self.repeated = start + len(visible)
            return ""
        rest, self.repeated = self.announced[start:], None
        return visible[len(rest) :] if rest and visible.startswith(rest) else text

    def rest_of(self, whole: str, *, clean: bool) -> str | None:
        """What a text that begins with this one adds to it; None where it begins in another way."""
        begun = self.so_far
        if clean and INVISIBLE.search(whole):
            if INVISIBLE.sub("", whole[: self.length]) == begun:
                return whole[self.length :]  # with what is invisible in it, whose places are kept
            whole = INVISIBLE.sub("", whole)
        return whole[len(begun) :] if whole.startswith(begun) else None

    def begins(self, text: str) -> bool:
        """Whether this begins with that text."""
        return self.so_far.startswith(text)

    def holds(self, whole: str) -> bool:
        """Whether this is that text, apart from invisible characters."""
        if abs(self.length - len(whole)) > len(whole) // 2:
            return False
        so_far = self.so_far
        return so_far == whole or INVISIBLE.sub("", so_far) == INVISIBLE.sub("", whole)

    def _join_pieces(self) -> None:
        if self.pieces:
            self.blocks.append("".join(self.pieces))
            self.pieces.clear()

    @property
    def text(self) -> str:
        """The text; half a surrogate pair whose other half has not come counts as a character."""
        if self.held:
            self.pieces.append(join_surrogates(self.held))
            self.held = ""
        return self.so_far

    @property
    def so_far(self) -> str:
        """The text while more may come: half a surrogate pair waits for the other half."""
        self._join_pieces()
        if len(self.blocks) != 1:
            self.blocks = ["".join(self.blocks)]
        return self.blocks[0]


class ToolCallParts:
    """A function call as it grows."""

    def __init__(self, choice: int) -> None:
        self.choice = choice
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.whole_under = ""
        """The key under which it came whole."""
        self._length = self._looks = 0

    def add(self, event: events.ToolCallDelta) -> None:
        """Take over what this event knows; what stands there already is not appended again."""
        self.id = self.id or event.id
        self.name = self.name or event.name
        if event.complete and event.arguments:
            self.arguments = [event.arguments]
            self._length = len(event.arguments)
        elif event.arguments and not self._repeats(event):
            self.arguments.append(event.arguments)
            self._length += len(event.arguments)

    def _repeats(self, event: events.ToolCallDelta) -> bool:
        """Whether an event holds all of the arguments, which have come in pieces before."""
        if not event.arguments.startswith("{"):
            return False
        if len(event.arguments) == self._length and "".join(self.arguments) == event.arguments:
            return True
        return bool(event.name) and self.is_whole and self._object() == _object(event.arguments)

    def says(self, event: events.ToolCallDelta) -> bool:
        """Whether an event is this whole call once more."""
        return self.name == event.name and "".join(self.arguments) == event.arguments

    def is_another(self, event: events.ToolCallDelta) -> bool:
        """Whether an event under the same key begins another call: named, behind whole arguments."""
        if not (event.name and self.name) or event.arguments[:1] not in ("", "{"):
            return False
        if event.id and self.id and event.id != self.id:
            return True
        return event.arguments != "" and self.is_whole and self._object() != _object(event.arguments)

    @property
    def is_whole(self) -> bool:
        """Whether the arguments are a whole object; looked at a few times only, as it reads all of them."""
        if not self.arguments or not self.arguments[-1].rstrip().endswith("}") or self._looks > LOOKS:
            return False
        self._looks += 1
        return self._object() is not None

    def _object(self) -> Any:
        return _object("".join(self.arguments))


class CodeParts:
    """A run of code as it becomes known; of what is too long the beginning is kept, and the rest counted."""

    def __init__(self) -> None:
        self.item = ""
        self.images: tuple[str, ...] = ()
        self.status = ""
        self._code = ""
        self._pieces: list[str] = []
        self._length = 0
        self._output = ""

    def add(self, event: events.CodeStep) -> None:
        """Take over what this event knows."""
        self.item = self.item or event.item
        if event.code:
            self._code = _shortened(event.code, len(event.code), _MORE_CODE)
        if event.logs:
            written = "".join(log if log.endswith("\n") else f"{log}\n" for log in event.logs).rstrip("\n")
            self._output = _shortened(written, len(written), "\n… {:,} more characters")
        self.images = event.images or self.images
        self.status = event.status or self.status

    def append(self, text: str) -> None:
        """A further piece of the code, while it has not come whole."""
        if self._length < bounds.CODE_CHARACTERS:
            self._pieces.append(text[: bounds.CODE_CHARACTERS - self._length])
        self._length += len(text)

    def is_another(self, event: events.CodeStep) -> bool:
        """Whether an event is about other code than this, whatever it calls itself."""
        begun = event.code[: bounds.CODE_CHARACTERS]
        return bool(self._code and begun and not self._code.startswith(begun))

    @property
    def code(self) -> str:
        """The code, as far as it is kept."""
        return self._code or _shortened("".join(self._pieces), self._length, _MORE_CODE)

    @property
    def output(self) -> str:
        """What it wrote, as far as it is kept."""
        return self._output


_MORE_CODE = "\n# … {:,} more characters"


def _shortened(text: str, length: int, more: str) -> str:
    """The text with how much of it is not kept, where any is."""
    left = length - bounds.CODE_CHARACTERS
    return text if left <= 0 else text[: bounds.CODE_CHARACTERS] + more.format(left)


LOOKS = 16
"""How often the arguments of one call are looked at before they are whole."""


def _object(text: str) -> Any:
    """The JSON object in a text that is nothing else, None where there is none."""
    try:
        return load_json(text)
    except ValueError:
        return None


def _texts(event: Any) -> Iterator[str]:
    """All texts in a step, whatever it holds."""
    for value in event:
        if isinstance(value, tuple):
            yield from _texts(value)
        elif isinstance(value, str):
            yield value


def _too_much(limit: int, what: str) -> UpstreamError:
    return UpstreamError(f"The endpoint sent an answer with more than {limit:,} {what}.", "Ask for less.")


class Fold:
    """What has come of one answer so far. `clean` takes invisible characters out of the text.

    Raises UpstreamError for an answer beyond all bounds.
    """

    def __init__(self, *, clean: bool = False) -> None:
        self._clean = clean
        self.characters = 0
        """Of all that is kept of the answer."""
        self.model = ""
        self.parts: dict[Place, Part] = {}
        self.done: dict[str, events.ItemDone] = {}
        self.tool_calls: list[ToolCallParts] = []
        self._calls_by_key: dict[tuple[int, str], ToolCallParts] = {}
        self._calls_by_id: dict[tuple[int, str], ToolCallParts] = {}
        self.response_id = self.service_tier = ""
        self.steps: dict[tuple[type, str], Any] = {}
        """What tools at the endpoint did, in the order in which it began, each as it is known best."""
        self.code: dict[str, CodeParts] = {}
        self._code_by_item: dict[str, str] = {}
        self._keys_by_item: dict[str, str] = {}
        self._last_step = ("", ""), ""
        """How the last step was named, and the key under which it is kept: its sources come behind it."""
        self.sources: dict[str, None] = {}
        """The addresses that steps have shown, whichever did."""
        self.shown: dict[str, dict[str, None]] = {}
        """The same for each step, by its key."""
        self._shown = 0
        self.citations: dict[tuple[str, int, int, Place], events.CitationFound] = {}
        self.reasoning: dict[str, events.EncryptedReasoning] = {}
        self.report: UsageReport | None = None
        self.finish_reasons: dict[int, str] = {}
        self.failure: events.Failed | None = None
        self.ended = False
        self.has_content = False
        self.is_rewritten = False
        """Whether a text turned out to be another than its deltas; who watches has to begin anew."""

    def add(self, event: Event) -> str:
        """Take one event in; returns the text that it added."""
        if isinstance(event, events.TextDelta):  # nearly all of them
            self.has_content = True
            return self._append(event.text, event.place)
        kind = type(event)
        if kind in events.CONTENT:
            self.has_content = True
        if isinstance(event, events.TextDone):
            return self._append_rest(event)
        keep = _KEEPERS.get(kind)
        if keep:
            keep(self, event)
        return ""

    def _weigh(self, characters: int) -> None:
        """Count characters that are kept."""
        self.characters += characters
        if self.characters > bounds.ANSWER_CHARACTERS:
            raise _too_much(bounds.ANSWER_CHARACTERS, "characters")

    def _room(self, kept: Sized, what: str) -> None:
        """Raise where one more of this kind would be too many."""
        if len(kept) >= bounds.ANSWER_ITEMS:
            raise _too_much(bounds.ANSWER_ITEMS, what)

    def _append(self, text: str, place: Place) -> str:
        self._weigh(len(text))
        part = self.parts.get(place)
        if part is None:
            self._room(self.parts, "texts")
            part = self.parts[place] = Part()
        elif part.repeated is not None:
            text = part.without_repetition(text)
            if not text:
                return ""
        return part.append(text, clean=self._clean)

    def _append_rest(self, done: events.TextDone) -> str:
        """Add what has not come of a whole text; its deltas may have come under another name of its place."""
        part = self.parts.get(done.place)
        if part is None or not part.length:
            if any(part.holds(done.text) for part in self.parts.values()):
                return ""
            if self._is_torn(done):  # its deltas came under another name each
                self.parts = {place: one for place, one in self.parts.items() if place.choice}
                self.is_rewritten = True
            added = self._append(done.text, done.place)
            self.parts[done.place].repeated = 0
            return added
        rest = part.rest_of(done.text, clean=self._clean)
        if part.repeated == 0 and not done.place.item and rest is None and not part.begins(done.text):
            return part.append(done.text, clean=self._clean)  # no delta has come: messages bring the pieces
        if len(done.text) <= part.length:
            return ""
        if rest is None and not part.holds(done.text):  # pieces of it never came
            self.parts[done.place] = Part()
            self._append(done.text, done.place)
            self.is_rewritten = True
        return part.append(rest, clean=self._clean) if rest else ""

    def _is_torn(self, done: events.TextDone) -> bool:
        """Whether several texts are together what comes whole now."""
        places = [place for place in self.parts if place.choice == done.place.choice == 0]
        return len(places) > 1 and "".join(self.parts[place].so_far for place in places) == done.text

    def _keep_done(self, event: events.ItemDone) -> None:
        self._room(self.done, "texts")
        self.done[event.item] = event

    def _keep_tool_call(self, event: events.ToolCallDelta) -> None:
        self._weigh(len(event.id) + len(event.name) + len(event.arguments))
        key = (event.choice, event.key)
        call = self._calls_by_key.get(key)
        known = self._calls_by_id.get((event.choice, event.id)) if event.id else None
        if call and known and call.id != event.id and not event.complete and not known.is_whole:
            call = known  # another piece of one that others came between
        elif call is None or call.is_another(event):
            # One that came in pieces may now come whole, under whatever key.
            call = known if event.complete else None
            if call is None or not (call.whole_under in ("", event.key) or call.says(event)):
                self._room(self.tool_calls, "calls")
                call = ToolCallParts(event.choice)
                self.tool_calls.append(call)
            self._calls_by_key[key] = call
        call.add(event)
        if event.complete:
            call.whole_under = event.key
        if call.id:
            self._calls_by_id.setdefault((call.choice, call.id), call)

    def _keep_step(self, event: Any) -> None:
        """A step of a tool, or what has become known of it: the fields that this event fills in."""
        key = self._step_key(event)
        self._last_step = (event.key, event.item), key
        event, place = event._replace(key=key), (type(event), key)
        known = self.steps.get(place)
        if known is None:
            self._room(self.steps, "steps")
            known = event
        self._weigh(sum(map(len, _texts(event))))
        self.steps[place] = type(event)(*(now or before for now, before in zip(event, known, strict=True)))

    def _step_key(self, event: Any) -> str:
        """The key of this step: a whole response may number its items in another way than its stream did, and
        some endpoints name all of them alike.
        """
        key = self._keys_by_item.setdefault(event.item, event.key) if event.item else event.key
        known = self.steps.get((type(event), key))
        if key == event.key or known is None:
            return key
        pairs = zip(event[1:], known[1:], strict=True)
        return event.key if any(now and before and now != before for now, before in pairs) else key

    def _keep_code(self, event: events.CodeStep) -> None:
        key = self._code_key(event)
        place = (events.CodeStep, key)
        if place not in self.steps:
            self._room(self.steps, "steps")
            self.steps[place] = events.CodeStep(key)
        run = self.code.get(key)
        if run is None and len(self.code) < bounds.CODE_RUNS:
            run = self.code[key] = CodeParts()
        if run is None:
            return
        written = sum(map(len, event.logs))
        self._weigh(min(len(event.code), bounds.CODE_CHARACTERS) + min(written, bounds.CODE_CHARACTERS))
        run.add(event._replace(images=event.images[: bounds.CODE_IMAGES]))
        if event.item:
            self._code_by_item.setdefault(event.item, key)

    def _code_key(self, event: events.CodeStep) -> str:
        """The key of this run: a whole response may number its items in another way than its stream did."""
        key = self._code_by_item.get(event.item, event.key)
        known = self.code.get(key)
        return event.key if known is None or known.is_another(event) else key

    def _keep_code_delta(self, event: events.CodeDelta) -> None:
        self._keep_code(events.CodeStep(event.key))
        run = self.code.get(event.key)
        if run is not None:
            self._weigh(len(event.text))
            run.append(event.text)

    def _keep_sources(self, event: events.SourcesFound) -> None:
        self._weigh(sum(map(len, event.urls)))
        self._room(self.sources, "sources")
        if len(event.urls) > bounds.ANSWER_ITEMS:
            raise _too_much(bounds.ANSWER_ITEMS, "sources")
        self.sources.update(dict.fromkeys(event.urls))
        known, key = self._last_step
        key = key if known == (event.key, event.item) else event.key
        self._shown += len(event.urls)
        if self._shown <= bounds.SHOWN_SOURCES:
            self.shown.setdefault(key, {}).update(dict.fromkeys(event.urls))

    def _keep_citation(self, event: events.CitationFound) -> None:
        self._weigh(len(event.url) + len(event.title))
        self._room(self.citations, "citations")
        self.citations.setdefault((event.url, event.start, event.end, event.place), event)

    def _keep_reasoning(self, event: events.EncryptedReasoning) -> None:
        self._weigh(len(json.dumps(event.item)))
        self._room(self.reasoning, "thoughts")
        self.reasoning[event.id] = event

    def _keep_model(self, event: events.Started) -> None:
        self.model = event.model
        self.response_id = event.response_id or self.response_id
        self.service_tier = event.service_tier or self.service_tier

    def _keep_report(self, event: events.UsageReported) -> None:
        if self.report is None or not event.report.says_nothing:
            self.report = event.report

    def _keep_finish(self, event: events.Finished) -> None:
        if event.reason != "stop" or event.choice not in self.finish_reasons:
            self._room(self.finish_reasons, "alternatives")
            self.finish_reasons[event.choice] = event.reason

    def _keep_failure(self, event: events.Failed) -> None:
        self.failure = self.failure or event

    def _keep_end(self, event: events.Ended) -> None:
        self.ended = True

    def replay(self) -> Iterator[tuple[Event, str]]:
        """The fewest events that bring a late observer to where the others are."""
        if self.model:
            yield events.Started(self.model, self.response_id, self.service_tier), ""
        yield from ((step, "") for step in self.steps.values())
        if self.sources:
            yield events.SourcesFound(tuple(self.sources)), ""
        for place, part in self.parts.items():
            yield events.TextDelta(part.so_far, place), part.so_far
        yield from ((done, "") for done in self.done.values())

    def steps_of(self, *kinds: type) -> list[Any]:
        """The steps of these kinds, in the order in which they began."""
        return [step for (kind, _), step in self.steps.items() if kind in kinds]

    @property
    def first(self) -> int:
        """The number of the first alternative; some endpoints number the only one 1."""
        numbers = {place.choice for place, part in self.parts.items() if part.length}
        numbers |= {call.choice for call in self.tool_calls}
        return min(numbers or self.finish_reasons, default=0)

    @property
    def finish_reason(self) -> str:
        """Why the first alternative ended; some endpoints end the only one under another number."""
        reasons = self.finish_reasons
        alone = next(iter(reasons.values())) if len(reasons) == 1 and len(self.choices) < 2 else "stop"
        return reasons.get(self.first, alone)

    def text(self, choice: int | None = None) -> str:
        """The text of one alternative, the first one for None."""
        return "".join(piece for _, piece in self.layout(choice))

    def layout(self, choice: int | None = None) -> list[tuple[Place | None, str]]:
        """The pieces that the text is joined from, in order; a separator has no place."""
        choice = self.first if choice is None else choice
        items: dict[str, list[Place]] = {}
        for place in self.parts:
            if place.choice == choice:
                items.setdefault(place.item, []).append(place)
        pieces: list[tuple[Place | None, str]] = []
        for places in items.values():
            texts = [(place, self.parts[place].text) for place in sorted(places)]
            texts = [(place, text) for place, text in texts if text]
            if texts and pieces:
                pieces.append((None, SEPARATOR))
            pieces.extend(texts)
        return pieces

    @property
    def has_answer(self) -> bool:
        """Whether there is any text, or a call that can be made."""
        return any(call.name for call in self.tool_calls) or any(part.length for part in self.parts.values())

    @property
    def choices(self) -> list[int]:
        """The numbers of the alternatives that have text, in order."""
        return sorted({place.choice for place in self.parts})


_KEEPERS: Mapping[type, Callable[[Fold, Any], None]] = {
    events.Started: Fold._keep_model,
    events.ItemDone: Fold._keep_done,
    events.ToolCallDelta: Fold._keep_tool_call,
    events.SearchStep: Fold._keep_step,
    events.PageStep: Fold._keep_step,
    events.FileStep: Fold._keep_step,
    events.McpStep: Fold._keep_step,
    events.MediaStep: Fold._keep_step,
    events.CodeStep: Fold._keep_code,
    events.CodeDelta: Fold._keep_code_delta,
    events.SourcesFound: Fold._keep_sources,
    events.CitationFound: Fold._keep_citation,
    events.EncryptedReasoning: Fold._keep_reasoning,
    events.UsageReported: Fold._keep_report,
    events.Finished: Fold._keep_finish,
    events.Failed: Fold._keep_failure,
    events.Ended: Fold._keep_end,
}


class StreamedText:
    """The first answer's text; all that is taken out of it concatenates to exactly that text."""

    def __init__(self) -> None:
        self.model = ""
        self._begin()

    def _begin(self) -> None:
        self.length = 0
        self._settled: list[str] = []
        self._live_item: str | None = None
        self._closed: set[str] = set()
        self._held: dict[str, list[str]] = {}

    def add(self, event: events.Event, added: str) -> bool:
        """Take one event in, with the text that it added; whether there is something to take out."""
        if added and isinstance(event, events.TextDelta | events.TextDone):
            if event.place.choice == 0:
                self._append(event.place.item, added)
        elif isinstance(event, events.ItemDone):
            self._close(event.item)
        elif isinstance(event, events.Started):
            self.model = event.model
        elif isinstance(event, events.Restarted):
            self._begin()
        return bool(self._settled)

    def _append(self, item: str, text: str) -> None:
        if self._live_item is None:
            self._live_item = item
            text = SEPARATOR + text if self.length else text
        if item == self._live_item:
            self._settled.append(text)
            self.length += len(text)
        else:
            self._held.setdefault(item, []).append(text)

    def _close(self, item: str) -> None:
        self._closed.add(item)
        while self._live_item in self._closed:
            self._live_item = None
            if self._held:
                following = next(iter(self._held))
                self._append(following, "".join(self._held.pop(following)))

    @property
    def settled(self) -> int:
        """How many characters can be taken out."""
        return sum(map(len, self._settled))

    def take(self) -> str:
        """What has been settled since the last time."""
        text = "".join(self._settled)
        self._settled.clear()
        return text
