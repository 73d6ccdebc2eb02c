"""The pages beside the README: their tables say what the code does, and all links lead somewhere."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from benchmarks import page as performance
from benchmarks.history import releases
from grok_mcp import bounds
from grok_mcp.dialects import DIALECTS, Dialect
from grok_mcp.gateways import GATEWAYS, endpoint_url
from grok_mcp.messages import ChatRequest, Message, Search
from grok_mcp.pipeline import search
from grok_mcp.settings import Settings
from grok_mcp.tools.json_schema import SchemaCheck
from tests.support.pages import PAGES, ROOT, table

GATEWAYS_PAGE = (ROOT / "docs" / "gateways.md").read_text(encoding="utf-8")
SEARCH_PAGE = (ROOT / "docs" / "search.md").read_text(encoding="utf-8")
STRUCTURED_PAGE = (ROOT / "docs" / "structured-output.md").read_text(encoding="utf-8")

WAYS = ("responses", "search_parameters", "openrouter")
WEB: Any = {"sources": ("web",)}
X: Any = {"sources": ("x",)}
FEEDS: Any = {"sources": ("rss",), "rss_links": ("https://feed.example/1",)}

SAMPLES: dict[str, list[tuple[Search, str]]] = {
    "`from_date`, `to_date` of X posts": [
        (Search(**X, from_date="2026-11-01"), "2026-11-01"),
        (Search(**X, to_date="2026-11-02"), "2026-11-02"),
    ],
    "`from_date`, `to_date` of web pages": [
        (Search(**WEB, from_date="2026-11-01"), "2026-11-01"),
        (Search(**WEB, to_date="2026-11-02"), "2026-11-02"),
    ],
    "`allowed_domains`, `excluded_domains`": [
        (Search(**WEB, allowed_domains=("city.example",)), "city.example"),
        (Search(**WEB, excluded_domains=("city.example",)), "city.example"),
    ],
    "`allowed_x_handles`, `excluded_x_handles`": [
        (Search(**X, allowed_x_handles=("ada",)), "ada"),
        (Search(**X, excluded_x_handles=("ada",)), "ada"),
    ],
    "`country`": [(Search(**WEB, country="DE"), "DE")],
    "`max_results`": [(Search(max_results=17), "17")],
    "`max_turns`": [(Search(max_turns=13), "13")],
    "`image_understanding`": [(Search(image_understanding=True), "image")],
    "`video_understanding`": [(Search(video_understanding=True), "video")],
    "`image_search`": [(Search(**WEB, image_search=True), "image_search")],
    "`safe_search`": [(Search(safe_search=True), "safe_search")],
    "`min_likes`, `min_views`": [(Search(**X, min_likes=19), "19"), (Search(**X, min_views=23), "23")],
    "`rss_links`": [(Search(**FEEDS), "feed.example")],
}
"""For each row of the table a search that wants it, and a word that its field has in the request."""


def how_it_goes_out(wanted: Search, way: str, word: str) -> str:
    """`field` where the request has it as data, `words` where it stands in the instructions, with a note."""
    asked = ChatRequest(model="grok-4.7", messages=(Message("user", "Tram?"),), search=wanted)
    prepared, notes = search.prepare(asked, way)
    plain, _ = search.prepare(ChatRequest(model="grok-4.7", messages=asked.messages, search=Search()), way)
    if prepared.instructions != plain.instructions:
        assert any("best effort" in note for note in notes)
        return "words"
    body = DIALECTS[search.WIRE[way]].build_body(prepared, GATEWAYS["generic"])
    silent = {name: value for name, value in body.items() if name not in ("messages", "input")}
    assert word in json.dumps(silent), f"{wanted} is lost on the way by {way}"
    assert notes == []
    return "field"


def test_the_gateways_table_is_the_list_of_gateways() -> None:
    def named(names: tuple[str, ...]) -> str:
        return ", ".join(f"`{name}`" for name in names)

    header = ("name", "address", "dialects, in order", "ways to search, in order", "default model")
    rows = table(GATEWAYS_PAGE, *header)
    for row, gateway in zip(rows, GATEWAYS.values(), strict=True):
        elsewhere = "this machine" if gateway.own_key else "set it"
        assert row == [
            f"`{gateway.name}`",
            f"`{gateway.base_url}`" if gateway.base_url else elsewhere,
            named(gateway.dialects),
            named(gateway.search_dialects),
            f"`{gateway.default_model}`",
        ]


def test_every_gateway_is_described_below_the_table() -> None:
    described = GATEWAYS_PAGE.split("## ")[0].replace("`", "")
    for gateway in GATEWAYS.values():
        name = gateway.name if gateway.base_url is None and gateway.name != "surgeai" else gateway.title
        assert f"**{name}**" in described or f"{gateway.name} is" in described, gateway.name


def test_the_table_of_filters_is_what_goes_out() -> None:
    rows = table(SEARCH_PAGE, "argument", *(f"`{way}`" for way in WAYS))
    assert [row[0] for row in rows] == list(SAMPLES)
    for name, *cells in rows:
        for way, cell in zip(WAYS, cells, strict=True):
            for wanted, word in SAMPLES[name]:
                assert how_it_goes_out(wanted, way, word) == cell, (name, way)


def test_every_dialect_and_every_way_to_search_can_be_set_and_is_known_where_it_is_used() -> None:
    def choices(name: str) -> list[str]:
        return [word for kind in get_args(Settings.model_fields[name].annotation) for word in get_args(kind)]

    assert sorted(choices("dialect")) == sorted(DIALECTS)
    assert sorted(choices("search_dialect")) == sorted([*WAYS, "none"])
    assert sorted(search.WIRE) == sorted(search._INEXPRESSIBLE) == sorted(WAYS)
    for gateway in GATEWAYS.values():
        assert set(gateway.dialects) <= set(DIALECTS)
        assert set(gateway.search_dialects) <= set(WAYS)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
def test_a_base_url_may_end_in_the_path_of_any_dialect(dialect: Dialect) -> None:
    whole = f"https://a.example/v1{dialect.path}"
    assert endpoint_url(whole, dialect.path) == whole


def test_every_filter_stands_in_the_table() -> None:
    named = set(re.findall(r"`(\w+)`", "".join(SAMPLES)))
    assert named == set(Search.__dataclass_fields__) - {"mode", "sources"}


def test_the_limits_of_schemas_are_those_of_the_code() -> None:
    assert f"{bounds.SCHEMA_CHARACTERS // 1024} KiB and {bounds.SCHEMA_DEPTH} levels" in STRUCTURED_PAGE
    assert f"{bounds.ATTACHED_CHARACTERS:,} characters" in STRUCTURED_PAGE


def test_the_figures_and_the_plot_of_the_performance_page_are_those_of_the_newest_release() -> None:
    known = releases()
    text = performance.PAGE.read_text(encoding="utf-8")
    assert performance.page_of(text, known[-1]) == text, "python -m benchmarks.page writes it"
    assert performance.PLOT.read_text(encoding="utf-8") == performance.plot_of(known)


@pytest.mark.parametrize("block", re.findall(r"```json\n(.*?)```", STRUCTURED_PAGE, re.DOTALL))
def test_the_example_of_structured_output_has_a_schema_that_is_taken(block: str) -> None:
    SchemaCheck.compile(json.loads(block)["schema"])


def prose(page: Path) -> str:
    """The text of a page without blocks and spans of code."""
    text = re.sub(r"^(`{3,}).*?^\1`*$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]+`", "code", text)


def links(page: Path) -> list[str]:
    """Where the links of a page lead inside the project."""
    return re.findall(r"\]\((?!https?://)([^)\s]+)\)", prose(page))


def anchors(page: Path) -> list[str]:
    """The anchors of the headings, as GitHub makes them."""
    text = re.sub(r"^(`{3,}).*?^\1`*$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_to_a_file_of_the_project_and_to_a_heading_that_it_has(page: Path) -> None:
    for target in links(page):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists() and file.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_by_reference_has_its_address_and_every_address_is_used(page: Path) -> None:
    named = set(re.findall(r"\]\[([\w-]+)\]", prose(page)))
    assert set(re.findall(r"^\[([\w-]+)\]: https://\S+$", prose(page), re.MULTILINE)) == named


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page not in seen and page.suffix == ".md":
            seen.add(page)
            found = [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]
            todo += [*found, *(one for folder in found if folder.is_dir() for one in folder.glob("*.md"))]
    assert set(PAGES) <= seen
