"""Metrics over HTTP: which series each thing that happens changes and by how much, on one process and on two;
and who may read them.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from socket import socket

import anyio
import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from grok_mcp import errors
from grok_mcp.messages import Call
from grok_mcp.metrics import Prometheus, Source, text
from grok_mcp.metrics.prometheus import GATES, OUTCOMES
from grok_mcp.pipeline import report_of
from tests.network.fleet_of_callers import Fleet, fleet
from tests.network.scrape import TOKEN, Series, changes, scraped, until
from tests.network.server import UVICORN, environment, in_process, modern, refused, serving
from tests.support.endpoint import Endpoint
from tests.support.ledger import CENT, priced
from tests.support.pace import within
from tests.support.pages import ROOT, table

pytestmark = pytest.mark.anyio

ABOUT = 'gen_ai_operation_name="chat",gen_ai_provider_name="x_ai",gen_ai_request_model="{model}"'


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two processes"])
def measured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(request.param, tmp_path_factory.mktemp("measured")) as made:
        yield made


def operation(tool: str = "ask_grok", error: str = "") -> str:
    labels = f'error_type="{error}",gen_ai_tool_name="{tool}",mcp_method_name="tools/call"'
    return f"mcp_server_operation_duration_seconds_count{{{labels}}}"


def ended(outcome: str, tool: str = "ask_grok", caller: str = "ann") -> str:
    labels = f'caller="{caller}",outcome="{outcome}",tool="{tool}",transport="streamable-http"'
    return f"grok_mcp_calls_total{{{labels}}}"


def refusal(gate: str, tool: str = "ask_grok") -> str:
    return f'grok_mcp_refusals_total{{gate="{gate}",tool="{tool}"}}'


def attempts(error: str = "") -> str:
    return f'grok_mcp_upstream_attempts_total{{error_type="{error}"}}'


def inference(model: str, error: str = "") -> Series:
    labels = f'error_type="{error}",{ABOUT.format(model=model)}'
    return {
        f"gen_ai_client_{name}_duration_seconds_count{{{labels}}}": 1 for name in ("inference", "operation")
    }


def content(model: str) -> Series:
    return {f"gen_ai_client_inference_time_to_first_chunk_seconds_count{{{ABOUT.format(model=model)}}}": 1}


def tokens(model: str, *counts: int) -> Series:
    kinds = ("input_tokens", "output_tokens", "cache_read_input_tokens", "reasoning_output_tokens")
    names = (f"gen_ai_client_inference_usage_{kind}_total{{{ABOUT.format(model=model)}}}" for kind in kinds)
    return dict(zip(names, counts, strict=False))


def cost(model: str, usd: float, caller: str = "ann") -> Series:
    labels = f'caller="{caller}",cost_source="reported",gateway="generic",model="{model}"'
    return {f"grok_mcp_cost_usd_total{{{labels}}}": usd}


LINE = 'grok_mcp_audit_lines_total{result="written"}'


def answered(model: str, *, caller: str = "ann", usd: float = 0.01) -> Series:
    """What an answer changes that comes at the first attempt."""
    used = tokens(model, 10, 5) if usd > 1 else tokens(model, 10, 5, 4, 2)
    times = {**inference(model), **content(model)}
    return {**times, **used, **cost(model, usd, caller), attempts(): 1, LINE: 1}


Act = Callable[[Fleet], Awaitable[object]]


async def beyond_its_budget(fleet: Fleet) -> None:
    await fleet.call("bob", model="dear")
    assert "[budget]" in str(await fleet.call("bob"))


async def beyond_her_quota(fleet: Fleet) -> None:
    await fleet.call("lea")
    assert "[rate_limited]" in str(await fleet.call("lea", prompt="Again"))


async def handed_over(fleet: Fleet) -> None:
    assert "answer_id" in str(await fleet.call(model="held"))
    fleet.release()


ROWS: dict[str, tuple[Act, Series]] = {
    "an answer": (
        lambda fleet: fleet.call(),
        {operation(): 1, ended("stop"): 1, **answered("grok-4.7")},
    ),
    "an answer of a model by its alias, for another caller": (
        lambda fleet: fleet.call("kim", model="grok-4.7-latest"),
        {operation(): 1, ended("stop", caller="kim"): 1, **answered("grok-4.7", caller="kim")},
    ),
    "an answer of a model that nobody knows": (
        lambda fleet: fleet.call(model="brand-new"),
        {operation(): 1, ended("stop"): 1, **answered("other")},
    ),
    "a refused key": (
        lambda fleet: fleet.call(model="refused"),
        {
            operation(error="tool_error"): 1,
            ended("authentication"): 1,
            **inference("other", "authentication"),
            attempts("authentication"): 1,
            LINE: 1,
        },
    ),
    "a second attempt": (
        lambda fleet: fleet.call(model="busy"),
        {operation(): 1, ended("stop"): 1, attempts("overloaded"): 1, **answered("other")},
    ),
    "half an answer": (
        lambda fleet: fleet.call(model="cut"),
        {
            operation(): 1,
            ended("interrupted"): 1,
            **inference("other", "connection"),
            **content("other"),
            attempts("connection"): 1,
            LINE: 1,
        },
    ),
    "a wrong argument": (
        lambda fleet: fleet.call(temperature="hot"),
        {
            operation(error="tool_error"): 1,
            ended("invalid_argument"): 1,
            refusal("arguments"): 1,
            LINE: 1,
        },
    ),
    "a conversation that nobody knows": (
        lambda fleet: fleet.call(conversation_id="conv_" + 22 * "x"),
        {
            operation(error="tool_error"): 1,
            ended("conversation_not_found"): 1,
            refusal("arguments"): 1,
            LINE: 1,
        },
    ),
    "an answer_id that nobody knows": (
        lambda fleet: fleet.call(tool="grok_result", answer_id="ans_" + 22 * "x"),
        {
            operation("grok_result", "tool_error"): 1,
            ended("answer_not_found", "grok_result"): 1,
            refusal("arguments", "grok_result"): 1,
            LINE: 1,
        },
    ),
    "a tool that nobody has": (
        lambda fleet: fleet.call(tool="order_pizza"),
        {
            operation("_OTHER", "-32602"): 1,
            ended("unknown_tool", "other"): 1,
            refusal("arguments", "other"): 1,
            LINE: 1,
        },
    ),
    "a call above the limit": (
        lambda fleet: fleet.call(max_output_tokens=400_000),
        {operation(error="tool_error"): 1, ended("call_limit"): 1, refusal("call_limit"): 1, LINE: 1},
    ),
    "a budget that is spent": (
        beyond_its_budget,
        {
            operation(): 1,
            operation(error="tool_error"): 1,
            ended("stop", caller="bob"): 1,
            ended("budget", caller="bob"): 1,
            refusal("budget"): 1,
            **answered("other", caller="bob", usd=2),
            LINE: 2,
        },
    ),
    "a call that is given up": (
        Fleet.give_up,
        {
            operation(error="cancelled"): 1,
            ended("cancelled"): 1,
            **inference("other", "cancelled"),
            attempts("cancelled"): 1,
            LINE: 1,
        },
    ),
    "a quota that is used up": (
        beyond_her_quota,
        {
            operation(): 1,
            operation(error="tool_error"): 1,
            ended("stop", caller="lea"): 1,
            ended("rate_limited", caller="lea"): 1,
            refusal("quota"): 1,
            **answered("grok-4.7", caller="lea"),
            LINE: 2,
        },
    ),
    "a call that is handed over, and ends": (
        handed_over,
        {
            operation(): 1,
            ended("stop"): 1,
            **inference("other"),
            **content("other"),
            **tokens("other", 10, 5),
            **cost("other", 0.01),
            attempts(): 1,
            LINE: 1,
        },
    ),
    "a model that is not allowed": (
        lambda fleet: fleet.call("max", model="grok-4.7"),
        {
            operation(error="tool_error"): 1,
            ended("permission", caller="max"): 1,
            refusal("permission"): 1,
            LINE: 1,
        },
    ),
}


ON_TWO = list(ROWS)[::5]
"""Rows that are tried on two processes too: what is counted there is the same, and added up."""
PLACES = [*((1, row) for row in ROWS), *((2, row) for row in ON_TWO)]


@pytest.mark.parametrize(
    ("measured", "row"), PLACES, indirect=["measured"], ids=[f"{row}, {number}" for number, row in PLACES]
)
async def test_what_happens_changes_these_series_and_no_others(measured: Fleet, row: str) -> None:
    act, expected = ROWS[row]
    before = measured.last or await anyio.to_thread.run_sync(settled, measured)
    measured.last = {}
    with within(30):
        await act(measured)
    found, last = await anyio.to_thread.run_sync(until, measured.server.url, before, expected)
    assert found == expected
    measured.last = last


def settled(fleet: Fleet) -> Series:
    """The series, once all that went before is in them."""
    before = scraped(fleet.server.url)
    while True:
        time.sleep(0.3)
        after = scraped(fleet.server.url)
        if not changes(before, after):
            return after
        before = after


def now(fleet: Fleet, expected: dict[str, float]) -> dict[str, float]:
    """Gauges, once they are those: processes say how they stand once a second."""
    deadline = time.monotonic() + 10
    while True:
        series = scraped(fleet.server.url)
        found = {name: series[f"grok_mcp_{name}"] for name in expected}
        if found == expected or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


async def test_gauges_say_how_it_stands(measured: Fleet) -> None:
    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(partial(measured.call, "kim", model="held", prompt=f"Question {number}"))
    busy: dict[str, float] = {"answers_running": 3, "places": measured.workers, "processes": measured.workers}
    assert await anyio.to_thread.run_sync(now, measured, busy) == busy
    series = await anyio.to_thread.run_sync(scraped, measured.server.url)
    taken, waiting = series["grok_mcp_places_taken"], series["grok_mcp_calls_waiting"]
    assert 1 <= taken <= measured.workers and taken + waiting == 3
    assert series["grok_mcp_calls_in_flight"] >= 3
    for _ in range(3):  # one place: the next comes when the one before it has ended
        await anyio.to_thread.run_sync(measured.release)
        await anyio.sleep(0.3)
    idle: dict[str, float] = {
        "answers_running": 0,
        "places_taken": 0,
        "calls_waiting": 0,
        "calls_in_flight": 0,
    }
    assert await anyio.to_thread.run_sync(now, measured, idle) == idle
    series = await anyio.to_thread.run_sync(scraped, measured.server.url)
    assert series["grok_mcp_answers_held"] >= 3 and series["grok_mcp_conversations"] > 0


async def test_the_budget_the_loop_and_the_server_are_told(measured: Fleet) -> None:
    await measured.call("bob", model="dear")
    await measured.call("bob")
    await anyio.sleep(0.3)
    series = await anyio.to_thread.run_sync(scraped, measured.server.url)
    assert series['grok_mcp_budget_spent_usd{caller="bob"}'] == pytest.approx(2, abs=0.1)
    asked = series["grok_mcp_budget_used_ratio_count"]
    assert 0 < asked - series['grok_mcp_budget_used_ratio_bucket{le="1.0"}'] < asked
    assert series["grok_mcp_event_loop_lag_seconds_count"] > 0
    assert [name for name in series if name.startswith("grok_mcp_info{")] == [
        'grok_mcp_info{gateway="generic",version="0.1.0"}'
    ]


ATTACKS: dict[str, tuple[str, dict[str, str], int]] = {
    "no token": ("GET", {}, 401),
    "another token": ("GET", {"Authorization": "Bearer not-the-token-of-a-scraper"}, 401),
    "an empty token": ("GET", {"Authorization": "Bearer"}, 401),
    "a part of the token": ("GET", {"Authorization": f"Bearer {TOKEN[:-1]}"}, 401),
    "the token and more": ("GET", {"Authorization": f"Bearer {TOKEN} x"}, 401),
    "the token as a password": ("GET", {"Authorization": f"Basic {TOKEN}"}, 401),
    "the token without a scheme": ("GET", {"Authorization": TOKEN}, 401),
    "as if from this machine": ("GET", {"X-Forwarded-For": "127.0.0.1", "Host": "localhost"}, 401),
    "POST": ("POST", {"Authorization": f"Bearer {TOKEN}"}, 405),
    "DELETE": ("DELETE", {"Authorization": f"Bearer {TOKEN}"}, 405),
    "OPTIONS": ("OPTIONS", {"Origin": "http://evil.example"}, 405),
    "the token": ("GET", {"Authorization": f"Bearer {TOKEN}"}, 200),
    "the token, its scheme in small letters": ("GET", {"Authorization": f"bearer {TOKEN}"}, 200),
    "HEAD": ("HEAD", {"Authorization": f"Bearer {TOKEN}"}, 200),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_only_the_token_of_scrapers_opens_metrics(measured: Fleet, attack: str) -> None:
    method, headers, status = ATTACKS[attack]
    response = httpx2.request(method, f"{measured.server.url}/metrics", headers=headers, timeout=60)
    assert response.status_code == status
    assert ("grok_mcp_calls" in response.text) == (status == 200 and method == "GET")
    assert TOKEN not in response.text


@pytest.mark.parametrize("caller", ["ann", "bob"])
def test_no_token_of_a_caller_opens_metrics_and_that_of_a_scraper_calls_no_tool(
    measured: Fleet, caller: str
) -> None:
    headers = {"Authorization": f"Bearer {measured.tokens[caller]}"}
    assert httpx2.get(f"{measured.server.url}/metrics", headers=headers, timeout=60).status_code == 401
    request = modern(1, "tools/list")
    request["headers"]["Authorization"] = f"Bearer {TOKEN}"
    assert httpx2.post(f"{measured.server.url}/mcp", **request, timeout=60).status_code == 401


async def test_however_many_scrape_the_text_is_made_a_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[float] = []
    make = text.Source._make

    def counted(source: text.Source) -> bytes:
        made.append(time.monotonic())
        return make(source)

    monkeypatch.setattr(text.Source, "_make", counted)
    with in_process(metrics="on", gateway="sandbox") as url:
        async with httpx2.AsyncClient(timeout=30) as http:
            began = time.monotonic()

            async def scrape() -> None:
                for _ in range(10):
                    assert (await http.get(f"{url}/metrics")).status_code == 200

            async with anyio.create_task_group() as group:
                for _ in range(30):
                    group.start_soon(scrape)
            took = time.monotonic() - began
    assert 1 <= len(made) <= 1 + took / text.FRESH_S


LOCAL: dict[str, tuple[dict[str, str], int]] = {
    "from here": ({}, 200),
    "from here, by its name": ({"Host": "localhost:8000"}, 200),
    "by a proxy from elsewhere": ({"X-Forwarded-For": "203.0.113.7"}, 403),
    "by proxies, one of them elsewhere": ({"X-Forwarded-For": "127.0.0.1, 203.0.113.7"}, 403),
    "by a proxy that says so otherwise": ({"Forwarded": "for=203.0.113.7"}, 403),
    "by a third header": ({"X-Real-IP": "203.0.113.7"}, 403),
    "under the name of the public": ({"Host": "grok.example.com"}, 403),
    "a page that has its name lead here": (
        {"Host": "evil.example:8000", "Origin": "http://evil.example:8000"},
        403,
    ),
    "a page of elsewhere": ({"Origin": "http://evil.example"}, 403),
    "a Host that is none": ({"Host": "[::"}, 403),
}


@pytest.fixture(scope="module")
def local() -> Iterator[str]:
    with in_process(metrics="on", gateway="sandbox", insecure_no_auth=True) as url:
        yield url


@pytest.mark.parametrize("way", LOCAL)
def test_without_a_token_metrics_are_for_this_machine_only(local: str, way: str) -> None:
    headers, status = LOCAL[way]
    response = httpx2.get(f"{local}/metrics", headers=headers, timeout=60)
    assert response.status_code == status
    assert ("grok_mcp_calls" in response.text) == (status == 200)


def test_metrics_that_are_off_are_not_there() -> None:
    with in_process(gateway="sandbox") as url:
        assert httpx2.get(f"{url}/metrics", timeout=60).status_code == 404


def test_callers_have_no_label_unless_the_operator_asks_and_a_hundred_at_most() -> None:
    def counted(*, callers: bool) -> str:
        made = Prometheus("xai", ["ask_grok"], ["budget"], None, callers=callers)
        for number in range(200):
            made.call(report_of(Call("ask_grok", f"caller {number}"), "xai", "stop"))
        return Source(made.registry)._make().decode()

    assert "caller" not in re.sub("caller's|caller has", "", counted(callers=False))
    names = re.findall(r'grok_mcp_calls_total\{caller="([^"]*)"', counted(callers=True))
    assert len(
        names
    ) == 101 and 'caller="other",outcome="stop",tool="ask_grok",transport="stdio"} 100.0' in counted(
        callers=True
    )


def free_port() -> int:
    with closing(socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.mark.parametrize(("workers", "form"), [("1", "{port}"), ("2", "localhost:{port}")])
def test_metrics_have_an_address_of_their_own(workers: str, form: str) -> None:
    port = free_port()
    with serving(
        None, "--workers", workers, GROK_MCP_METRICS=form.format(port=port), GROK_MCP_GATEWAY="sandbox"
    ) as server:
        assert httpx2.get(f"{server.url}/metrics", timeout=60).status_code == 404
        until_processes(f"http://127.0.0.1:{port}", float(workers))
        assert httpx2.get(f"http://127.0.0.1:{port}/mcp", timeout=60).status_code == 404
        far = {"X-Forwarded-For": "203.0.113.7"}
        assert httpx2.get(f"http://127.0.0.1:{port}/metrics", headers=far, timeout=60).status_code == 403
    assert server.status() == 0


def until_processes(url: str, number: float) -> Series:
    deadline = time.monotonic() + 20
    series: Series = {}
    while time.monotonic() < deadline:
        with suppress(httpx2.ConnectError):  # a process does not listen yet
            series = scraped(url, None)
        if series.get("grok_mcp_processes") == number:
            return series
        time.sleep(0.1)
    raise AssertionError(series)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
async def test_a_process_that_is_killed_counts_no_more_and_what_it_has_counted_stays() -> None:
    port = free_port()
    async with Endpoint(priced(CENT)) as endpoint:
        await anyio.to_thread.run_sync(kill_one_of_two, endpoint.url, port)


def kill_one_of_two(upstream: str, port: int) -> None:
    with serving(upstream, "--workers", "2", GROK_MCP_METRICS=str(port)) as server:
        url = f"http://127.0.0.1:{port}"
        until_processes(url, 2)
        for _ in range(6):
            ask = modern(1, "tools/call", name="ask_grok", arguments={"prompt": "Hi"})
            assert httpx2.post(f"{server.url}/mcp", **ask, timeout=60).status_code == 200
        name = 'grok_mcp_calls_total{outcome="stop",tool="ask_grok",transport="streamable-http"}'
        assert scraped_until(url, name, 6) == 6
        parent = server.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        workers = [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(int(workers[0]), signal.SIGKILL)
        until_processes(url, 1)
        assert until_processes(url, 2)[name] == 6  # another one in its place


def scraped_until(url: str, name: str, value: float) -> float:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if (found := scraped(url, None).get(name, 0)) == value:
            return found
        time.sleep(0.1)
    return found


REFUSALS: dict[str, tuple[dict[str, str], str]] = {
    "an address that others reach": (
        {"GROK_MCP_METRICS": "0.0.0.0:9464"},
        "GROK_MCP_METRICS: 0.0.0.0 is not a loopback address",
    ),
    "a name that may be anybody's": (
        {"GROK_MCP_METRICS": "metrics.example:9464"},
        "is not a loopback address",
    ),
    "no address": ({"GROK_MCP_METRICS": "everywhere"}, "GROK_MCP_METRICS: must be off, on, a port"),
    "no port": ({"GROK_MCP_METRICS": "127.0.0.1:70000"}, "GROK_MCP_METRICS: must be off, on, a port"),
    "a short token": (
        {"GROK_MCP_METRICS": "on", "GROK_MCP_METRICS_TOKEN": "secret"},
        "GROK_MCP_METRICS_TOKEN: must have 16 to",
    ),
    "a folder that is none": (
        {"GROK_MCP_METRICS": "on", "PROMETHEUS_MULTIPROC_DIR": "/nowhere"},
        "PROMETHEUS_MULTIPROC_DIR is not a folder",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_metrics_that_must_not_be_served_stop_the_start(case: str) -> None:
    variables, said = REFUSALS[case]
    status, lines = refused(GROK_MCP_TRANSPORT="http", GROK_MCP_PORT="0", **variables)
    assert (status, len(lines)) == (2, 1)
    assert said in lines[0] and "secret" not in lines[0]


def test_an_address_that_is_taken_stops_the_start() -> None:
    with closing(socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, lines = refused(GROK_MCP_TRANSPORT="http", GROK_MCP_PORT="0", GROK_MCP_METRICS=str(port))
    assert status == 1 and f"can't listen at 127.0.0.1:{port}" in lines[0]


WITHOUT_CLIENT = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "prometheus_client" else find(name, *more)
from grok_mcp.__main__ import main
main()
"""


