"""What the card shows of an answer, and how its parts belong together."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.card.browser import Card, Hosts
from tests.card.results import CLAIM, FAILED, SEARCH, TEXT, USAGE, citation, marker, result

A = "https://a.example/"
ADDRESS = "https://a.example/b_c_(d)"
AUTO = ' dir="auto"'
AT = '<span class="at"> a.example</span>'
"""A link whose label does not have its host shows it."""
LIT = "[...document.querySelectorAll('.lit')].map((one) => one.className.split(' ')[0])"
READ_USAGE = {
    "contents": [{"uri": "grok://usage", "mimeType": "application/json", "text": json.dumps(USAGE)}]
}


def link(url: str, label: str, direction: str = "") -> str:
    """A link as it stands in the page."""
    fixed = 'target="_blank" rel="noopener noreferrer nofollow"'
    return f'<a{direction} href="{url}" title="{url}" {fixed}>{label}</a>'


def rows(head: str, body: str) -> str:
    """A table as it stands in the page."""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="group" aria-label="Table">{table}</div>'


MARKDOWN: Mapping[str, tuple[str, str]] = {
    "emphasis": (
        "*a* **b** ***c*** `d`",
        '<p dir="auto"><em>a</em> <strong>b</strong> <em><strong>c</strong></em> '
        '<code dir="ltr">d</code></p>',
    ),
    "words_with_underscores": ("snake_case_name", '<p dir="auto">snake_case_name</p>'),
    "unclosed": ("2 * 3 * 4 and **open", '<p dir="auto">2 * 3 * 4 and **open</p>'),
    "entities": ("&amp; &#60;b> &copy;", '<p dir="auto">&amp; &lt;b&gt; &amp;copy;</p>'),
    "escapes": (r"\*a\* \[b]", '<p dir="auto">*a* [b]</p>'),
    "brackets": ("arr[0] and [note]", '<p dir="auto">arr[0] and [note]</p>'),
    "headings": (
        "## A\n\n#### B\n\n##### C\n\n### D\n\n# E",
        '<h3 dir="auto">A</h3><h4 dir="auto">B</h4><h5 dir="auto">C</h5><h4 dir="auto">D</h4>'
        '<h3 dir="auto">E</h3>',
    ),
    "lists": (
        "3. a\n4. b\n   - c\n",
        '<ol start="3"><li dir="auto">a</li><li dir="auto">b<ul><li dir="auto">c</li></ul></li></ol>',
    ),
    "loose_list": (
        "- a\n\n- b",
        '<ul><li dir="auto"><p dir="auto">a</p></li><li dir="auto"><p dir="auto">b</p></li></ul>',
    ),
    "quote": ("> a", '<blockquote dir="auto"><p dir="auto">a</p></blockquote>'),
    "rule": ("a\n\n---", '<p dir="auto">a</p><hr>'),
    "break": ("a  \nb", '<p dir="auto">a<br>b</p>'),
    "fence": (
        "```python\n| a |\n|---|\n<b>\n```",
        '<pre dir="ltr" tabindex="0" role="group" aria-label="Code">'
        "<code>| a |\n|---|\n&lt;b&gt;</code></pre>",
    ),
    "html": ("<b>x</b> <!-- y -->", '<p dir="auto">&lt;b&gt;x&lt;/b&gt; &lt;!-- y --&gt;</p>'),
    "html_block": ("<div>\n*x*\n</div>", '<p class="plain" dir="auto">&lt;div&gt;\n*x*\n&lt;/div&gt;</p>'),
    "table": (
        "|a|b|\n|:-:|-:|\n|`x|y`|c\\|d|e|\n|f|",
        rows(
            '<th dir="auto" scope="col" class="center">a</th><th dir="auto" scope="col" class="end">b</th>',
            '<tr><td dir="auto" class="center"><code dir="ltr">x|y</code></td>'
            '<td dir="auto" class="end">c|d</td></tr>'
            '<tr><td dir="auto" class="center">f</td><td dir="auto" class="end"></td></tr>',
        ),
    ),
    "no_table": ("a | b\n\nc", '<p dir="auto">a | b</p><p dir="auto">c</p>'),
    "image": (
        "![a picture](https://a.example/p.png)",
        f'<p dir="auto">{link("https://a.example/p.png", f"a picture{AT}", AUTO)}</p>',
    ),
    "reference": (
        "[a][1]\n\n[1]: https://a.example/",
        f'<p dir="auto">{link(A, f"a{AT}", AUTO)}</p>',
    ),
    "link_with_its_host": (
        f"[a.example, a page]({A})",
        f'<p dir="auto">{link(A, "a.example, a page", AUTO)}</p>',
    ),
    "bare_address": (
        f"See {ADDRESS}.",
        f'<p dir="auto">See {link(ADDRESS, ADDRESS)}.</p>',
    ),
}


@pytest.mark.parametrize(("text", "expected"), MARKDOWN.values(), ids=MARKDOWN)
def test_markdown_becomes_elements(shared: Card, text: str, expected: str) -> None:
    assert shared.show(result(text)).locator(".markdown").inner_html() == expected


def test_a_marker_becomes_a_button_that_belongs_to_its_source(hosts: Hosts) -> None:
    with hosts.card(width=1200) as card:
        frame = card.show(SEARCH)
        assert "[[" not in frame.locator(".answer").inner_text()
        button = frame.get_by_role("button", name="Source 2: Europa: Facts").first
        button.click()
        source = frame.locator("#sources li", has_text="Europa: Facts")
        assert source.evaluate("(one) => one === document.activeElement && one.classList.contains('lit')")
        card.page.keyboard.press("Escape")
        assert button.evaluate("(one) => one === document.activeElement")
        card.page.keyboard.press("Tab")
        assert frame.locator("#sources .lit").count() == 0


def test_a_marker_lights_its_source_and_the_text_of_its_span_and_the_source_lights_them(hosts: Hosts) -> None:
    with hosts.card(width=1200) as card:
        frame = card.show(SEARCH)
        everything = ["cited", "marker", "marker", "source", "marker"]
        for place in (
            frame.locator(".markdown .marker").first,
            frame.locator(".cited"),
            frame.locator(".source").first,
        ):
            place.hover()
            assert frame.evaluate(LIT) == everything
            card.page.mouse.move(0, 0)
            assert frame.evaluate(LIT) == []
        assert frame.locator(".cited").inner_text() == CLAIM
        frame.locator(".markdown .marker").first.focus()
        assert frame.evaluate(LIT) == everything


def test_from_a_source_one_goes_through_its_places_in_the_text(hosts: Hosts) -> None:
    with hosts.card(width=1200) as card:
        frame = card.show(SEARCH)
        go = frame.get_by_role("button", name="Source 1: 3× in the text, go there")
        names = []
        for _ in range(4):
            go.click()
            names.append(frame.evaluate("document.activeElement.textContent"))
        assert names == [CLAIM, "1", "1", CLAIM]
        card.page.keyboard.press("Escape")
        assert go.evaluate("(one) => one === document.activeElement")


SPANS: Mapping[str, tuple[str, list[list[int]], list[str]]] = {
    "code_points": ("😀 naïve 👩‍🚀 end", [[2, 7]], ["naïve"]),
    "over_bold": ("a **b c** d", [[2, 11]], ["b c", " d"]),
    "at_a_heading": ("# Title\n\ntext", [[0, 7]], ["Title"]),
    "at_a_list": ("- one\n- two", [[0, 5]], ["one"]),
    "two_paragraphs": ("one\n\ntwo", [[0, 8]], ["one", "two"]),
    "within_a_table": ("|a|\n|-|\n|b c|", [[9, 10]], ["b"]),
    "over_a_link": (f"x [y]({A}) z", [[0, 2], [15, 27]], ["x", " z"]),
    "outside": ("short", [[2, 99], [4, 1], [-1, 2]], []),
    "no_numbers": ("short", [["0", 2], [0.5, 2], None, 7, [1]], []),  # type: ignore[list-item]
    "within_code": ("`abc` d", [[1, 2]], []),
}


@pytest.mark.parametrize(("text", "spans", "lit"), SPANS.values(), ids=SPANS)
def test_spans_are_counted_in_code_points_and_change_no_markdown(
    shared: Card, text: str, spans: Any, lit: list[str]
) -> None:
    plain = shared.show(result(text)).locator(".markdown").inner_text()
    frame = shared.show(result(text, citations=[citation(1, A, "A", spans=spans)]))
    assert frame.locator(".markdown").inner_text() == plain
    assert frame.locator(".cited").all_text_contents() == lit


def test_a_marker_finds_its_source_by_the_address_and_one_without_a_source_is_seen_to_have_none(
    shared: Card,
) -> None:
    other = "https://b.example/x"
    text = f"a {marker(7, A)} b {marker(2, other)} c [2]({A}) d [1999](https://c.example/) `{marker(1, A)}`"
    answer = result(
        text,
        citations=[citation(1, A, "A"), citation(2, "https://b.example/y", "B")],
        evidence={"broken": [{"marker": 2, "why": "no_source"}, {"marker": 7, "why": "two_numbers"}]},
        warnings=["The answer points to [2], which is not the address of a page."],
    )
    frame = shared.show(answer)
    assert frame.locator(".markdown").inner_text() == f"a 1 b 2 c 1 d 1999 c.example {marker(1, A)}"
    assert frame.locator(".markdown button").count() == 2
    assert frame.locator(".lost").get_attribute("aria-label") == "Marker 2, without a source"
    assert frame.locator("#notes li").all_inner_texts() == [
        "The answer points to [2], which is not the address of a page.",
    ], "the server's note says it once"


def test_sources_say_where_they_are_from_and_what_the_run_knows_of_them(hosts: Hosts) -> None:
    with hosts.card(width=1200) as card:
        frame = card.show(SEARCH)
        items = [" ".join(text.split()) for text in frame.locator("#sources li").all_inner_texts()]
        assert items[2:] == [
            "3 Europa Clipper on X: We felt the pull of Mars x.com X in the text",
            "4 ESA – Juice: JUpiter ICy moons Explorer esa.int Web Unseen in the text",
            "5 Spacecraft passes Mars on its way to Jupiter news.example.co.uk News in the text",
            "6 Europa Clipper - Wikipedia en.wikipedia.org Web Not cited",
        ]
        assert frame.locator("#sources > .facts").all_inner_texts() == [
            "Unseen: the text cites this address, and no step or list of the run has shown it.",
            "Not cited: the run found this page, and the text does not cite it.",
            "None of this says whether a claim is true.",
        ]


def test_many_sources_are_shown_when_they_are_wanted(shared: Card) -> None:
    many = [citation(number, f"https://a.example/{number}", f"Page {number}") for number in range(1, 31)]
    text = f"x {marker(30, 'https://a.example/30')}"
    frame = shared.show(result(text, citations=many))
    assert frame.locator("#sources li:visible").count() == 8
    frame.get_by_role("button", name="Show all 30 sources").click()
    assert frame.locator("#sources li:visible").count() == 30
    frame = shared.show(result(text, citations=many))
    frame.get_by_role("button", name="Source 30: Page 30").click()
    assert frame.locator("#sources li", has_text="Page 30").evaluate(
        "(one) => one === document.activeElement"
    )


def test_steps_stand_in_their_order_with_what_they_asked_and_met(hosts: Hosts) -> None:
    with hosts.card(width=1200) as card:
        frame = card.show(SEARCH)
        summary = frame.locator("#steps summary")
        assert " ".join(summary.inner_text().split()) == "Steps 2 searches, 2 pages, 1 code run"
        summary.click()
        assert [" ".join(text.split()) for text in frame.locator("#steps li").all_inner_texts()] == [
            "Searched the web Europa Clipper status 2026 Europa Clipper Jupiter arrival Found 126",
            "Searched X from:EuropaClipper Mars flyby Found 3",
            "Read a page science.nasa.gov/jupiter/moons/europa/facts/?ref=overview&lang=en "
            "Looked for magnetometer Found 2",
            "Read a page news.example.co.uk/space/europa-clipper-passes-mars Found 5",
            "Ran code",
        ]


def test_without_steps_the_searches_and_pages_are_shown_as_such(shared: Card) -> None:
    frame = shared.show(result("x", search_queries=["q one"], pages_read=[A]))
    frame.locator("#steps summary").click()
    assert [" ".join(text.split()) for text in frame.locator("#steps li").all_inner_texts()] == [
        "Searched the web q one",
        "Read a page a.example",
    ]


def test_code_functions_files_and_other_answers_are_there_folded(shared: Card) -> None:
    answer = result(
        "first",
        alternatives=["*second*"],
        code_runs=[
            {
                "code": "1 / 0",
                "output": "ZeroDivisionError",
                "status": "failed",
                "images": ["https://a.example/p.png"],
            }
        ],
        tool_calls=[
            {"id": "1", "name": "get_weather", "arguments": {"city": "Rome"}},
            {"name": "bad", "arguments": "{x"},
        ],
        documents=[{"id": "f1", "name": "report.pdf", "score": 0.731}, {"id": "f2"}],
    )
    frame = shared.show(answer)
    assert frame.locator("details[open]").count() == 0
    for summary in frame.locator("summary").all():
        summary.click()
    shown = " ".join(frame.locator("main").inner_text().split())
    for words in (
        "Another answer second",
        "Code run 1 1 / 0 failed 1 / 0 Output ZeroDivisionError Picture a.example/p.png",
        'get_weather { "city": "Rome" } bad {x',
        "report.pdf 0.73 f2",
    ):
        assert words in shown


BARS: Mapping[str, tuple[Any, str]] = {
    "none": (None, "Tokens unknown Cost unknown Time unknown m"),
    "empty": ({}, "Tokens unknown Cost unknown Time unknown m"),
    "nothing_cost": (
        {"input_tokens": 10, "output_tokens": 10, "cost_usd": 0},
        "10 input tokens, 50% 10 output tokens, 50% $0.00 Time unknown m",
    ),
    "estimated": (
        {"output_tokens": 12345, "cost_usd": 1.234, "cost_source": "estimated", "duration_s": 95.2},
        "12.3K output tokens, 100% $1.23 estimated 1 min 35 s m",
    ),
    "cents": ({"cost_usd": 0.287, "duration_s": 1}, "Tokens unknown $0.2870 1 s m"),
    "hardly_anything": ({"cost_usd": 0.00003, "duration_s": 1}, "Tokens unknown <$0.0001 1 s m"),
    "parts_beyond_their_whole": (
        {"input_tokens": 5, "cached_tokens": 99, "duration_s": 0.04},
        "5 cached input tokens, 100% Cost unknown 0 s m",
    ),
    "not_numbers": (
        {"input_tokens": "5", "cost_usd": -1, "duration_s": []},
        "Tokens unknown Cost unknown Time unknown m",
    ),
}


@pytest.mark.parametrize(("usage", "words"), BARS.values(), ids=BARS)
def test_the_bar_says_in_words_what_is_known_and_what_is_not(shared: Card, usage: Any, words: str) -> None:
    bar = shared.show(result("x", usage=usage, model="m")).locator("#usage-bar")
    assert " ".join(bar.inner_text().split()) == words


def test_without_sources_there_is_the_answer_and_the_bar_alone(shared: Card) -> None:
    frame = shared.show(result("Hello.", model="m"))
    assert frame.locator("main section").evaluate_all(
        "(all) => all.map(({ className, id }) => className || id)"
    ) == [
        *("answer", "usage-bar"),
    ]


PLAIN: Mapping[str, tuple[Mapping[str, Any], str, str]] = {
    "error": (FAILED, "The call failed.", "[rate_limited] The endpoint takes no more calls for now (429)."),
    "running": (
        {"content": [{"type": "text", "text": "Grok is still **working**."}]},
        "Grok has answered.",
        "Grok is still working.",
    ),
    "no_meta": (
        {"content": [{"type": "text", "text": TEXT}]},
        "Grok has answered.",
        "Europa Clipper is on its way to Jupiter.",
    ),
    "data": (
        {"content": [{"type": "text", "text": '{"a":[1]}'}], "_meta": {"grok-mcp/answer": {"data": 1}}},
        "Grok has answered.",
        '{\n  "a": [\n    1\n  ]\n}',
    ),
    "nothing": ({"content": []}, "Grok has answered.", "The result is empty."),
    "silent_error": ({"content": [], "isError": True}, "The call failed.", "The call failed without a word."),
}


@pytest.mark.parametrize(("given", "status", "words"), PLAIN.values(), ids=PLAIN)
def test_a_result_without_an_answer_shows_its_text(
    shared: Card, given: Mapping[str, Any], status: str, words: str
) -> None:
    assert words in shared.show(given).locator("main").inner_text()
    assert shared.status == status


def test_what_the_server_warns_of_is_shown_once(shared: Card) -> None:
    note = "The answer was cut at the token limit; raise max_output_tokens for more."
    frame = shared.show(result("x", finish_reason="length", warnings=[note, "Careful."]))
    assert frame.locator("#notes li").all_inner_texts() == [note, "Careful."]


def test_an_address_that_the_conversation_named_is_from_the_text_and_not_unseen(shared: Card) -> None:
    named = citation(1, A, "A", from_text=True)
    frame = shared.show(result(f"x {marker(1, A)}", citations=[named], evidence={"unseen": []}))
    assert frame.locator("#sources .chip").all_inner_texts() == ["Web", "From the text"]
    frame = shared.show(result(f"x {marker(1, A)}", citations=[named], evidence={"unseen": [1]}))
    assert frame.locator("#sources .chip").all_inner_texts() == ["Web", "Unseen"]


def test_the_usage_is_asked_of_the_host_and_left_again(hosts: Hosts) -> None:
    with hosts.card(resource=READ_USAGE) as card:
        frame = card.show(SEARCH)
        frame.get_by_role("button", name="Usage").click()
        frame.get_by_role("heading", name="Usage and cost").wait_for()
        assert card.seen["reads"] == ["grok://usage"]
        frame.get_by_role("button", name="Back to the answer").click()
        assert frame.evaluate("document.activeElement.textContent") == "Usage"
        frame.get_by_role("button", name="Usage").click()
        frame.get_by_role("heading", name="Usage and cost").wait_for()
        assert frame.evaluate("document.activeElement.textContent") == "Usage and cost"
        card.page.keyboard.press("Escape")
        assert CLAIM in frame.locator("main").inner_text()
        assert card.sent[2:] == ["resources/read"] * 2


@pytest.mark.parametrize(
    "resource", [None, {"contents": [{"uri": "grok://usage", "text": "{}"}]}], ids=["refused", "other"]
)
def test_a_usage_that_does_not_come_leaves_the_answer_as_it_is(hosts: Hosts, resource: Any) -> None:
    with hosts.card(resource=resource) as card:
        frame = card.show(SEARCH)
        frame.get_by_role("button", name="Usage").click()
        frame.get_by_text("The usage can't be shown").wait_for(state="attached")
        assert CLAIM in frame.locator("main").inner_text()
        assert frame.get_by_role("button", name="Usage").is_enabled()


def test_usage_is_drawn_by_day_and_by_model_with_the_same_figures_in_tables(hosts: Hosts) -> None:
    with hosts.card(width=1200) as card:
        frame = card.show({"content": [{"type": "text", "text": json.dumps(USAGE)}]})
        assert [" ".join(one.split()) for one in frame.locator(".figure").all_inner_texts()] == [
            "Today $0.3412 partly estimated 12 calls, 214K tokens of a budget of $2.50",
            "This month $9.82 partly estimated 350 calls, 6.1M tokens",
            "In all $41.07 partly estimated 1,204 calls, 24.8M tokens",
        ]
        assert frame.locator(".chart .column").count() == 30
        assert frame.locator(".chart title").nth(16).text_content() == "Nov 17, 2026: $0.8897"
        assert frame.locator(".levels .value").all_inner_texts() == ["$8.12", "$1.44", "$0.26"]
        frame.get_by_role("button", name="Calls").click()
        assert frame.locator(".chart title").nth(16).text_content() == "Nov 17, 2026: 31"
        assert frame.locator(".levels .value").all_inner_texts() == ["240", "101", "9"]
        frame.get_by_text("As tables").click()
        rows = frame.get_by_role("table", name="By model").get_by_role("row").all_inner_texts()
        assert [" ".join(row.split()) for row in rows][:2] == [
            "Model Calls Tokens Cost",
            "grok-4.3 240 4,800,000 $8.12 estimated",
        ]
        assert frame.get_by_role("table", name="By day, in UTC").get_by_role("row").count() == 31


def test_days_without_calls_stand_in_the_chart_and_unknown_costs_are_called_so(shared: Card) -> None:
    day = {"calls": 2, "calls_without_cost": 2, "total_tokens": 10, "cost_usd": 0}
    usage = {
        "today": day,
        "this_month": day,
        "all_time": {**day, "calls": 4, "cost_usd": 1},
        "by_model": [{**day, "key": "m"}],
        "by_day": [{**day, "key": "2026-02-27"}, {**day, "key": "2026-03-02"}],
    }
    frame = shared.show({"content": [{"type": "text", "text": json.dumps(usage)}]})
    assert frame.locator(".figure strong").all_inner_texts() == ["Cost unknown", "Cost unknown", "$1.00"]
    assert "2 calls of unknown cost" in frame.locator(".figure").last.inner_text()
    assert frame.locator(".chart title").all_text_contents() == [
        *("Feb 27, 2026: 10", "Feb 28, 2026: 0", "Mar 1, 2026: 0", "Mar 2, 2026: 10"),
    ]


def test_before_the_first_call_there_is_no_chart(shared: Card) -> None:
    none = {"calls": 0, "calls_without_cost": 0, "total_tokens": 0, "cost_usd": 0}
    usage = {"today": none, "this_month": none, "all_time": none, "by_model": [], "by_day": []}
    frame = shared.show({"content": [{"type": "text", "text": json.dumps(usage)}]})
    assert frame.locator(".figure strong").all_inner_texts() == ["$0.00"] * 3
    assert "No call has been counted yet." in frame.locator("main").inner_text()
    assert frame.locator("svg, table, .choice").count() == 0
