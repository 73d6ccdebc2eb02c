"""A browser for each module, and the scripts of the host, which are built once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import card_page
import pytest
from mcp_types import TextResourceContents

from tests.card.browser import Card, Hosts, browser, run
from tests.support.host import host_on
from tests.support.packages import available

PAGE = Path(__file__).with_name("page")


@pytest.fixture(scope="session")
def stage() -> Iterator[Path]:
    """The sources of the card and of its test host, where Node finds the packages that they import."""
    available(card_page.packages)
    with card_page.stage() as folder:
        shutil.copytree(PAGE, folder / PAGE.name)
        yield folder


@pytest.fixture(scope="session")
def scripts(stage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of host and sandbox."""
    folder = tmp_path_factory.mktemp("host")
    for name in ("host", "sandbox"):
        card_page.bundle(stage, f"page/{name}.ts", folder / f"{name}.js")
    return folder


async def read_page() -> TextResourceContents:
    """The card as a host reads it from a server."""
    async with host_on("http://127.0.0.1:9/v1") as host:
        read = await host.client.read_resource("ui://grok/answer")
    (page,) = read.contents
    assert isinstance(page, TextResourceContents)
    return page


@pytest.fixture(scope="module")
def hosts(scripts: Path) -> Iterator[Hosts]:
    """Opens cards as the server has the card, under the policy that its resource declares."""
    page = run(read_page)
    with browser() as running:
        yield Hosts(running, page.text, (page.meta or {})["ui"]["csp"], scripts)


@pytest.fixture(scope="module")
def shared(hosts: Hosts) -> Iterator[Card]:
    """A card in which several tests draw, one after another: opening one takes longer than what they do."""
    with hosts.card() as opened:
        yield opened