def test_without_the_extra_the_start_ends_with_a_line() -> None:
    variables = environment(XAI_API_KEY="x", GROK_MCP_TRANSPORT="http", GROK_MCP_METRICS="on")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_CLIENT, "serve"],
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.strip().endswith(
        "GROK_MCP_METRICS: needs an extra: pip install 'grok-mcp-server[metrics]'"
    )


def test_under_another_server_the_processes_measure_together_in_a_folder_of_the_operator(
    tmp_path: Path,
) -> None:
    variables = {"GROK_MCP_METRICS": "on", "GROK_MCP_GATEWAY": "sandbox"}
    with serving(
        None,
        "--workers",
        "2",
        "--port",
        str(free_port()),
        command=UVICORN,
        PROMETHEUS_MULTIPROC_DIR=str(tmp_path),
        **variables,
    ) as server:
        until_processes(server.url, 2)


WHAT_IS_LOADED = """
import sys
{start}
ours = ("prometheus_client", "grok_mcp.metrics", "grok_mcp.audit")
print([name for name in sys.modules if name.startswith(ours)])
"""
STARTS = {
    "stdio": "import grok_mcp.serving.stdio.run",
    "HTTP": "from grok_mcp.serving.http import app, listen",
}


@pytest.mark.parametrize("transport", STARTS)
def test_a_start_without_metrics_and_audit_loads_nothing_of_them(transport: str) -> None:
    built = "from grok_mcp.pipeline import Grok; from grok_mcp.settings import Settings; Grok(Settings())"
    code = WHAT_IS_LOADED.format(start=f"{STARTS[transport]}; {built}")
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_on_stdio_metrics_are_not_loaded_even_where_they_are_on() -> None:
    variables = environment(GROK_MCP_METRICS="on", GROK_MCP_GATEWAY="sandbox")
    code = WHAT_IS_LOADED.format(start="from grok_mcp.serving import serve; serve()")
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, input="", capture_output=True, text=True, timeout=60
    )
    assert (done.stdout + done.stderr).strip().endswith("[]"), done.stderr


