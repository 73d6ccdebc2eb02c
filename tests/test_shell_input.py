"""What a call from a shell reads from stdin, and what it leaves to a loop or a script around it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from tests.support.cli import BOUND_S, environment
from tests.support.endpoint import Endpoint, chat
from tests.support.shell import KEY, grok

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(os.name != "posix", reason="loops of a POSIX shell"),
]

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux shows whose stdin a pipe is")


async def shell(endpoint: Endpoint, script: str, folder: Path) -> "subprocess.CompletedProcess[bytes]":
    """A script of a shell that finds the command as `ask`."""
    ask = folder / "ask"
    ask.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m grok_mcp ask "$@"\n')
    ask.chmod(0o755)
    with anyio.fail_after(BOUND_S):
        return await anyio.run_process(
            ["bash", "-c", script],
            env=environment(
                XAI_BASE_URL=endpoint.url, XAI_API_KEY=KEY, PATH=f"{folder}:{os.environ['PATH']}"
            ),
            stdin=subprocess.DEVNULL,
            cwd=folder,
            check=False,
        )


def asked(endpoint: Endpoint) -> list[str]:
    return [request.body["messages"][-1]["content"] for request in endpoint.requests]


@pytest.mark.parametrize(
    ("script", "prompts"),
    [
        ('while read -r line; do ask "About $line"; done < lines', ["About one", "About two", "About three"]),
        pytest.param(
            'cat lines | while read -r line; do ask "About $line"; done',
            ["About one", "About two", "About three"],
            marks=LINUX,
        ),
        pytest.param('cat lines | (read -r head; ask "First: $head"; true)', ["First: one"], marks=LINUX),
        ("cat lines | ask Review this.", ["Review this.\n\none\ntwo\nthree"]),
        ("ask Review this. < lines", ["Review this."]),
        ("ask Review this. - < lines", ["Review this.\n\none\ntwo\nthree"]),
        ("for i in 1 2; do ask For $i; done < lines", ["For 1", "For 2"]),
        ("ask < lines", ["one\ntwo\nthree"]),
        ("cat lines | (read -r head; ask Rest: -)", ["Rest:\n\ntwo\nthree"]),
        ("cat lines | (ask - Rest)", ["Rest\n\none\ntwo\nthree"]),
        ("cat lines | ask", ["one\ntwo\nthree"]),
        ("ask Nothing. < /dev/null", ["Nothing."]),
        ("(sleep 0.5; echo late) | ask Waits.", ["Waits.\n\nlate"]),
    ],
    ids=[
        *("a loop over a file", "a loop over a pipe", "a script", "a pipe", "a file", "a file and a dash"),
        *("a loop that reads nothing", "a file alone"),
        *("a dash", "a dash first", "no words", "nothing", "a slow pipe"),
    ],
)
async def test_a_call_reads_what_is_piped_to_it_and_leaves_a_loop_its_lines(
    script: str, prompts: list[str], tmp_path: Path
) -> None:
    (tmp_path / "lines").write_text("one\ntwo\nthree\n")
    async with Endpoint(*(chat("Read.") for _ in prompts)) as endpoint:
        done = await shell(endpoint, script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert asked(endpoint) == prompts


async def test_what_is_left_is_told_with_the_way_to_send_it(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("one\ntwo\n")
    async with Endpoint(chat("1."), chat("2.")) as endpoint:
        done = await shell(endpoint, 'while read -r line; do ask "$line"; done < lines', tmp_path)
    told = done.stderr.decode()
    assert told.count("Note: stdin was not read") == 1, "nothing is left for the second call"
    assert "Add - to send it along." in told


async def test_a_pipe_that_says_nothing_holds_nobody_up(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    try:
        async with Endpoint(chat("Read.")) as endpoint:
            with anyio.fail_after(BOUND_S):
                done = await anyio.run_process(
                    [sys.executable, "-m", "grok_mcp", "ask", "x"],
                    env=environment(XAI_BASE_URL=endpoint.url, XAI_API_KEY=KEY),
                    stdin=reading,
                )
        assert asked(endpoint) == ["x"]
        assert b"stdin was not read: nothing came within 10 s." in done.stderr
    finally:
        os.close(reading)
        os.close(writing)


async def test_the_errors_of_a_call_are_data_where_that_is_asked_for() -> None:
    async with Endpoint() as endpoint:
        done = await grok(endpoint, "structured", "x", "--json", "--schema", '{"type": 5}')
    error = json.loads(done.stdout)["error"]
    assert (done.status, error["code"], error["retryable"]) == (2, "invalid_argument", False)
    assert error["message"].startswith("--schema: ")
    assert "[invalid_argument]" in done.stderr


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        (["us"], ["usage"]),
        (["ask", "--conv"], ["--conversation"]),
        (["ask", "--model", "grok-4.7"], ["grok-4.7"]),
        (["serve", "--gateway", "xai"], ["xai", "xai-us"]),
        (["search", "--source", "n"], ["news"]),
        (["install", "claude"], ["claude-code", "claude-desktop"]),
        (["usage", "--by", "g"], ["gateway", "group"]),
    ],
)
async def test_a_shell_completes_commands_flags_and_values(words: list[str], completions: list[str]) -> None:
    async with Endpoint() as endpoint:
        done = await grok(
            endpoint,
            _GROK_MCP_SERVER_COMPLETE="bash_complete",
            COMP_WORDS=" ".join(["grok-mcp-server", *words]),
            COMP_CWORD=str(len(words)),
        )
    assert [line.partition(",")[2] for line in done.stdout.splitlines()] == completions


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
async def test_the_script_for_each_shell_asks_this_command(name: str) -> None:
    async with Endpoint() as endpoint:
        done = await grok(endpoint, "completion", name)
    assert done.status == 0
    assert f"_GROK_MCP_SERVER_COMPLETE={name}_complete" in done.stdout
    assert "grok-mcp-server" in done.stdout
