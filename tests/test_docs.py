"""The documents can't drift: their tables, examples and versions are compared with the code."""

import json
import os
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from click import Context

import grok_mcp
from grok_mcp import errors
from grok_mcp.cli.main import cli
from grok_mcp.environment import load_settings, variables_of
from grok_mcp.errors import GrokError
from grok_mcp.gateways import GATEWAYS
from grok_mcp.hosts import HOSTS, Verbatim
from grok_mcp.sandbox.faults import read_fault
from grok_mcp.server.prompts import PROMPTS
from grok_mcp.server.resources import RESOURCES
from grok_mcp.settings import Settings
from grok_mcp.skills import load_skills
from grok_mcp.stores import answers as held, conversations
from grok_mcp.tools import TOOLS
from tests.support.pages import PAGES, PROJECT, ROOT, first_cells, setting_variables, table

README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
ERRORS = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
COMMANDS = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
BY_HAND = (ROOT / "docs" / "hosts.md").read_text(encoding="utf-8")
SANDBOX = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
EXAMPLE = json.loads((ROOT / "claude_desktop_config.example.json").read_text(encoding="utf-8"))
DISTRIBUTION = PROJECT["project"]["name"]

DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
MAX_DECISION_LINES = 40

# The name without "-server" belongs to somebody else, whose program would get our users' keys.
STRANGER = re.compile(
    r"(?:uvx|pipx run|pipx install|pip install|uv tool install)(?: -\S+)* grok-mcp(?![-\w])"
    r'|"args":\s*\[\s*"grok-mcp"'
)


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def choices(annotation: Any) -> list[str]:
    """The values of a closed set, also of one that may be None."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [choice for part in get_args(annotation) for choice in choices(part)]


def codes_below(kind: type[GrokError]) -> Iterator[str]:
    yield kind.code
    for below in kind.__subclasses__():
        yield from codes_below(below)


def files_of_the_project() -> Iterator[Path]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [
            name
            for name in folders
            if name in (".ci", ".github", ".claude-plugin")
            or not name.startswith((".", "__pycache__", "dist", "build"))
        ]
        yield from (Path(folder) / name for name in names)


def test_the_settings_table_is_the_settings_model() -> None:
    expected = []
    for name, field in Settings.model_fields.items():
        known = ", ".join(f"`{choice}`" for choice in choices(field.annotation))
        expected.append(
            [
                ", ".join(f"`{variable}`" for variable in variables_of(name)),
                "–" if field.default in (None, ()) else f"`{field.default}`",
                f"{field.description} ({known})" if known else str(field.description),
            ]
        )
    *rows, env_file = table(SETTINGS, "variable", "default", "meaning")
    assert rows == expected
    assert env_file[:2] == ["`GROK_MCP_ENV_FILE`", "–"]


def test_every_variable_that_a_document_names_is_a_setting() -> None:
    known = setting_variables() | {"GROK_MCP_ENV_FILE"}
    for page in PAGES:
        named = set(re.findall(r"\b(?:GROK_MCP|XAI)_[A-Z_]+[A-Z]", page.read_text(encoding="utf-8")))
        assert named <= known, page


def test_the_tools_table_names_every_tool_in_published_order() -> None:
    assert [row[0] for row in table(README, "name", "what for")] == [f"`{name}`" for name in TOOLS]


def test_the_commands_table_is_the_command_line() -> None:
    listed = first_cells(COMMANDS, "command", "what it does")
    assert sorted(listed) == sorted(
        ["grok-mcp-server", *(f"grok-mcp-server {name}" for name in cli.list_commands(Context(cli)))]
    )


def test_the_hosts_table_is_the_list_of_hosts() -> None:
    rows = table(BY_HAND, "host", "its file", "time limit that is set", "key")
    assert [row[0] for row in rows] == [f"`{name}`" for name in HOSTS]
    for (_, files, limits, key), host in zip(rows, HOSTS.values(), strict=True):
        usual = next(one for one in host.files if one.startswith(("{home}", "{config}", "{appdata}")))
        assert usual.rpartition("/")[2] in files
        assert (host.project_file is None) == ("--project" not in files)
        assert host.project_file is None or f"`{host.project_file}`" in files
        set_here = [one for one in host.limits if one.written]
        told = [f"{one.seconds} s for a {one.of.replace(' and ', ' and a ')}" for one in set_here]
        assert limits == (", ".join(told) or "–")
        assert (key == "in the file") == isinstance(host.key, Verbatim)
        assert (key == f"{host.title} asks for it") == host.asks_user


def test_the_gateways_table_is_the_list_of_gateways() -> None:
    rows = table(SETTINGS, "name", "base URL")
    assert [row[0] for row in rows] == [f"`{name}`" for name in GATEWAYS]
    for row, gateway in zip(rows, GATEWAYS.values(), strict=True):
        if gateway.base_url is None:
            assert "://" not in row[1]
        else:
            assert row[1] == f"`{gateway.base_url}`"


def test_every_error_code_stands_in_the_errors_table_once() -> None:
    listed = first_cells(ERRORS, "code", "what it means", "what to do")
    assert sorted(listed) == sorted(set(codes_below(GrokError)))


def kinds_below(kind: type[GrokError], level: int = 0) -> Iterator[str]:
    yield f"{level} {kind.__name__}"
    for below in kind.__subclasses__():
        yield from kinds_below(below, level + 1)


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    drawn = re.findall(r"^    ([│├└─ ]*)(\w+Error)\b", str(errors.__doc__), re.MULTILINE)
    assert sorted(f"{len(branch) // 4} {name}" for branch, name in drawn) == sorted(kinds_below(GrokError))


@pytest.mark.parametrize("name", [*RESOURCES, *PROMPTS, *load_skills()])
def test_every_resource_prompt_and_skill_is_named_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README


def test_the_bounds_of_the_store_are_the_documented_ones() -> None:
    privacy = SECURITY.split("**Your prompts and answers.**")[1].split("**Your files.**")[0]
    assert f"{conversations.MAX_CONVERSATIONS:,}" in privacy
    assert f"{held.MAX_ANSWERS:,}" in privacy
    assert f"{held.MAX_CHARACTERS // 1_000_000} million" in privacy
    assert f"{conversations.MAX_CHARACTERS // 10**6} million characters" in privacy
    assert "for a day" in privacy
    assert conversations.LIFETIME_S == 24 * 3600


def test_every_fault_script_of_the_sandbox_section_is_understood() -> None:
    scripts = [cell.partition("!")[2] for cell in first_cells(SANDBOX, "model", "what happens")]
    assert scripts and all(scripts)
    for script in scripts:
        assert read_fault(script) != read_fault("")


@pytest.mark.parametrize("name", HOSTS)
def test_every_host_has_its_entry_on_the_page_of_hosts(name: str) -> None:
    """What it says is compared with what `install` writes, by `make listings`."""
    section = BY_HAND.split(f"<!-- entry: {name} -->")[1].split("<!-- /entry -->")[0]
    assert DISTRIBUTION in section
    assert set(re.findall(r"\b(?:GROK_MCP|XAI)_[A-Z_]+[A-Z]", section)) <= setting_variables()


def test_the_readme_can_be_read_at_one_go() -> None:
    assert len(README.encode()) <= 11_000


def test_the_example_configuration_starts_a_console_script_of_our_distribution() -> None:
    server = EXAMPLE["mcpServers"]["grok"]
    assert (server["command"], server["args"]) == ("uvx", [DISTRIBUTION])
    assert DISTRIBUTION in PROJECT["project"]["scripts"]


def test_the_example_configuration_sets_variables_that_exist_to_values_that_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment = EXAMPLE["mcpServers"]["grok"]["env"]
    assert set(environment) <= setting_variables()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert load_settings().model in (None, environment.get("GROK_MCP_MODEL"))


def test_the_key_in_the_example_configuration_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in setting_variables():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XAI_API_KEY", EXAMPLE["mcpServers"]["grok"]["env"]["XAI_API_KEY"])
    assert load_settings().key() is None


def test_the_dependency_table_is_the_list_of_dependencies() -> None:
    names = [re.split(r"[<>=!~\[; ]", line)[0] for line in PROJECT["project"]["dependencies"]]
    assert first_cells(ARCHITECTURE, "distribution", "reason") == names


def test_every_room_and_every_flat_module_has_its_line_in_the_architecture() -> None:
    package = ROOT / "grok_mcp"
    modules = {path.stem for path in package.glob("*.py") if path.stem != "__init__"}
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    assert sorted(first_cells(ARCHITECTURE, "flat module", "what it says")) == sorted(modules)
    assert sorted(first_cells(ARCHITECTURE, "room", "what it is for")) == sorted(rooms)


def test_the_newest_version_in_the_changelog_is_the_version_of_the_package() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[([^\]]+)\]", changelog, re.MULTILINE)
    assert versions[0] == grok_mcp.__version__


def test_the_decision_records_are_numbered_without_gaps() -> None:
    assert [int(path.stem[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_record_is_short_and_dated_and_has_the_three_parts(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_DECISION_LINES
    title, empty, date, *_ = text.splitlines()
    assert title.startswith(f"# {int(path.stem[:4])}. ") and not empty
    assert datetime.strptime(date, "Date: %Y-%m-%d")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Choice", "Consequence"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_make_target_that_a_document_names_exists(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)) <= targets


def test_no_file_tells_anyone_to_install_the_stranger_s_package() -> None:
    wrong = " ".join(["uvx", "grok-mcp"])
    assert STRANGER.search(wrong) and STRANGER.search(f"{wrong} --version")
    assert not STRANGER.search(f"{wrong}-server")
    found = [
        path
        for path in files_of_the_project()
        if path.is_file() and STRANGER.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []
