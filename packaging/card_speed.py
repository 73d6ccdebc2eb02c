"""Measures how long the card takes to draw large and hostile results, and prints a table for `docs/card.md`.

    .venv/bin/python packaging/card_speed.py

The time runs from the message with the result until all is laid out, in the system's Chromium. It is the
middle of five.
"""

import shutil
from collections.abc import Mapping
from statistics import median
from typing import Any

from card_page import CARD
from playwright.sync_api import Frame, sync_playwright

RUNS = 5
LONG = 100_000
HOST = """addEventListener("message", ({ data, source }) => {
  const result = { protocolVersion: "2026-01-26", hostInfo: { name: "h", version: "1" }, hostContext: {} };
  const all = { ...result, hostCapabilities: { openLinks: {}, serverResources: {} } };
  if (data.method === "ui/initialize") source.postMessage({ jsonrpc: "2.0", id: data.id, result: all }, "*");
  if (data.method === "ui/notifications/initialized") window.ready = true;
})"""
DRAW = """(params) => {
  const data = { jsonrpc: "2.0", method: "ui/notifications/tool-result", params };
  const began = performance.now();
  window.dispatchEvent(new MessageEvent("message", { data, source: window.parent }));
  document.body.getBoundingClientRect();
  return [performance.now() - began, document.querySelectorAll("*").length];
}"""


def result(text: str, **answer: Any) -> dict[str, Any]:
    """A result with an answer for the card."""
    return {"content": [], "_meta": {"grok-mcp/answer": {"text": text, **answer}}}


def sourced(count: int, between: str) -> dict[str, Any]:
    """An answer whose every claim has a source of its own, and a span."""
    urls = [f"https://site{number}.example/page/{number}" for number in range(1, count + 1)]
    claims = [f"Claim {number} is here. [[{number}]]({url})" for number, url in enumerate(urls, 1)]
    text = between.join(claims)
    citations = [
        {
            "index": number,
            "url": url,
            "title": f"Page {number}",
            "source": "web",
            "spans": [[start, start + 13]],
        }
        for number, url in enumerate(urls, 1)
        for start in [text.index(claims[number - 1])]
    ]
    steps = [{"kind": "web", "queries": [f"query {number}"], "met": [number]} for number in range(1, 200)]
    return result(text, citations=citations, steps=steps)


CASES: Mapping[str, dict[str, Any]] = {
    "an answer with 10 sources": sourced(10, "\n\n"),
    "500 sources, each cited, in one paragraph": sourced(500, " "),
    "500 sources, each cited, in 500 paragraphs": sourced(500, "\n\n"),
    "a table of 390 rows with links": result(
        "|a|b|c|\n|-|-|-|\n" + "|*x*|`y`|[z](https://a.example/)|\n" * 390
    ),
    "100,000 `[`": result("[" * LONG),
    "100,000 `*`, apart": result("* " * (LONG // 2)),
    "100,000 characters of `[[1]](`": result("[[1]](" * (LONG // 6)),
    "100,000 characters of `> `": result("> " * (LONG // 2)),
    "60,000 characters of `<a `, in paragraphs": result("\n\n".join(["<a " * 800] * 25)),
    "60,000 characters of addresses, in paragraphs": result("\n\n".join(["https://a.b/c " * 170] * 25)),
    "100,000 characters that reverse text": result("\u202e" * LONG),
}


def measure(frame: Frame, case: dict[str, Any]) -> tuple[float, int]:
    """The middle time in milliseconds, and the elements of the page."""
    drawn = [frame.evaluate(DRAW, case) for _ in range(RUNS)]
    return median(time for time, _ in drawn), drawn[-1][1]


def main() -> None:
    """Print the table."""
    program = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)
    if program is None:
        raise SystemExit("there is no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 800, "height": 900})
        page.set_content(f'<script>{HOST}</script><iframe style="width:100%;height:800px"></iframe>')
        page.locator("iframe").evaluate(
            "(frame, html) => { frame.srcdoc = html }", CARD.read_text(encoding="utf-8")
        )
        page.wait_for_function("window.ready")
        frame = page.frames[1]
        print(f"{browser.version}\n\n| result | elements | ms |\n|---|---:|---:|")
        for name, case in CASES.items():
            time, elements = measure(frame, case)
            print(f"| {name} | {elements:,} | {time:.0f} |")
        browser.close()


if __name__ == "__main__":
    main()
