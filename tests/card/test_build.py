"""The page in the package is what its sources make, small enough, and strict about what it may do."""

import base64
import hashlib
import re
from pathlib import Path

import card_page
import pytest

HTML = card_page.CARD.read_text(encoding="utf-8")


def test_the_page_is_built_from_its_sources_to_the_byte(stage: Path, tmp_path: Path) -> None:
    card_page.build(stage, tmp_path / "card.html")
    assert (tmp_path / "card.html").read_bytes() == card_page.CARD.read_bytes(), "run `make card`"
    assert card_page.licences() == card_page.LICENCES.read_text(encoding="utf-8"), "run `make card`"


def test_the_types_of_the_sources_hold_strictly_against_those_of_the_extension(stage: Path) -> None:
    card_page.check_types(stage)
    card_page.check_types(stage / "page")


def test_the_page_is_small_and_says_what_it_is_made_from() -> None:
    assert card_page.CARD.stat().st_size <= card_page.LARGEST == 60_000
    doctype, origin, *_ = HTML.splitlines()
    assert doctype == "<!doctype html>"
    assert origin == (
        "<!-- Built from card/ by `make card`; do not edit. With commonmark.js, see card.licences.txt. -->"
    )


def test_the_page_allows_itself_one_script_one_style_and_nothing_of_a_network() -> None:
    found = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">', HTML)
    assert found
    policy = dict(part.split(" ", 1) for part in found[1].split(";"))

    def hashed(tag: str) -> str:
        (inner,) = re.findall(rf"<{tag}>(.*?)</{tag}>", HTML, re.DOTALL)
        return f"'sha256-{base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()}'"

    assert policy == {
        "default-src": "'none'",
        "script-src": hashed("script"),
        "style-src": hashed("style"),
        "font-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


@pytest.mark.parametrize(
    "word",
    [
        *(
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "setHTML",
            "DOMParser",
            "document.write",
            "createContextual",
        ),
        *(
            "eval(",
            "Function(",
            "fetch(",
            "XMLHttpRequest",
            "WebSocket",
            "sendBeacon",
            "importScripts",
            "Worker(",
        ),
        *("localStorage", "indexedDB", "document.cookie", "window.open", "location.href", "location="),
    ],
)
def test_no_word_in_the_page_could_parse_html_run_text_or_reach_a_network(word: str) -> None:
    assert word not in HTML
