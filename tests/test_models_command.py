"""`grok-mcp-server models` and docs/models.md: which models there are, so that a person can choose."""

import json
import re
import time
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from dirty_equals import IsPartialDict

from grok_mcp.accounting.records import Entry
from grok_mcp.models import MODELS, MOVING, RETIRED, RETIRED_ON, Model, find_model
from grok_mcp.sandbox import SandboxServer
from grok_mcp.usage import Usage
from tests.network.server import in_process, modern
from tests.support.cli import run
from tests.support.endpoint import Endpoint, Reply, body
from tests.support.host import host_on
from tests.support.ledger import fill
from tests.support.pages import ROOT, table

pytestmark = pytest.mark.anyio

PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
KEY = {"XAI_API_KEY": "xai-test-key-1234567890"}


def call(model: str, duration_s: float, tokens: int | None = 100, **other: Any) -> Entry:
    named = {
        "tool": "ask_grok",
        "caller": "local",
        "gateway": "xai",
        "model_asked": "grok-4.7",
        "at": time.time() - 60,
        "finish_reason": "stop",
        **other,
    }
    return Entry(model=model, usage=Usage(output_tokens=tokens), duration_s=duration_s, **named)


EXAMPLE = [
    *(call("grok-4.7", 2.0), call("grok-4.7-latest", 4.0), call("x-ai/grok-4.7", 50.0)),
    *[call("grok-4.7", 900.0, error="timeout", finish_reason=None)] * 9,
    *[call("grok-4.7", 900.0, finish_reason="interrupted")] * 9,
    *[call("grok-4.7", 900.0, at=time.time() - 31 * 86_400)] * 9,
    *[call("grok-4.7", 900.0, gateway="sandbox")] * 9,
    *[call("grok-4.6", 1.0)] * 2,
    *[call("grok-4.3", 1.5, None)] * 3,
]


def shown(**variables: str) -> Any:
    done = run("models", "--json", **variables)
    assert (done.stderr, done.returncode) == ("", 0)
    return json.loads(done.stdout)


def named(document: Any, name: str) -> Any:
    (entry,) = [entry for entry in document["models"] if entry["id"] == name]
    return entry


def code(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names) or "–"


def context(model: Model) -> str:
    size = model.context_window
    return f"{size // 10**6}M" if size >= 10**6 else f"{size // 1000}k"


def test_without_a_key_the_known_facts_are_shown_and_said_to_be_these() -> None:
    done = run("models")
    assert (done.stderr, done.returncode) == ("", 0)
    assert [line for line in done.stdout.splitlines() if line.startswith("grok-")] == [
        f"{name} (default)" if name == "grok-4.7" else name for name in MODELS
    ]
    assert "These are the facts of this version." in done.stdout and "There is no API key" in done.stdout
    for model in MODELS.values():
        assert f"\n  {model.good_for}\n" in done.stdout
    assert "  2.00 in, 0.30 cached, 6.00 out\n  context 500k\n  effort high, low" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("columns", ["40", "80", "120"])
def test_a_terminal_of_any_width_gets_all_of_it_within_its_width(columns: str) -> None:
    fill(EXAMPLE)
    done = run("models", FORCE_COLOR="1", COLUMNS=columns, TERM="xterm", PYTHONUTF8="1")
    text = re.sub(r"\x1b\[[\d;]*m", "", done.stdout)
    assert text != done.stdout
    assert max(map(len, text.splitlines())) <= int(columns)
    words = set(text.split())
    for model in MODELS.values():
        assert {model.id, *model.good_for.split(), str(model.output_usd), context(model)} <= words
    assert "4.0 s, 25/s" in text


async def test_the_endpoint_s_own_list_is_shown_where_there_is_a_key() -> None:
    listed = {"models": [{"id": "grok-9", "prompt_text_token_price": 30000}, {"id": "grok-4.6"}]}
    async with Endpoint(body(listed)) as endpoint:
        variables = {**KEY, "XAI_BASE_URL": endpoint.url, "GROK_MCP_GATEWAY": "xai"}
        done = await anyio.to_thread.run_sync(lambda: run("models", **variables))
    assert endpoint.requests[0].path == "/v1/language-models"
    assert re.findall(r"^grok-\S+", done.stdout, re.MULTILINE) == ["grok-9", "grok-4.6"]
    assert "grok-9\n  3.00 in, - cached, - out\n  context -\n" in done.stdout
    assert "facts of this version" not in done.stdout


async def test_a_list_that_does_not_come_is_not_waited_for_for_long() -> None:
    async with Endpoint(Reply(end="silent")) as endpoint:
        variables = {**KEY, "XAI_BASE_URL": endpoint.url, "GROK_MCP_GATEWAY": "xai"}
        document = await anyio.to_thread.run_sync(lambda: shown(**variables))
    assert document["source"] == "built-in" and "did not come within 5 s" in document["note"]


