"""What the card says to its host and hears from it.

The host is made of the extension's own library, which checks each message against its schemas.
"""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.card.browser import Card, Hosts
from tests.card.results import FAILED, SEARCH, result

LONG = result("\n\n".join(f"Paragraph {number}." for number in range(60)))


def heights(card: Card) -> list[int]:
    return [
        message["params"]["height"]
        for message in card.seen["messages"]
        if message.get("method") == "ui/notifications/size-changed"
    ]


def colour(card: Card, of: str = "backgroundColor") -> str:
    value: str = card.frame.evaluate(f"getComputedStyle(document.documentElement).{of}")
    return value


def test_it_introduces_itself_as_the_extension_says_and_asks_for_nothing_else(hosts: Hosts) -> None:
    with hosts.card() as card:
        card.show(SEARCH)
        ready, initialize, *_ = card.seen["messages"]
        assert ready["method"] == "ui/notifications/sandbox-proxy-ready"
        assert initialize == {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "ui/initialize",
            "params": {
                "appInfo": {"name": "grok-card", "title": "Grok", "version": "1"},
                "appCapabilities": {"availableDisplayModes": ["inline", "fullscreen"]},
                "protocolVersion": "2026-01-26",
            },
        }
        assert card.sent == ["ui/initialize", "ui/notifications/initialized"]
        assert card.complaints == []


def test_it_shows_what_is_asked_while_it_waits(hosts: Hosts) -> None:
    with hosts.card() as card:
        main = card.frame.locator("main")
        assert main.inner_text().split("\n")[-1] == "Grok is working"
        card.tell("inputPartial", {"query": "What is n"})
        card.settle()
        assert "What is n" in main.inner_text()
        card.tell("input", {"query": "What is new?"})
        card.settle()
        assert main.inner_text().endswith("Grok is working\n\nWhat is new?")
        assert card.status == "Grok is working."


def test_a_cancelled_call_says_so(hosts: Hosts) -> None:
    with hosts.card() as card:
        card.tell("cancelled", "The user stopped it.")
        card.settle()
        assert card.status == "The call was cancelled."
        assert "The user stopped it." in card.frame.locator("main").inner_text()


def test_it_answers_ping_and_teardown_and_refuses_what_it_does_not_know(hosts: Hosts) -> None:
    with hosts.card() as card:
        for number, method in enumerate(("ping", "tools/list", "toString", "ui/resource-teardown"), 90):
            card.tell("post", {"jsonrpc": "2.0", "id": number, "method": method, "params": {}})
        card.settle()
        answers = [message for message in card.seen["messages"] if message.get("id", 0) in range(90, 94)]
        assert [(one["id"], one.get("result"), one.get("error", {}).get("code")) for one in answers] == [
            (90, {}, None),
            (91, None, -32601),
            (92, None, -32601),
            (93, {}, None),
        ]


def test_after_its_teardown_it_draws_nothing_more(hosts: Hosts) -> None:
    with hosts.card() as card:
        assert card.tell("teardown") == {}
        card.show(SEARCH)
        assert "Europa" not in card.frame.locator("main").inner_text()


BARE = """([html, answers, result]) => new Promise((drawn) => {
    const frame = document.createElement("iframe");
    const send = (message) => frame.contentWindow.postMessage({ jsonrpc: "2.0", ...message }, "*");
    window.got = [];
    window.addEventListener("message", ({ data }) => {
        got.push(data.method ?? data.id);
        if (data.method === "ui/initialize") {
            send({ method: "ui/notifications/tool-result", params: result });
            for (const answer of answers) send({ id: data.id, ...answer });
            send({ id: "last", method: "ping" });
        }
        if (data.id === "last") setTimeout(drawn, 50);
    });
    frame.sandbox = "allow-scripts";
    frame.srcdoc = html;
    document.body.append(frame);
})"""


def drawn_by(hosts: Hosts, *answers: Mapping[str, Any], html: str = "") -> tuple[str, list[Any]]:
    """The text of the card in a host that answers `ui/initialize` so, and what the card has sent."""
    page = hosts.browser.new_page()
    try:
        page.evaluate(BARE, [html or hosts.html, answers, SEARCH])
        sent: list[Any] = page.evaluate("window.got")
        return page.frames[1].locator("main").inner_text(), sent
    finally:
        page.close()


READY = "ui/notifications/initialized"


@pytest.mark.parametrize("result", [None, "text", [], {"hostContext": 5}], ids=str)
def test_a_host_that_says_nothing_of_itself_is_a_host(hosts: Hosts, result: Any) -> None:
    text, sent = drawn_by(hosts, {"result": result}, {"result": {}})
    assert "Europa" in text and sent.count(READY) == 1