def families(text: str) -> dict[str, tuple[str, set[str]]]:
    """Type and labels of each metric, by the name under which queries find it; `le` belongs to Prometheus."""
    return {
        family.name + ("_total" if family.type == "counter" else ""): (
            family.type,
            {label for sample in family.samples for label in sample.labels} - {"le"},
        )
        for family in text_string_to_metric_families(text)
    }


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, set[str]]]]:
    """What a server says after calls of each kind."""
    with fleet(1, tmp_path_factory.mktemp("exposed")) as made:

        async def calls() -> None:
            for act in ("an answer", "a refused key", "a wrong argument", "a budget that is spent"):
                await ROWS[act][0](made)

        anyio.run(calls)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        text = httpx2.get(f"{made.server.url}/metrics", headers=headers, timeout=60).text
        yield families(text)


def test_the_page_lists_all_metrics_with_their_types_and_labels(
    exposed: dict[str, tuple[str, set[str]]],
) -> None:
    rows = table((ROOT / "docs" / "metrics.md").read_text("utf-8"), "name", "type", "labels", "what")
    listed = {name.strip("`"): (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in rows}
    by_caller = {"grok_mcp_calls_total", "grok_mcp_cost_usd_total"}
    assert listed == {
        name: (kind, labels - {"caller"} if name in by_caller else labels)
        for name, (kind, labels) in exposed.items()
    }


DASHBOARD = json.loads((ROOT / "packaging" / "grafana" / "dashboard.json").read_text("utf-8"))
ALERTS = YAML(typ="safe").load((ROOT / "packaging" / "prometheus" / "alerts.yaml").read_text("utf-8"))
EXPRESSIONS = {
    **{
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
    },
    **{rule["alert"]: rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]},
}
OF_THE_SCRAPE = {"job", "instance", "le"}
SELECTOR = re.compile(r"\b((?:grok_mcp|gen_ai|mcp)_\w+)(?:\{([^}]*)\})?")


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_dashboard_and_alerts_ask_for_what_there_is(
    exposed: dict[str, tuple[str, set[str]]], name: str
) -> None:
    expression = EXPRESSIONS[name]
    grouped = {
        label.strip() for labels in re.findall(r"by \(([^)]*)\)", expression) for label in labels.split(",")
    }
    rest = re.sub(r"by \([^)]*\)", "", expression)
    found = SELECTOR.findall(rest)
    assert found, expression
    for metric, matchers in found:
        kind, labels = exposed[re.sub(r"_(bucket|count|sum)$", "", metric)]
        assert metric.endswith(("_bucket", "_count", "_sum")) == (kind == "histogram"), metric
        matched = set(re.findall(r'(\w+)\s*(?:=~|!=|!~|=)\s*"', matchers))
        assert matched | grouped <= labels | OF_THE_SCRAPE, expression
        assert ("rate(" in rest or "increase(" in rest) == (kind != "gauge"), expression


