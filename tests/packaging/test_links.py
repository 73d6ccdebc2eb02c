"""The links that open a host with our server in it, decoded as each host decodes them."""

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from links import links
from project import KEY, ROOT, Project

README = (ROOT / "README.md").read_text(encoding="utf-8")


def parameters(link: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(link).query, strict_parsing=True)


def from_base64(text: str) -> Any:
    return json.loads(base64.b64decode(text, validate=True))


def server(project: Project, key: str, **more: str) -> dict[str, Any]:
    return {**more, "command": "uvx", "args": [project.name], "env": {KEY: key}}


def test_cursor_takes_the_inner_object_in_base64(project: Project) -> None:
    link = links(project)["Cursor"]
    assert link.startswith("https://cursor.com/en/install-mcp?")
    found = parameters(link)
    assert found["name"] == ["grok"]
    assert from_base64(found["config"][0]) == server(project, "${env:XAI_API_KEY}")


def test_vs_code_asks_for_the_key_and_hides_it(project: Project) -> None:
    link = links(project)["VS Code"]
    assert link.startswith("https://vscode.dev/redirect/mcp/install?")
    found = parameters(link)
    (ask,) = json.loads(found["inputs"][0])
    assert (ask["type"], ask["password"]) == ("promptString", True)
    config = json.loads(found["config"][0])
    assert config == server(project, f"${{input:{ask['id']}}}", type="stdio")


def test_lm_studio_takes_the_inner_object_in_base64(project: Project) -> None:
    link = links(project)["LM Studio"]
    assert link.startswith("https://lmstudio.ai/install-mcp?")
    found = parameters(link)
    assert found["name"] == ["grok"]
    assert from_base64(found["config"][0]) == server(project, "xai-your-key-here")


def test_kiro_takes_the_inner_object_as_json(project: Project) -> None:
    link = links(project)["Kiro"]
    assert link.startswith("https://kiro.dev/launch/mcp/add?")
    assert json.loads(parameters(link)["config"][0]) == server(project, "${XAI_API_KEY}")


def test_goose_takes_command_and_arguments_one_by_one(project: Project) -> None:
    link = links(project)["Goose"]
    assert link.startswith("goose://extension?")
    found = parameters(link)
    assert (found["cmd"], found["arg"], found["id"]) == (["uvx"], [project.name], ["grok"])
    assert int(found["timeout"][0]) >= 300
    assert found["env"][0].split("=")[0] == KEY


@pytest.mark.parametrize("host", ["Cursor", "VS Code", "LM Studio", "Kiro", "Goose"])
def test_the_readme_has_the_link(project: Project, host: str) -> None:
    link = links(project)[host]
    assert README.count(link) == 1
    if link.startswith("https:"):
        assert f"[add to {host}]({link})" in README


def test_no_link_breaks_markdown_or_a_browser_s_address_bar(project: Project) -> None:
    for link in links(project).values():
        assert link.isascii() and not set(link) & set(' ()<>"`\\')
        assert len(link) < 2000


def test_no_link_holds_a_key(project: Project) -> None:
    for link in links(project).values():
        assert "xai-" not in link.replace("xai-your-key-here", "")
