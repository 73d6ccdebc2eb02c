"""A host of the card in a real browser. Its pages are answered here, and nothing else is."""

import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest
from playwright.sync_api import Browser, BrowserContext, Frame, Page, Route, sync_playwright
from project import ROOT

from tests.support.packages import missing

T = TypeVar("T")
PICTURES = ROOT / ".artefacts" / "card"
"""Where pictures of a test run are kept."""
HOST = "https://host.example/"
SANDBOX = "https://sandbox.example/"
WAIT_MS = 10_000
ALL: Mapping[str, Any] = {"openLinks": {}, "serverResources": {}}
CONTEXT: Mapping[str, Any] = {"theme": "light", "displayMode": "inline", "locale": "en-US"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
STYLE = "body { margin: 0 } iframe { display: block; border: 0; width: 100%; height: 40px }"


def policy(csp: Mapping[str, list[str]]) -> str:
    """The content policy of the sandbox, from what the resource declares in `_meta.ui.csp`."""

    def sources(*names: str) -> str:
        return " ".join(domain for name in names for domain in csp.get(name, []))

    resources, connects = sources("resourceDomains"), sources("connectDomains") or "'none'"
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'unsafe-inline' {resources}",
            f"style-src 'self' 'unsafe-inline' {resources}",
            f"img-src 'self' data: {resources}",
            f"font-src 'self' data: {resources}",
            f"connect-src {connects}",
            "object-src 'none'",
        )
    )


def run(function: Callable[[], Awaitable[T]]) -> T:
    """What an async function brings, on a thread of its own: the browser's driver has a loop on this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(anyio.run, function).result()


@contextmanager
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if program is None:
        reason = "there is no Chromium"
        pytest.skip(reason) if sys.platform in ("win32", "darwin") else missing(reason)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", "--font-render-hinting=none"]
        )
        try:
            yield running
        finally:
            running.close()


@dataclass
class Card:
    """The card in its host, and what left the page: first its own four requests, for host and sandbox."""

    page: Page
    context: BrowserContext
    requests: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)

    @property
    def frame(self) -> Frame:
        """The frame that the card is in."""
        return next(frame for frame in self.page.frames if frame.url == "about:srcdoc")

    @property
    def seen(self) -> dict[str, Any]:
        """What the host has got from the card: messages, links, reads, errors."""
        seen: dict[str, Any] = self.page.evaluate("window.host.seen")
        return seen

    def tell(self, method: str, *values: Any) -> Any:
        """Have the host send something: `result`, `input`, `cancelled`, `context`, `teardown`, `post`."""
        return self.page.evaluate("([name, values]) => window.host[name](...values)", [method, list(values)])

    def settle(self) -> None:
        """Wait until what was sent is drawn and its size is reported."""
        self.tell("post", {"jsonrpc": "2.0", "id": "settled", "method": "ping"})
        answered = "window.host.seen.messages.filter(({ id }) => id === 'settled').length"
        self.page.wait_for_function(f"{answered} > (window.settled ?? 0)", timeout=WAIT_MS)
        self.page.evaluate(f"window.settled = {answered}")
        self.frame.evaluate("() => new Promise((done) => setTimeout(() => requestAnimationFrame(done), 0))")
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))")

    @property
    def sent(self) -> list[str]:
        """The methods of what the card has sent, but for its size."""
        methods = [message.get("method") for message in self.seen["messages"] if "method" in message]
        return [method for method in methods if "sandbox" not in method and "size" not in method]

    @property
    def complaints(self) -> list[str]:
        """What the browser or the bridge found wrong; the bridge's own log is not of interest."""
        own = [
            line
            for line in self.console
            if "essage {" not in line and "can escape its sandboxing" not in line
        ]
        return own + [error for error in self.seen["errors"] if "settled" not in error]

    @property
    def status(self) -> str:
        """What a screen reader has been told last."""
        return self.frame.locator("[role=status]").inner_text()

    def keep_picture(self, name: str, width: int) -> None:
        """Keep a picture of the whole card."""
        box = self.page.locator("iframe").bounding_box()
        assert box
        self.page.set_viewport_size({"width": width, "height": int(box["height"])})
        self.settle()
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png")

    def open_all(self) -> None:
        """Unfold whatever is folded."""
        self.frame.evaluate(
            """() => Promise.all([...document.querySelectorAll("details:not([open])")].map((one) =>
                new Promise((done) => { one.addEventListener("toggle", done); one.open = true; })))"""
        )
        self.settle()

    def draw(self, *results: Any) -> Frame:
        """Give the card results past the bridge, which writes each into a log."""
        for result in results:
            method = "ui/notifications/tool-result"
            self.tell("post", {"jsonrpc": "2.0", "method": method, "params": result})
        self.settle()
        return self.frame

    def show(self, result: Mapping[str, Any]) -> Frame:
        """Give the card a result, and return its frame once it is drawn."""
        self.tell("result", result)
        self.settle()
        return self.frame


@dataclass(frozen=True)
class Hosts:
    """Opens cards, each in a page of its own."""

    browser: Browser
    html: str
    csp: Mapping[str, list[str]]
    scripts: Path

    @contextmanager
    def card(
        self,
        *,
        width: int = 800,
        height: int = 900,
        capabilities: Mapping[str, Any] = ALL,
        resource: Mapping[str, Any] | None = None,
        refuse_links: bool = False,
        motion: str = "no-preference",
        **context: Any,
    ) -> Iterator[Card]:
        """A card that has been initialised, and waits for its result."""
        made = self.browser.new_context(
            viewport={"width": width, "height": height},
            reduced_motion="reduce" if motion == "reduce" else "no-preference",
            color_scheme="dark" if context.get("theme") == "dark" else "light",
        )
        made.set_default_timeout(WAIT_MS)
        page = made.new_page()
        card = Card(page, made)
        made.route("**/*", lambda route: self._answer(route, card))
        page.on("websocket", lambda socket: card.requests.append(socket.url))
        page.on("console", lambda message: card.console.append(message.text))
        page.on("pageerror", lambda error: card.console.append(f"error: {error}"))
        try:
            page.goto(HOST)
            page.evaluate(
                "(card) => window.host.open(card)",
                {
                    "html": self.html,
                    "sandbox": SANDBOX,
                    "capabilities": dict(capabilities),
                    "context": {**CONTEXT, **context},
                    "resource": resource,
                    "refuseLinks": refuse_links,
                },
            )
            yield card
        finally:
            made.close()

    def _answer(self, route: Route, card: Card) -> None:
        """The pages of host and sandbox; nothing else is there."""
        pages = {HOST: "host", SANDBOX: "sandbox"}
        url = route.request.url
        card.requests.append(url)
        if url in pages:
            frame = (
                ""
                if pages[url] == "sandbox"
                else '<iframe title="Sandbox" sandbox="allow-scripts allow-same-origin"></iframe>'
            )
            body = (
                f'<!doctype html><html lang="en"><title>Test</title><link rel="icon" href="data:,">'
                f"<style>{STYLE}{' html, body, iframe { height: 100% }' if not frame else ''}</style>"
                f'<body>{frame}<script src="/{pages[url]}.js"></script>'
            )
            headers = {"Content-Security-Policy": policy(self.csp)} if pages[url] == "sandbox" else {}
            route.fulfill(body=body, content_type="text/html", headers=headers)
        elif url in (f"{HOST}host.js", f"{SANDBOX}sandbox.js"):
            script = self.scripts / url.rpartition("/")[2]
            route.fulfill(body=script.read_text(encoding="utf-8"), content_type="text/javascript")
        else:
            route.abort()
