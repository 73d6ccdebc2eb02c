"""How the card looks in light and dark, narrow and wide, and what axe finds in it. The pictures are kept."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import card_page
import pytest
from playwright.sync_api import Frame

from tests.card.browser import Hosts
from tests.card.results import FAILED, SEARCH, USAGE

USAGE_RESULT = {"content": [{"type": "text", "text": json.dumps(USAGE)}]}
VIEWS: Mapping[str, Mapping[str, Any]] = {"answer": SEARCH, "usage": USAGE_RESULT, "error": FAILED}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
UNSURE = ("element contains an image node", "too short to determine")
"""What axe can't tell of text in a chart and of a single digit; it sees their colours elsewhere too."""


@pytest.fixture(scope="module")
def axe() -> str:
    script: Path = card_page.packages() / "axe-core" / "axe.min.js"
    return script.read_text(encoding="utf-8")


def open_all(frame: Frame) -> None:
    """Open whatever is folded."""
    for summary in frame.locator("summary").all():
        summary.click()


@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_no_violation_and_a_picture_is_kept(
    hosts: Hosts, axe: str, view: str, theme: str, width: int
) -> None:
    with hosts.card(width=width, theme=theme) as card:
        frame = card.show(VIEWS[view])
        open_all(frame)
        card.settle()
        card.keep_picture(f"{view}-{theme}-{width}", width)
        frame.evaluate(axe)
        run = "(tags) => axe.run(document, { runOnly: tags, resultTypes: ['violations', 'incomplete'] })"
        found = frame.evaluate(run, RULES)
        faults = [
            (fault["id"], node["html"], node["failureSummary"])
            for fault in found["violations"]
            for node in fault["nodes"]
        ]
        assert faults == []
        unsure = {node["any"][0]["message"] for check in found["incomplete"] for node in check["nodes"]}
        assert {message for message in unsure if not any(known in message for known in UNSURE)} == set()
        assert len(found["passes"]) > 10
        assert card.complaints == []


@pytest.mark.parametrize("view", VIEWS)
def test_a_width_of_320_pixels_is_enough(hosts: Hosts, view: str) -> None:
    with hosts.card(width=320) as card:
        frame = card.show(VIEWS[view])
        open_all(frame)
        assert frame.evaluate("document.scrollingElement.scrollWidth") == 320
        beyond = """() => [...document.querySelectorAll("main *")]
            .filter((one) => !one.closest(".scroll, pre, .spoken"))
            .filter((one) => one.getBoundingClientRect().right > 320.5).map((one) => one.outerHTML)"""
        assert frame.evaluate(beyond) == []


def test_each_control_is_reached_by_the_keyboard_and_shows_that_it_has_the_focus(hosts: Hosts) -> None:
    with hosts.card(width=1200) as card:
        frame = card.show(SEARCH)
        selector = 'a, button, summary, [tabindex="0"]'
        find = f"[...document.querySelectorAll('{selector}')].filter((one) => one.checkVisibility())"
        controls: list[str] = frame.evaluate(f"{find}.map((one) => one.outerHTML)")
        reached = []
        for _ in controls:
            card.page.keyboard.press("Tab")
            reached.append(frame.evaluate(f"{find}.indexOf(document.activeElement)"))
            assert frame.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        assert reached == list(range(len(controls))), "in the order in which they stand"
        assert len(controls) > 20


def test_whoever_wants_less_motion_gets_none(hosts: Hosts) -> None:
    animations = "document.getAnimations().length"
    with hosts.card() as card:
        assert card.frame.evaluate(animations) > 0, "the card waits for its result"
    with hosts.card(motion="reduce") as card:
        assert card.frame.evaluate(animations) == 0


def test_text_runs_in_the_direction_of_its_own_script(hosts: Hosts) -> None:
    text = "هذا نص عربي مع رقم 42.\n\nThis is English.\n\n- עברית\n- English"
    with hosts.card() as card:
        frame = card.show({"content": [{"type": "text", "text": text}]})
        blocks = frame.locator(".markdown p, .markdown li")
        directions = blocks.evaluate_all("(all) => all.map((one) => getComputedStyle(one).direction)")
        assert directions == ["rtl", "ltr", "rtl", "ltr"]


def test_a_screen_reader_finds_landmarks_headings_and_lists(hosts: Hosts) -> None:
    with hosts.card() as card:
        frame = card.show(SEARCH)
        assert card.status == "Grok has answered."
        assert frame.get_by_role("main").count() == 1
        assert frame.get_by_role("complementary", name="Where it is from").count() == 1
        assert [one.inner_text() for one in frame.get_by_role("heading").all()] == [
            *("Grok", "Answer", "What it looks for", "Notes", "Code that ran", "Sources", "Steps"),
        ]
        sources = frame.get_by_role("region", name="Sources").get_by_role("list").get_by_role("listitem")
        assert sources.count() == 6
        legend = frame.get_by_role("region", name="Usage of this answer").get_by_role("listitem")
        assert [" ".join(one.inner_text().split()) for one in legend.all()] == [
            *("11K cached input tokens, 55%", "7,232 input tokens, 36%"),
            *("1,204 reasoning tokens, 6%", "708 output tokens, 4%"),
        ]