def test_speed_is_the_median_of_three_or_more_calls_that_ended_well_lately() -> None:
    fill(EXAMPLE)
    document = shown()
    assert named(document, "grok-4.7")["speed"] == {"calls": 3, "median_s": 4.0, "output_tokens_per_s": 25.0}
    assert named(document, "grok-4.3")["speed"] == {"calls": 3, "median_s": 1.5}
    assert "speed" not in named(document, "grok-4.6")


def test_the_sandbox_has_the_same_models_and_a_speed_of_its_own() -> None:
    fill(EXAMPLE)
    document = shown(GROK_MCP_GATEWAY="sandbox")
    assert document == IsPartialDict(source="endpoint", default_model="grok-4.7")
    known = shown()
    for entry in document["models"]:
        model = named(known, entry["id"])
        model["reasoning_efforts"] = sorted(model.get("reasoning_efforts", ()))
        entry["reasoning_efforts"] = sorted(entry.get("reasoning_efforts", ()))
        for one in (model, entry):
            for name in ("speed", "aliases", "default_reasoning_effort"):
                one.pop(name, None)
        assert entry == model
    assert [entry["id"] for entry in document["models"]] == list(MODELS)
    assert named(shown(GROK_MCP_GATEWAY="sandbox"), "grok-4.7")["speed"]["calls"] == 9


async def test_the_resource_shows_the_same_to_whoever_runs_the_server() -> None:
    fill([*EXAMPLE, *[call("grok-4.5", 8.0, caller="ann")] * 3])
    with SandboxServer(pace=0) as sandbox:
        async with host_on(sandbox.url, gateway="xai") as host:
            (content,) = (await host.client.read_resource("grok://models")).contents
    document = json.loads(getattr(content, "text", ""))
    assert named(document, "grok-4.7") == IsPartialDict(
        good_for=MODELS["grok-4.7"].good_for,
        speed={"calls": 3, "median_s": 4.0, "output_tokens_per_s": 25.0},
    )
    assert named(document, "grok-4.5")["speed"]["calls"] == 3


def test_a_ledger_that_can_t_be_read_hides_only_the_speed(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite3").write_text("no ledger")
    document = shown(GROK_MCP_STATE_DIR=str(tmp_path))
    assert [entry["id"] for entry in document["models"]] == list(MODELS)


def test_wrong_settings_are_one_line_and_status_2() -> None:
    done = run("models", GROK_MCP_TIMEOUT="soon")
    assert (done.returncode, done.stdout) == (2, "")
    assert "GROK_MCP_TIMEOUT" in done.stderr


def test_the_page_s_table_is_the_models() -> None:
    header = ("model", "good for", "input", "cached", "output", "context", "effort, the default first")
    assert table(PAGE, *header) == [
        [
            *(f"`{model.id}`", model.good_for),
            *map(str, (model.input_usd, model.cached_usd, model.output_usd)),
            *(context(model), code(model.efforts)),
        ]
        for model in MODELS.values()
    ]


def test_the_page_names_every_alias_every_moving_name_and_every_retired_id() -> None:
    assert table(PAGE, "model", "its aliases") == [
        [f"`{model.id}`", code(model.aliases)] for model in MODELS.values() if model.aliases
    ]
    assert table(PAGE, "name", "last seen at") == [[f"`{name}`", f"`{id}`"] for name, id in MOVING.items()]
    assert table(PAGE, "retired", "served by") == [
        [code(name for name, served_by in RETIRED.items() if served_by == target), f"`{target}`"]
        for target in dict.fromkeys(RETIRED.values())
    ]
    assert RETIRED_ON in PAGE


def test_the_page_says_which_models_refuse_no_effort() -> None:
    (sentence,) = re.findall(r"`none` is refused by (.*?)\. It", PAGE)
    refusing = [model.id for model in MODELS.values() if model.refused_efforts == ("none",)]
    assert set(re.findall(r"grok-[\d.]+\d", sentence)) == set(refusing)


def test_names_of_models_are_unambiguous() -> None:
    names = [name for model in MODELS.values() for name in (model.id, *model.aliases)]
    assert len(names) == len(set(names)) and not {*RETIRED, *MOVING} & set(names)
    assert all(find_model(name) for name in (*MOVING.values(), *RETIRED.values()))


def test_a_caller_on_the_network_sees_the_speed_of_their_own_calls_only() -> None:
    fill([*EXAMPLE, *[call("grok-4.5", 8.0, caller="ann")] * 3])
    with SandboxServer(pace=0) as sandbox, in_process(XAI_BASE_URL=sandbox.url, gateway="xai") as url:
        request = modern(1, "resources/read", uri="grok://models")
        request["headers"]["Mcp-Name"] = "grok://models"
        result = httpx2.post(f"{url}/mcp", **request).json()["result"]
    document = json.loads(result["contents"][0]["text"])
    assert named(document, "grok-4.7")["speed"]["calls"] == 3
    assert "speed" not in named(document, "grok-4.5")
