"""Files in real hosts: which folders they open, and that the endpoint gets what their model did not copy."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.fake_model import Call, FakeModel
from tests.hosts.hosts import Host
from tests.hosts.running import on_stdio, running
from tests.hosts.table import Row
from tests.support.endpoint import Endpoint, chat

pytestmark = [pytest.mark.anyio, pytest.mark.hosts]

KEY = "xai-key-of-the-tests-1234567890"
BUG = "    return total / len([])  # the bug"
TEXT = f"def mean(numbers):\n    total = sum(numbers)\n{BUG}\n" + "\n" * 97
FORMS = {"temperature": 0.5, "max_output_tokens": 400, "options": {"top_p": 0.9, "stop": ["END"]}}
"""A number, an integer, an object with a list."""
REVIEW = Call("ask_grok", {"prompt": "Where is the bug?", "files": ["src/x.py:1-80"], **FORMS})
OPENS = dict.fromkeys(("Claude Code", "Gemini CLI", "opencode"), "its folder")
"""What opens the folder that a host works in; for the others the operator has to say `cwd`."""


async def reviewed(host: Host, home: Path, **settings: str) -> tuple[FakeModel, Endpoint]:
    """A run in a folder with a file that has a bug."""
    file = home / "work" / "src" / "x.py"
    file.parent.mkdir(parents=True)
    file.write_text(TEXT)
    async with Endpoint(chat("In line 3.")) as endpoint, FakeModel(REVIEW) as model:
        variables: dict[str, Any] = {"XAI_API_KEY": KEY, "XAI_BASE_URL": endpoint.url, **settings}
        for _ in range(2):  # one whose first turn did not wait for the server is repeated once
            async with running(host, on_stdio(home, model.url, **variables)) as run:
                await run.end()
                await run.servers_end()
            if model.offered:
                break
    return model, endpoint


async def test_the_endpoint_gets_path_lines_and_text_that_the_model_did_not_copy(
    host: Host, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    row = Row(request.config, host, "stdio", "files")
    opens = OPENS.get(host.name, "`cwd`")
    model, endpoint = await reviewed(host, tmp_path / "as it comes")
    if opens == "`cwd`":
        assert "no folder is open" in model.received[0] and endpoint.requests == []
        model, endpoint = await reviewed(host, tmp_path / "cwd", GROK_MCP_FILE_ROOTS="cwd")
    assert "In line 3." in model.received[0]
    (body,) = [one.body for one in endpoint.requests if one.method == "POST"]
    question = body["messages"][-1]["content"]
    assert (body["temperature"], body["max_tokens"], body["top_p"], body["stop"]) == (0.5, 400, 0.9, ["END"])
    assert "=== src/x.py, lines 1-80 of 100 ===\n1\tdef mean(numbers):\n" in question
    assert f"3\t{BUG}\n" in question and "\n80\t" in question and "\n81\t" not in question
    assert question.endswith("\n\nWhere is the bug?")
    assert str(tmp_path) not in question
    said = [body for body in model.requests if "the bug?" in json.dumps(body)]
    assert said and BUG not in json.dumps(said)
    row(files=opens)