def test_alerts_match_words_that_there_are() -> None:
    codes = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code")}
    words = {"outcome": codes | OUTCOMES, "error_type": codes, "gate": GATES, "result": {"lost", "written"}}
    for expression in EXPRESSIONS.values():
        for label, values in re.findall(r'(outcome|error_type|gate|result)=~?"([^"]*)"', expression):
            assert set(values.split("|")) <= words[label]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Debian's prometheus is not installed")
def test_promtool_takes_the_alerts_and_each_expression_of_the_dashboard(tmp_path: Path) -> None:
    values = {"$__rate_interval": "5m", "$job": ".*"}
    rules = []
    for number, expression in enumerate(EXPRESSIONS.values()):
        for variable, value in values.items():
            expression = expression.replace(variable, value)
        rules.append({"record": f"checked:{number}", "expr": expression})
    file = tmp_path / "dashboard.yaml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    alerts = ROOT / "packaging" / "prometheus" / "alerts.yaml"
    done = subprocess.run(["promtool", "check", "rules", file, alerts], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_panels_of_the_dashboard_lie_beside_each_other() -> None:
    taken = [(panel["gridPos"], panel["title"]) for panel in DASHBOARD["panels"]]
    places = [(at["x"] + x, at["y"] + y) for at, _ in taken for x in range(at["w"]) for y in range(at["h"])]
    assert len(places) == len(set(places)) and max(x for x, _ in places) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(taken)