def test_an_answer_stays_where_the_host_refuses_to_introduce_itself(hosts: Hosts) -> None:
    text, sent = drawn_by(hosts, {"error": {"code": -32601, "message": "no"}})
    assert "Europa" in text and "No host" not in text and READY not in sent


def test_a_host_that_takes_the_policy_out_of_the_page_gets_the_card(hosts: Hosts) -> None:
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", hosts.html)
    assert html != hosts.html
    assert "Europa" in drawn_by(hosts, {"result": {}}, html=html)[0]


MALFORMED: Mapping[str, Any] = {
    "null": None,
    "text": "ui/notifications/tool-result",
    "list": [1, 2],
    "another_version": {"jsonrpc": "1.0", "method": "ui/notifications/tool-result", "params": FAILED},
    "no_method": {"jsonrpc": "2.0", "id": 1, "result": {"hostCapabilities": 5}},
    "prototype": {"jsonrpc": "2.0", "method": "constructor", "params": {}},
    "no_params": {"jsonrpc": "2.0", "method": "ui/notifications/host-context-changed"},
    "wrong_params": {
        "jsonrpc": "2.0",
        "method": "ui/notifications/host-context-changed",
        "params": [{"theme": "dark"}],
    },
    "answer_to_nothing": {"jsonrpc": "2.0", "id": 77, "error": "bad"},
}


@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_message_changes_nothing(shared: Card, message: Any) -> None:
    frame = shared.show(SEARCH)
    before = frame.locator("main").inner_html()
    shared.tell("post", message)
    shared.settle()
    assert frame.locator("main").inner_html() == before
    assert shared.complaints == []


def test_only_its_parent_is_heard(hosts: Hosts) -> None:
    with hosts.card() as card:
        frame = card.show(SEARCH)
        forged = {"jsonrpc": "2.0", "method": "ui/notifications/tool-result", "params": FAILED}
        frame.evaluate("(message) => window.postMessage(message, '*')", forged)
        card.settle()
        assert card.status == "Grok has answered."


def test_it_reports_its_height_when_that_changes_and_is_quiet_else(hosts: Hosts) -> None:
    with hosts.card() as card:
        frame = card.show(SEARCH)
        drawn = heights(card)
        assert drawn[-1] == frame.evaluate("document.body.offsetHeight")
        assert len(drawn) <= 3
        for _ in range(5):
            card.settle()
        assert heights(card) == drawn, "the host's new height leads to no other"
        frame.locator("summary").first.click()
        card.settle()
        assert heights(card)[-1] > drawn[-1]
        card.show(LONG)
        assert heights(card)[-1] > 1000
        assert frame.evaluate("document.scrollingElement.scrollHeight <= innerHeight"), (
            "the frame needs no bar"
        )


def test_another_width_with_the_same_height_is_not_reported(hosts: Hosts) -> None:
    with hosts.card(width=800) as card:
        card.show(result("Hello.", model="m"))
        drawn = heights(card)
        card.page.set_viewport_size({"width": 790, "height": 900})
        card.settle()
        assert heights(card) == drawn


def test_a_fixed_height_is_filled_and_scrolls_inside(hosts: Hosts) -> None:
    with hosts.card(containerDimensions={"width": 800, "height": 300}) as card:
        frame = card.show(LONG)
        frame.evaluate("document.scrollingElement.scrollTo(0, 500)")
        assert frame.evaluate("document.scrollingElement.scrollTop") == 500


def test_the_theme_is_the_hosts_and_follows_it(hosts: Hosts) -> None:
    with hosts.card(theme="dark") as card:
        assert colour(card) == "rgb(30, 30, 29)"
        card.tell("context", {"theme": "light"})
        card.settle()
        assert colour(card) == "rgb(255, 255, 255)"


PALETTE = {
    "--color-background-primary": "rgb(1, 2, 3)",
    "--color-text-primary": "rgb(250, 250, 250)",
    "--color-text-secondary": "rgb(200, 200, 200)",
}


def test_the_hosts_palette_is_used_as_a_whole_and_half_of_one_is_not(hosts: Hosts) -> None:
    with hosts.card(theme="dark", styles={"variables": PALETTE}) as card:
        assert (colour(card), colour(card, "color")) == ("rgb(1, 2, 3)", "rgb(250, 250, 250)")
    half = {name: value for name, value in PALETTE.items() if "text" not in name}
    with hosts.card(styles={"variables": half | {"--font-sans": "Georgia"}}) as card:
        assert colour(card) == "rgb(255, 255, 255)"
        assert colour(card, "fontFamily") == "Georgia", "what is no colour stands for itself"


