"""Sound answers with sources, as pieces of text and citations; recorded ones are taken apart into these."""

import re
from dataclasses import dataclass, replace

from tests.gateways.table import Json
from tests.support.payloads import payloads_of

RECORDED = "05_responses_stream_web_and_x_search.sse"


@dataclass(frozen=True)
class Cite:
    """A marker in the text, and what the endpoint's list says of it where that is something else.

    `shift` moves the place that the list gives; `outside` puts it behind the text.
    """

    number: int
    url: str
    noted: bool = True
    listed_url: str = ""
    listed_number: int = 0
    shift: int = 0
    outside: bool = False

    @property
    def marker(self) -> str:
        return f"[[{self.number}]]({self.url})"


@dataclass(frozen=True)
class Scene:
    """An answer: its text, the searches of its run with what each showed, and sources that it only met."""

    name: str
    parts: tuple[str | Cite, ...]
    searches: tuple[tuple[str, tuple[str, ...]], ...] = ()
    pages: tuple[str, ...] = ()
    posts: tuple[str, ...] = ()
    """Queries of searches on X, which show no posts."""
    uncited: tuple[str, ...] = ()
    recorded: bool = False
    """Whether it goes out in the frames of a recorded stream."""

    @property
    def cites(self) -> list[Cite]:
        return [part for part in self.parts if isinstance(part, Cite)]

    @property
    def text(self) -> str:
        return "".join(part if isinstance(part, str) else part.marker for part in self.parts)

    @property
    def shown(self) -> set[str]:
        """What its searches showed."""
        return {url for _, urls in self.searches for url in urls}

    @property
    def met_only(self) -> list[str]:
        """What it met and does not cite, in a sound answer."""
        cited = {cite.url for cite in self.cites}
        shown = [url for _, urls in self.searches for url in urls]
        return [url for url in dict.fromkeys([*shown, *self.uncited]) if url not in cited]

    def with_cite(self, place: int, **changes: object) -> "Scene":
        """The same with one citation changed, by its place among them."""
        cite = self.cites[place]
        at = [number for number, part in enumerate(self.parts) if isinstance(part, Cite)][place]
        parts = (*self.parts[:at], replace(cite, **changes), *self.parts[at + 1 :])  # type: ignore[arg-type]
        return replace(self, parts=parts)


def recorded() -> Scene:
    """The recorded run of a web and an X search."""
    payloads = payloads_of(RECORDED)
    text = next(one["text"] for one in payloads if one["type"] == "response.output_text.done")
    pieces = re.split(r"(\[\[\d+\]\]\([^)]*\))", text)
    parts = [_part(piece) for piece in pieces if piece]
    items: list[Json] = payloads[-1]["response"]["output"]
    (web,) = (one["action"] for one in items if one["type"] == "web_search_call")
    (post,) = (one["input"] for one in items if one["type"] == "custom_tool_call")
    shown = tuple(one["url"] for one in web["sources"])
    (uncited,) = (url for url in shown if url not in text)
    return Scene(
        "recorded", tuple(parts), ((web["query"], shown),), posts=(post,), uncited=(uncited,), recorded=True
    )


def _part(piece: str) -> str | Cite:
    found = re.fullmatch(r"\[\[(\d+)\]\]\((.*)\)", piece)
    return Cite(int(found[1]), found[2]) if found else piece


def _page(name: str) -> str:
    return f"https://{name}.example/news/{name}-2026"


def written() -> list[Scene]:
    """Answers with sources cited twice, met only, opened, and of many kinds."""
    council, trams, budget, forum = map(_page, ("council", "trams", "budget", "forum"))
    post = "https://x.com/i/status/1988800000000000042"
    wiki = "https://en.wikipedia.org/wiki/Tram_(disambiguation)?oldid=42&action=view"
    few = Scene(
        "few",
        (
            "The council approved it",
            Cite(1, council),
            ", the operator builds",
            Cite(2, trams),
            "",
            Cite(3, post),
            ". The budget is tight: 1,4 Mio. €",
            Cite(4, budget),
            ", says the council once more",
            Cite(1, council),
            ". What a tram is stands elsewhere",
            Cite(5, wiki),
            ", in a long and rather winding sentence that has no source of its own at its very end.",
        ),
        (("tram vote", (council, trams, forum)), ("tram budget", (budget, wiki, council))),
        pages=(council, wiki),
        posts=('{"query": "tram"}',),
        uncited=(forum, "https://x.com/i/status/1988800000000000043"),
    )
    numbers = range(1, 41)
    names = [_page(f"source{number:03}") for number in range(1, 201)]
    many = Scene(
        "many",
        (
            *(
                part
                for number in numbers
                for part in (f" Sentence {number}, a long one", Cite(number, names[number - 1]))
            ),
            ". That is all there is to say of it, and nothing more will follow behind this.",
        ),
        tuple((f"query {start}", tuple(names[start : start + 25])) for start in range(0, 200, 25)),
    )
    alone = Scene(
        "alone",
        (
            "One sentence of some length that has a source",
            Cite(1, council),
            ", and behind it a good deal of text without any, so that a place may be moved far away"
            " from its marker and still be inside the text.",
        ),
        (("tram", (council, forum)),),
    )
    return [few, many, alone]


PASSAGES = (
    ("Ngerulmud is the capital.", "https://atlas.example/palau"),
    (" It has few inhabitants.", "https://gov.example/pw"),
)
"""Sentences that an endpoint marks as a whole, in a text without markers."""
