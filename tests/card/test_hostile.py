"""Whatever a result holds: no script runs, no request leaves, no link leads elsewhere than http and https.

How long such results take to draw is measured, not tested: `packaging/card_speed.py`, with its figures in
docs/card.md. Here the page stays small, which is what that follows from.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.card.browser import SANDBOX, Card, Hosts
from tests.card.results import ANSWER, SEARCH, citation, marker, result

EVIL = "window.top.evil=window.evil=1"
GOOD = "https://good.example/"
OWN_REQUESTS = 4
MANY_ELEMENTS = 16_000
ELEMENTS = {
    *(
        "a",
        "article",
        "aside",
        "blockquote",
        "body",
        "br",
        "button",
        "caption",
        "code",
        "dd",
        "details",
        "div",
    ),
    *("dl", "dt", "em", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hr", "html", "li"),
    *(
        "main",
        "meta",
        "ol",
        "p",
        "pre",
        "q",
        "script",
        "section",
        "span",
        "strong",
        "style",
        "summary",
        "table",
    ),
    *("tbody", "td", "th", "thead", "title", "tr", "ul", "svg", "rect", "line", "text"),
}
LOOK = """() => ({
    names: [...new Set([...document.querySelectorAll("*")].map((one) => one.localName))],
    elements: document.querySelectorAll("*").length,
    scripts: document.querySelectorAll("script, style, meta").length,
    links: [...document.querySelectorAll("[href], [src], [action], [srcset], [data], [poster]")]
        .map((one) => one.getAttribute("href") ?? one.localName),
    handlers: [...document.querySelectorAll("*")].flatMap((one) => [...one.attributes])
        .map(({ name }) => name).filter((name) => name.startsWith("on") || name === "srcdoc"),
    evil: "evil" in window,
    deepest: (function f(one) { return 1 + Math.max(0, ...[...one.children].map(f)); })(document.body),
})"""


def assert_harmless(card: Card) -> dict[str, Any]:
    """Nothing ran, nothing left, nothing leads away."""
    found: dict[str, Any] = card.frame.evaluate(LOOK)
    assert set(found["names"]) <= ELEMENTS
    assert found["scripts"] == 7, "those of the page itself"
    assert found["handlers"] == []
    assert [link for link in found["links"] if not link.startswith(("https://", "http://"))] == []
    assert found["elements"] < MANY_ELEMENTS
    assert found["deepest"] < 60
    assert not found["evil"] and not card.page.evaluate("'evil' in window")
    assert [frame.url for frame in card.page.frames][1:] == [SANDBOX, "about:srcdoc"]
    assert card.requests[OWN_REQUESTS:] == []
    assert card.complaints == [], "nor did anything try"
    assert len(card.context.pages) == 1
    return found


SIGNS = "\ua8ce\ua8cf\ua92e\ua92f\ua95f\uaade\uaadf\uabeb\u1b5a\u1b5b\u1b5c\u1c3b\u1c3c\u1c3d\u1c7e\u1c7f"
"""With which the card signs places of a text."""
MARKUP: Mapping[str, str] = {
    "script": f"<script>{EVIL}</script>",
    "script_within_a_paragraph": f"Hello <script>{EVIL}</script> there",
    "image": f'<img src="https://evil.example/x.png" onerror="{EVIL}">',
    "picture": "![x](https://evil.example/x.png)",
    "picture_of_data": f"![x](data:image/svg+xml,<svg onload={EVIL}>)",
    "svg": f'<svg onload="{EVIL}"><use href="https://evil.example/#x"/></svg>',
    "iframe": f'<iframe src="javascript:{EVIL}"></iframe>\n\n<iframe srcdoc="<script>{EVIL}</script>">',
    "style": "<style>@import 'https://evil.example/a.css'; body { display: none }</style>",
    "base": '<base href="https://evil.example/"><meta http-equiv="refresh" content="0;//evil.example/">',
    "form": f'<form action="https://evil.example/"><input autofocus onfocus="{EVIL}"></form>',
    "comment": f"<!-- --!><script>{EVIL}</script>-->",
    "cdata": f"<![CDATA[<script>{EVIL}</script>]]>",
    "closing_tags": f"</p></main></body></html></script><script>{EVIL}</script>",
    "entities": f"&lt;script&gt;{EVIL}&lt;/script&gt; &#60;img src=x onerror={EVIL}&#62;",
    "code": f"```html\n<script>{EVIL}</script>\n```\n`<script>{EVIL}</script>`",
    "language_of_code": f'```"><script>{EVIL}</script>\nx\n```',
    "javascript_link": f"[x](javascript:{EVIL}) [y]( JaVaScRiPt:{EVIL}) <javascript:{EVIL}>",
    "javascript_in_entities": f"[x](java&#115;cript:{EVIL}) [y](javascript&colon;{EVIL})",
    "other_schemes": "[a](data:text/html,x) [b](vbscript:x) [c](file:///etc/passwd) [d](blob:x) [e](//evil)",
    "reference": f"[x][1]\n\n[1]: javascript:{EVIL}",
    "marker": f"[[1]](javascript:{EVIL}) [[2]](data:text/html,x)",
    "template": "{{constructor.constructor('evil=1')()}} ${evil=1} <%= evil %>",
    "table": f"|<script>{EVIL}</script>|<img src=x onerror={EVIL}>|\n|-|-|\n|[x](javascript:{EVIL})|x|",
    "hidden_signs": "\ua8ce0\ua92e \ua8cf0\ua92e \ua8ce99999999999999999999\ua92e",
    "all_signs": SIGNS,
}


@pytest.mark.parametrize("markup", MARKUP.values(), ids=MARKUP)
def test_markup_in_any_text_is_text(shared: Card, markup: str) -> None:
    shared.show(
        result(
            markup,
            alternatives=[markup],
            citations=[citation(1, markup, markup, markup), citation(2, GOOD, markup)],
            steps=[
                {
                    "kind": kind,
                    "queries": [markup],
                    "url": markup,
                    "pattern": markup,
                    "name": markup,
                    "met": [1],
                }
                for kind in ("web", markup)
            ],
            documents=[{"id": markup, "name": markup}],
            code_runs=[{"code": markup, "output": markup, "images": [markup], "status": markup}],
            tool_calls=[{"name": markup, "arguments": {markup: markup}}],
            evidence={"broken": [{"marker": 1, "why": markup}]},
            warnings=[markup],
            model=markup,
            finish_reason=markup,
            usage={"input_tokens": 1},
        )
    )
    shared.open_all()
    assert_harmless(shared)
    shared.show({"content": [{"type": "text", "text": markup}], "isError": True})
    assert_harmless(shared)


ADDRESSES: Mapping[str, tuple[str, str | None]] = {
    "javascript": (f"javascript:{EVIL}", None),
    "javascript_over_two_lines": (f"java\nscript:{EVIL}", None),
    "javascript_behind_a_control": (f"\x01javascript:{EVIL}", None),
    "javascript_in_a_view": (f"view-source:javascript:{EVIL}", None),
    "data": (f"data:text/html,<script>{EVIL}</script>", None),
    "vbscript": ("vbscript:msgbox(1)", None),
    "file": ("file:///etc/passwd", None),
    "blob": ("blob:https://good.example/1", None),
    "ui": ("ui://grok/answer", None),
    "no_scheme": ("//evil.example/", None),
    "relative": ("/path", None),
    "password": ("https://good.example:pw@evil.example/", None),
    "user": ("https://good.example@evil.example/", None),
    "no_host": ("https://", None),
    "no_address": ("\u202ehttps//:", None),
    "too_long": (f"https://a.example/{'a' * 3000}", None),
    "upper_case": ("HTTPS://GOOD.EXAMPLE/A", "good.example"),
    "foreign_letters": ("https://xn--80ak6aa92e.com/", "xn--80ak6aa92e.com"),
    "letters_that_look_alike": ("https://аррӏе.com/", "xn--80ak6aa92e.com"),
    "reversed_path": ("https://evil.example/\u202egpj.exe", "evil.example"),
    "host_in_the_path": ("https://evil.example/https://good.example/", "evil.example"),
    "backslashes": ("https:\\\\evil.example\\@good.example", "evil.example"),
    "number": ("http://2130706433/", "127.0.0.1"),
    "port": ("http://good.example:8080/", "good.example:8080"),
}


@pytest.mark.parametrize(("address", "host"), ADDRESSES.values(), ids=ADDRESSES)
def test_only_web_addresses_are_links_and_show_the_host_that_will_answer(
    shared: Card, address: str, host: str | None
) -> None:
    frame = shared.show(result(f"x {marker(1, address)}", citations=[citation(1, address, "Good title")]))
    assert_harmless(shared)
    source = frame.locator("#sources li")
    assert source.locator("a").count() == (0 if host is None else 1)
    assert source.locator(".host").all_inner_texts() == ([host] if host else [])
    assert "\u202e" not in frame.locator("main").inner_text()


LABELS: Mapping[str, tuple[str, str]] = {
    "another_host": ("[good.example](https://evil.example/x)", "good.example evil.example"),
    "another_host_among_words": (
        "[See **www.good**.example, page 2](https://evil.example/)",
        "See www.good.example, page 2 evil.example",
    ),
    "the_same_host": ("[WWW.Good.example](https://good.example/x)", "WWW.Good.example"),
    "words": ("[Page 2.0 of 1.5](https://good.example/)", "Page 2.0 of 1.5 good.example"),
    "letters_that_look_alike": ("https://аррӏе.com/a.html", "https://аррӏе.com/a.html xn--80ak6aa92e.com"),
    "a_sign_that_looks_like_a_full_stop": (
        "https://good.example。evil.example/",
        "https://good.example。evil.example/ good.example.evil.example",
    ),
    "an_address": ("https://good.example/a.html?b=c.de", "https://good.example/a.html?b=c.de"),
}


@pytest.mark.parametrize(("text", "shown"), LABELS.values(), ids=LABELS)
def test_a_link_whose_words_do_not_begin_with_it_shows_the_host_that_will_answer(
    shared: Card, text: str, shown: str
) -> None:
    frame = shared.show(result(text))
    assert frame.locator(".markdown a").all_inner_texts() == [shown]
    assert_harmless(shared)


def test_no_letter_carries_more_marks_than_a_script_has(shared: Card) -> None:
    frame = shared.show(
        result(f"a{chr(0x301) * 50_000}b", citations=[citation(1, GOOD, f"a{chr(0xE49) * 200}")])
    )
    assert frame.locator(".markdown").text_content() == f"a{chr(0x301) * 9}b"
    assert frame.locator("#sources .title").text_content() == f"a{chr(0xE49) * 9}"


def test_other_answers_are_drawn_when_somebody_opens_them(shared: Card) -> None:
    other = f"Other **words** {marker(1, GOOD)}\n\n" * 500
    frame = shared.show(result("x", alternatives=[other] * 20, citations=[citation(1, GOOD, "t")]))
    assert assert_harmless(shared)["elements"] < 300
    frame.locator("summary", has_text="Another answer (20)").click()
    shared.settle()
    assert frame.locator("details[open] strong").count() == 500


TITLES: Mapping[str, tuple[Any, str]] = {
    "reversed": ("moc.doog\u202e", "moc.doog\ufffd"),
    "isolates": ("a\u2066b\u2069c\u200fd\u061c", "a\ufffdb\ufffdc\ufffdd\ufffd"),
    "unseen": ("g\u200bo\u00ado\u2060d\ufeff \U000e0041", "g\ufffdo\ufffdo\ufffdd\ufffd \ufffd"),
    "lines": ("one\n\n\ttwo\r\nthree", "one two three"),
    "lone_surrogate": ("a\ud800b", "a\ufffdb"),
    "control": ("a\x00\x1b[31mb", "a\ufffd\ufffd[31mb"),
    "joined": ("👩\u200d🚀 می\u200cخواهم", "👩\u200d🚀 می\u200cخواهم"),
    "long": ("x" * 5000, f"{'x' * 300}…"),
    "number": (5, "good.example"),
    "nothing": ("", "good.example"),
}


@pytest.mark.parametrize(("title", "shown"), TITLES.values(), ids=TITLES)
def test_titles_show_no_character_that_deceives(shared: Card, title: Any, shown: str) -> None:
    script = f"window.host.result({json.dumps(result('x', citations=[citation(1, GOOD, title)]))})"
    shared.page.evaluate(script)  # as JSON, which can hold half of a pair
    shared.settle()
    assert shared.frame.locator("#sources .title").text_content() == shown
    assert_harmless(shared)


FIELDS = (
    *("text", "alternatives", "citations", "steps", "search_queries", "pages_read", "documents", "code_runs"),
    *("evidence", "warnings", "tool_calls", "searched", "finish_reason", "model", "usage", "conversation_id"),
)
PARTS: Mapping[str, tuple[str, ...]] = {
    "citations": ("index", "url", "title", "source", "spans", "from_text"),
    "steps": ("kind", "queries", "url", "pattern", "name", "met"),
    "documents": ("id", "name", "score"),
    "code_runs": ("code", "output", "images", "status"),
    "tool_calls": ("id", "name", "arguments"),
}
GROUPS: Mapping[str, tuple[str, ...]] = {
    "evidence": ("cited", "met_only", "unseen", "broken"),
    "usage": (
        "input_tokens",
        "cached_tokens",
        "output_tokens",
        "reasoning_tokens",
        "cost_usd",
        "cost_source",
        "duration_s",
        "time_to_first_token_s",
    ),
}
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        -1,
        1.5,
        1e308,
        2**60,
        "",
        "text",
        "9",
        [],
        {},
        [None],
        [[]],
        [{}],
        [1, 2],
        ["a"] * 5000,
    ),
    *([[0, 5], [2, 3]], [[[[[]]]]], {"index": 1}, {"length": 10**9}, {"0": 1, "length": 1}),
)


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_any_type_leaves_a_card(shared: Card, name: str) -> None:
    good: Mapping[str, Any] = SEARCH["_meta"][ANSWER]
    answers = [{**good, name: value} for value in VALUES]
    for part in PARTS.get(name, ()):
        answers += [
            {**good, name: [{**good.get(name, [{}])[0], part: value}, {part: value}]} for value in VALUES
        ]
    for part in GROUPS.get(name, ()):
        answers += [{**good, name: {**good[name], part: value}} for value in VALUES]
    shared.draw(*({"content": [], "_meta": {ANSWER: answer}} for answer in answers))
    assert_harmless(shared)
    assert shared.frame.locator("main section.answer").count() == 1


STRANGE_USAGE = json.dumps(
    {
        "__proto__": {"by_model": []},
        "all_time": {"__proto__": {"calls": 5}},
        "by_model": [{"key": "__proto__", "calls": 1e308, "cost_usd": 1e308}],
        "by_day": [{"key": day, "calls": 1} for day in ("0000-99-99", "2026-11-30", "0001-01-01", "")],
    }
)
RESULTS: Mapping[str, Any] = {
    "null": None,
    "text": "x",
    "list": [],
    "content_of_text": {"content": "x", "_meta": 5},
    "content_of_numbers": {
        "content": [1, None, {"type": 5, "text": 7}, {"type": "resource", "resource": "x"}]
    },
    "answer_of_text": {"content": [], "_meta": {ANSWER: "x"}},
    "prototype": {
        "content": [],
        "_meta": {
            ANSWER: {"__proto__": {"text": EVIL}, "constructor": {"name": "x"}, "toString": 5, "text": "own"}
        },
    },
    "usage_of_nothing": {
        "content": [{"type": "text", "text": '{"all_time":5,"by_model":[1,null,{"key":{}}],"by_day":"x"}'}]
    },
    "usage_of_prototypes": {"content": [{"type": "text", "text": STRANGE_USAGE}]},
}


@pytest.mark.parametrize("given", RESULTS.values(), ids=RESULTS)
def test_a_result_of_any_shape_leaves_a_card(shared: Card, given: Any) -> None:
    message = {"jsonrpc": "2.0", "method": "ui/notifications/tool-result", "params": given}
    shared.page.evaluate(f"window.host.post(JSON.parse({json.dumps(json.dumps(message))}))")
    shared.settle()
    assert_harmless(shared)
    assert shared.frame.locator("main h2").first.is_visible() or shared.frame.locator("main section").count()


def test_only_a_field_of_its_own_counts(hosts: Hosts) -> None:
    with hosts.card() as card:
        card.frame.evaluate("Object.assign(Object.prototype, { isError: true, warnings: ['inherited'] })")
        frame = card.show(result("Hello."))
        assert card.status == "Grok has answered."
        assert "inherited" not in frame.locator("main").inner_text()


LONG = 100_000
PATTERNS = (
    *(
        "[",
        "]",
        "![",
        "[](",
        "](",
        "[[1]](",
        "[a](b",
        "*",
        "**a",
        "a**b",
        "*a ",
        "_a_",
        "`a",
        "``a`",
        "<",
        "<a ",
        "<!--",
    ),
    *(
        "&amp",
        "> ",
        "- ",
        "1. ",
        "* * ",
        "# ",
        "|",
        "|a|b|\n",
        "-|-\n",
        "\\",
        "\n",
        "- a\n\n",
        "> a\n> \n",
        "```\n",
    ),
    *(
        "    a\n",
        "[a]: b\n",
        "https://a.example ",
        "http://",
        "\u202e",
        "\x00",
        "\U0001f600",
        "(",
        '[x](<"',
        "[1](http://a/",
    ),
)


@pytest.mark.parametrize("repeated", [LONG, 2_400], ids=str)
def test_no_pattern_makes_a_page_that_takes_long(shared: Card, repeated: int) -> None:
    spans = [[at, at + 9] for at in range(0, 900, 3)]
    for pattern in PATTERNS:
        text = pattern * (repeated // len(pattern))
        shared.draw(result(text, citations=[citation(1, GOOD, "t", spans=spans)]))
        elements = shared.frame.evaluate("document.querySelectorAll('*').length")
        assert elements < MANY_ELEMENTS, pattern
    assert_harmless(shared)


@pytest.mark.parametrize(
    "text",
    ["x [" * 2_501, "> " * 25 + "x", "- " * 25 + "x", "\n\n".join(["[x](https://a.example/)"] * 2_300)],
    ids=["special characters", "quotes", "lists", "links"],
)
def test_what_nobody_writes_is_shown_as_it_is(shared: Card, text: str) -> None:
    frame = shared.draw(result(text))
    assert frame.locator(".answer .plain").text_content() == text
    assert frame.locator(".answer a").count() == 0


@pytest.mark.parametrize("deep", ["> ", "- ", "1. ", "  - ", "*_", "[", "![", "**_"])
def test_no_nesting_gets_deep(shared: Card, deep: str) -> None:
    shared.show(result(deep * 500 + "x" + deep[::-1] * 500))
    assert_harmless(shared)
    shared.show(result("\n".join(f"{' ' * 2 * level}- {level}" for level in range(200))))
    assert_harmless(shared)


def test_a_huge_table_and_a_wide_one_are_drawn_in_bounds(shared: Card) -> None:
    row = "|" + "cell|" * 30 + "\n"
    shared.show(result(row + "|" + "-|" * 30 + "\n" + row * 2000))
    assert assert_harmless(shared)["elements"] < MANY_ELEMENTS
    shared.show(result("|" + "a|" * 5000 + "\n|" + "-|" * 5000 + "\n"))
    assert assert_harmless(shared)["elements"] < 100


def test_500_sources_are_all_there_and_more_are_not(hosts: Hosts) -> None:
    many = [
        citation(
            number,
            f"https://site{number}.example/{number}",
            f"Page {number}",
            spans=[[number * 20, number * 20 + 9]],
        )
        for number in range(1, 801)
    ]
    text = " ".join(
        f"Claim {number} {marker(number, f'https://site{number}.example/{number}')}"
        for number in range(1, 501)
    )
    steps = [{"kind": "web", "queries": [f"q{number}"], "met": list(range(1, 501))} for number in range(300)]
    with hosts.card() as card:
        frame = card.show(result(text, citations=many, steps=steps))
        found = assert_harmless(card)
        assert frame.locator("#sources li").count() == 500
        assert frame.locator(".markdown .marker").count() == 500
        assert found["elements"] < 10_000


def made(tag: str, **properties: str) -> str:
    """An element in JavaScript."""
    return f"Object.assign(document.createElement('{tag}'), {json.dumps(properties)})"


def test_a_host_that_allows_scripts_and_requests_is_not_needed_for_any_of_this(hosts: Hosts) -> None:
    """The page's own policy holds where the host's would let everything pass."""
    generous = {"connectDomains": ["*"], "resourceDomains": ["*", "data:", "blob:", "'unsafe-eval'"]}
    lax = Hosts(hosts.browser, hosts.html, generous, hosts.scripts)
    attempts = {
        "eval": "new Function('window.evil = 1')()",
        "inline": f"document.body.append({made('script', textContent='window.evil = 1')})",
        "html": "document.body.innerHTML = '<img src=x onerror=\"window.evil = 1\">'",
        "request": "fetch('https://evil.example/')",
        "image": f"document.body.append({made('img', src='https://evil.example/i.png')})",
        "base": f"document.head.append({made('base', href='https://evil.example/')})",
    }
    with lax.card() as card:
        frame = card.show(SEARCH)
        for attempt in attempts.values():
            # Later, as the developer tools let what they evaluate pass.
            trial = f"async () => {{ try {{ await ({attempt}) }} catch {{ }} finally {{ done() }} }}"
            frame.evaluate(f"() => new Promise((done) => setTimeout({trial}))")
        card.settle()
        assert card.requests[OWN_REQUESTS:] == []
        assert not frame.evaluate("'evil' in window")
        assert frame.evaluate("document.baseURI") == SANDBOX
        assert len(card.complaints) >= len(attempts) - 1, "each attempt was refused by the policy"