@pytest.mark.parametrize(
    "name", ["--color-text-secondary", "--color-text-info", "--color-background-secondary"]
)
def test_a_palette_in_which_some_text_could_not_be_read_is_not_used(hosts: Hosts, name: str) -> None:
    sound = dict(zip(PALETTE, ("#fff", "#111", "#555"), strict=True))
    with hosts.card(styles={"variables": sound | {"--border-radius-md": "1px"}}) as card:
        assert colour(card, "color") == "rgb(17, 17, 17)"
        card.tell("context", {"styles": {"variables": sound | {name: "rgb(150, 150, 150)"}}})
        card.settle()
        assert colour(card, "color") == "rgb(28, 28, 26)"
        card.tell("context", {"styles": {"variables": sound}})
        card.settle()
        assert colour(card, "color") == "rgb(17, 17, 17)"


@pytest.mark.parametrize(
    "value",
    [
        "url(https://evil.example/a.png)",
        "image-set('https://evil.example/a' 1x)",
        "red; } body { color: red",
        5,
    ],
)
def test_a_variable_that_reaches_outside_is_not_taken(hosts: Hosts, value: Any) -> None:
    with hosts.card(theme="dark") as card:
        variables = {**PALETTE, "--color-background-secondary": value, "--evil": "1", "color": "red"}
        card.tell(
            "post",
            {
                "jsonrpc": "2.0",
                "method": "ui/notifications/host-context-changed",
                "params": {"styles": {"variables": variables}},
            },
        )
        card.settle()
        style = card.frame.evaluate("document.documentElement.getAttribute('style')")
        assert "--color-background-primary" in style
        assert not any(word in style for word in ("evil", "red", "secondary: 5"))
        assert card.requests[4:] == [] == card.complaints


def test_a_font_within_the_message_is_taken_and_one_of_the_network_is_not(hosts: Hosts) -> None:
    inline = (
        '@font-face { font-family: "Inline"; src: url("data:font/woff2;base64,d09GMg==") format("woff2"); }'
    )
    outside = '@font-face { font-family: "Outside"; src: url("https://evil.example/font.woff2"); }'
    imported = "@import url('https://evil.example/fonts.css');"
    with hosts.card(styles={"css": {"fonts": f"{inline}\n{outside}"}}) as card:
        faces = card.frame.evaluate("[...document.fonts].map(({ family }) => family.replaceAll('\"', ''))")
        assert faces == ["Inline"]
        card.tell("context", {"styles": {"css": {"fonts": imported}}})
        card.settle()
        assert card.requests[4:] == []


def test_room_that_the_host_keeps_free_stays_free(hosts: Hosts) -> None:
    with hosts.card(safeAreaInsets={"top": 30, "right": 0, "bottom": 0, "left": 12}) as card:
        padding = card.frame.evaluate(
            "(({ paddingTop, paddingRight }) => [paddingTop, paddingRight])(getComputedStyle(document.body))"
        )
        assert padding == ["46px", "16px"]


def test_numbers_are_written_in_the_language_of_the_host(hosts: Hosts) -> None:
    with hosts.card(locale="de-DE", timeZone="Europe/Berlin") as card:
        bar = card.show(SEARCH).locator("#usage-bar")
        assert "7.232 input" in bar.inner_text()
        assert "14,3 s" in bar.inner_text()
        card.tell("context", {"locale": "no such language"})
        assert "7.232 input" in card.show(SEARCH).locator("#usage-bar").inner_text()


def test_links_are_opened_by_the_host_and_never_by_the_card(hosts: Hosts) -> None:
    with hosts.card() as card:
        link = card.show(SEARCH).get_by_role("link", name="Europa Clipper — NASA Science")
        link.click()
        link.press("Enter")
        link.click(button="middle")
        link.click(modifiers=["Control"])
        card.settle()
        assert card.seen["links"] == ["https://www.nasa.gov/mission/europa-clipper/"] * 4
        assert (len(card.context.pages), card.requests[4:]) == (1, [])
        assert card.frame.url == "about:srcdoc"


def test_a_link_that_the_host_refuses_is_said(hosts: Hosts) -> None:
    with hosts.card(refuse_links=True) as card:
        card.show(SEARCH).get_by_role("link", name="Europa Clipper — NASA Science").click()
        card.settle()
        assert card.status == "The host did not open https://www.nasa.gov/mission/europa-clipper/"


def test_where_the_host_opens_no_links_addresses_are_text_to_copy(hosts: Hosts) -> None:
    with hosts.card(capabilities={}) as card:
        frame = card.show(SEARCH)
        assert frame.locator("a").count() == 0
        assert "https://www.nasa.gov/mission/europa-clipper/" in frame.locator("#sources").inner_text()
        assert frame.get_by_role("button", name="Usage").count() == 0, "nor does it read resources"
