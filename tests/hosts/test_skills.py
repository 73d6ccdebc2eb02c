"""The skills of the plugin in the real Claude Code: its model sees them, loads one, and calls our tool."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from npm_packages import UnavailableError
from project import ROOT

from grok_mcp.skills import load_skills
from tests.hosts.fake_model import Call, FakeModel
from tests.hosts.hosts import HOSTS, Given, Launch
from tests.hosts.running import installed, on_stdio, running

pytestmark = [pytest.mark.anyio, pytest.mark.hosts]

CLAUDE_CODE = HOSTS["Claude Code"]
PLUGIN = ROOT / "packaging" / "claude-plugin"
ASK = Call("ask_grok", {"prompt": "What is wrong here?", "instructions": "You review a change."})


def with_plugin(given: Given) -> Launch:
    launch = CLAUDE_CODE.launch(given)
    allowed = [f"{one},Skill" if one == "mcp__grok__*" else one for one in launch.arguments]
    return replace(launch, arguments=[*allowed, "--plugin-dir", str(PLUGIN)])


@pytest.mark.parametrize("name", load_skills())
async def test_claude_code_lists_each_skill_of_the_plugin_and_hands_its_text_to_the_model(
    name: str, tmp_path: Path
) -> None:
    try:
        installed(CLAUDE_CODE)
    except UnavailableError as error:
        pytest.fail(f"Claude Code can't be driven: {error}")
    skill = load_skills()[name]
    async with FakeModel(Call("Skill", {"skill": f"grok:{name}"}), ASK) as model:
        given = on_stdio(tmp_path, model.url, GROK_MCP_GATEWAY="sandbox")
        async with running(replace(CLAUDE_CODE, launch=with_plugin), given) as run:
            await run.end()
            await run.servers_end()
    assert len(model.received) == 2, run.printed[-2000:]
    assert f"grok:{name}: {skill.front_matter['description']}" in model.read
    _, _, page = skill.text.split("---\n", 2)
    assert json.dumps(page.strip(), ensure_ascii=False)[1:-1] in model.read
    assert "Sandbox answer: you asked" in model.received[1]
