"""The commands `ask`, `search` and `structured` as processes, on pipes and on a pseudo-terminal."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import anyio
import pytest

from tests.support.cli import environment
from tests.support.endpoint import Endpoint

BOUND_S = 90
KEY = "xai-shell-test-0815-4711-abcdefghijk"
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost_in_usd_ticks": 12_000_000}


class Done:
    """A command that has ended."""

    def __init__(self, process: "subprocess.CompletedProcess[bytes]") -> None:
        self.status = process.returncode
        self.stdout, self.stderr = process.stdout.decode(), process.stderr.decode()


async def grok(endpoint: Endpoint, *arguments: str, stdin: bytes | None = None, **more: str) -> Done:
    """The command beside an endpoint; stdin is nothing, or a pipe that holds these bytes."""
    ours = {"XAI_BASE_URL": endpoint.url, "XAI_API_KEY": KEY, "GROK_MCP_MAX_RETRIES": "0"}
    with anyio.fail_after(BOUND_S):
        return Done(
            await anyio.run_process(
                [sys.executable, "-m", "grok_mcp", *arguments],
                env=environment(**{**ours, **more}),
                check=False,
                **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}),
            )
        )


class Terminal:
    """A pseudo-terminal that a command runs on."""

    def __init__(self) -> None:
        import pty

        self._master, self._slave = pty.openpty()
        self.shown = b""

    def run(
        self,
        url: str,
        *arguments: str,
        typed: bytes = b"",
        limit: str = "",
        variables: Mapping[str, str] | None = None,
        watch: Callable[[bytes], object] = bool,
        **streams: Any,
    ) -> int:
        """Run the command on it to its end; returns the exit status. `watch` gets what is shown so far."""
        shown = {"TERM": "xterm-256color", "COLUMNS": "80", "PYTHONUTF8": "1", **(variables or {})}
        os.write(self._master, typed)
        process = subprocess.Popen(
            [sys.executable, "-m", "grok_mcp", *arguments],
            env=environment(XAI_BASE_URL=url, XAI_API_KEY=KEY, GROK_MCP_CALL_LIMIT_USD=limit, **shown),
            **(dict.fromkeys(("stdin", "stdout", "stderr"), self._slave) | streams),
        )
        os.close(self._slave)
        for piece in self._pieces():
            self.shown += piece
            watch(self.shown)
        return process.wait(BOUND_S)

    def _pieces(self) -> Iterator[bytes]:
        try:
            while piece := os.read(self._master, 65536):
                yield piece
        except OSError:  # Linux says so when nobody holds the other end any more
            pass
        os.close(self._master)


async def on_terminal(endpoint: Endpoint, *arguments: str, **streams: Any) -> tuple[int, str]:
    terminal = Terminal()
    with anyio.fail_after(BOUND_S):
        status = await anyio.to_thread.run_sync(lambda: terminal.run(endpoint.url, *arguments, **streams))
    return status, terminal.shown.decode(errors="replace").replace("\r\n", "\n")


posix = pytest.mark.skipif(os.name != "posix", reason="there are no pseudo-terminals")
