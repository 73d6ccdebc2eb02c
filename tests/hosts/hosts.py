"""The hosts that are driven: exact versions, how each is started without an account, what it shows.

One record each in `HOSTS`. To measure a new version, change its number here and run `make test-hosts`.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MODEL = "fake-model"
NO_KEY = "no-key-needed"
PROMPT = "Please do as the model says."


@dataclass(frozen=True)
class Given:
    """What a host is set up with; `url` in place of `command` for a server on the network."""

    home: Path
    model_url: str
    command: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    sse: bool = False
    limit_s: int = 60

    def write(self, path: str, content: Any) -> Path:
        """Write a file of the host's home: text, or else JSON."""
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return file

    @property
    def started(self) -> dict[str, Any]:
        """The server as most hosts have it in their files."""
        program, *arguments = self.command
        return {"command": program, "args": arguments, "env": dict(self.variables)}


@dataclass(frozen=True)
class Launch:
    """How the host is started: its arguments and variables, and what has to run before."""

    arguments: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[str] = ()


def _nowhere(given: Given) -> Launch:
    raise NotImplementedError("this host is not driven at a terminal")


@dataclass(frozen=True)
class Host:
    """One host. `content` takes out of what the model got the text that the server wrote."""

    name: str
    package: str
    version: str
    program: str
    launch: Callable[[Given], Launch]
    tool_names: str
    protocol: str
    content: Callable[[str], str]
    error: Callable[[str], str]
    copies: int = 1
    """How often a result with structured content is shown."""
    sends_token: bool = True
    tells_of_its_limit: bool = True
    """Whether the server learns that the host gave up a call."""
    launch_at_terminal: Callable[[Given], Launch] = _nowhere
    """How it is started for a user who types."""


def _claude_servers(given: Given) -> list[str]:
    """The arguments that name our server alone."""
    kind = "sse" if given.sse else "http"
    server = {"type": kind, "url": given.url} if given.url else {"type": "stdio", **given.started}
    servers = {"mcpServers": {"grok": {**server, "timeout": given.limit_s * 1000}}}
    return ["--strict-mcp-config", "--mcp-config", str(given.write("mcp.json", servers))]


def _claude_variables(given: Given) -> dict[str, str]:
    return {
        "ANTHROPIC_BASE_URL": given.model_url,
        "ANTHROPIC_API_KEY": NO_KEY,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


def _claude(given: Given) -> Launch:
    arguments = ["-p", PROMPT, *_claude_servers(given), "--allowedTools", "mcp__grok__*"]
    return Launch(arguments, _claude_variables(given))


def _claude_at_terminal(given: Given) -> Launch:
    """With what it would ask at first: colours, the key, and whether the folder is to be trusted."""
    answers = {
        "hasCompletedOnboarding": True,
        "theme": "dark",
        "customApiKeyResponses": {"approved": [NO_KEY[-20:]], "rejected": []},
        "projects": {str(given.home / "work"): {"hasTrustDialogAccepted": True}},
    }
    given.write(".claude.json", answers)
    given.write(".claude/settings.json", {"permissions": {"allow": ["mcp__grok__*"]}})
    return Launch(_claude_servers(given), _claude_variables(given))


def _codex(given: Given) -> Launch:
    server: dict[str, Any] = {"url": given.url}
    if not given.url:
        server = {"command": given.command[0], "args": list(given.command[1:])}
    settings = {
        "model": MODEL,
        "model_provider": "fake",
        "model_providers.fake.name": "fake",
        "model_providers.fake.base_url": f"{given.model_url}/v1",
        "model_providers.fake.wire_api": "responses",
        "model_providers.fake.env_key": "FAKE_KEY",
        **{f"mcp_servers.grok.{name}": value for name, value in server.items()},
        **{f"mcp_servers.grok.env.{name}": value for name, value in given.variables.items()},
        "mcp_servers.grok.startup_timeout_sec": 60,
        "mcp_servers.grok.tool_timeout_sec": given.limit_s,
    }
    # JSON's strings, lists and numbers are TOML's as well
    given.write(".codex/config.toml", "".join(f"{key} = {json.dumps(settings[key])}\n" for key in settings))
    return Launch(["exec", "--skip-git-repo-check", "--json", PROMPT], {"FAKE_KEY": NO_KEY})


def _gemini(given: Given) -> Launch:
    server = {"httpUrl": given.url} if given.url else given.started
    settings = {
        "mcpServers": {"grok": {**server, "trust": True, "timeout": given.limit_s * 1000}},
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
    }
    given.write(".gemini/settings.json", settings)
    variables = {
        "GEMINI_API_KEY": NO_KEY,
        "GOOGLE_GEMINI_BASE_URL": given.model_url,
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
    }
    # a model that is named spares the question which one suits
    return Launch(["-m", "gemini-2.5-flash", "-p", PROMPT, "--approval-mode", "yolo"], variables)


def _copilot(given: Given) -> Launch:
    server = {"type": "http", "url": given.url} if given.url else {"type": "local", **given.started}
    servers = {"mcpServers": {"grok": {**server, "tools": ["*"], "timeout": given.limit_s * 1000}}}
    given.write(".copilot/mcp-config.json", servers)
    variables = {
        "COPILOT_OFFLINE": "true",
        "COPILOT_PROVIDER_BASE_URL": f"{given.model_url}/v1",
        "COPILOT_PROVIDER_API_KEY": NO_KEY,
        "COPILOT_MODEL": "gpt-5",
    }
    return Launch(["-p", PROMPT, "--allow-all-tools", "--no-auto-update"], variables)


def _cline(given: Given) -> Launch:
    server = {"type": "streamableHttp", "url": given.url} if given.url else {"type": "stdio", **given.started}
    servers = {"mcpServers": {"grok": {**server, "timeout": given.limit_s, "disabled": False}}}
    given.write(".cline/data/settings/cline_mcp_settings.json", servers)
    account = ["auth", "-p", "openai", "-k", NO_KEY, "-m", MODEL, "-b", f"{given.model_url}/v1"]
    arguments = ["--json", "--auto-approve", "true", "-P", "openai-compatible", "-m", MODEL, PROMPT]
    return Launch(arguments, before=account)


def _opencode(given: Given) -> Launch:
    server: dict[str, Any] = {"type": "remote", "url": given.url}
    if not given.url:
        server = {"type": "local", "command": list(given.command), "environment": dict(given.variables)}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{given.model_url}/v1", "apiKey": NO_KEY},
        "models": {MODEL: {}},
    }
    settings = {
        "model": f"fake/{MODEL}",
        "autoupdate": False,
        "share": "disabled",
        "provider": {"fake": provider},
        "mcp": {"grok": {**server, "enabled": True, "timeout": given.limit_s * 1000}},
    }
    given.write(".config/opencode/opencode.json", settings)
    off = ("AUTOUPDATE", "DEFAULT_PLUGINS", "LSP_DOWNLOAD", "MODELS_FETCH")
    return Launch(["run", PROMPT], {f"OPENCODE_DISABLE_{what}": "1" for what in off})


def _as_it_is(received: str) -> str:
    return received


def _between(before: str, behind: str = "") -> Callable[[str], str]:
    """What stands between these two patterns, which have to be there."""

    def content(received: str) -> str:
        found = re.fullmatch(f"{before}(.*?){behind}", received, re.DOTALL)
        assert found, received
        return found[1]

    return content


def _in_the_result(received: str) -> str:
    result = json.loads(received)
    (block,) = result["content"]
    text: str = block["text"]
    return text


def _in_the_error(received: str) -> str:
    """Gemini CLI quotes the call and the whole result, as it has it."""
    quoted = _between(r"MCP tool '\w+' reported tool error for function call: .*? with response: ")(received)
    (part,) = json.loads(quoted)
    return _in_the_result(json.dumps(part["functionResponse"]["response"]))


_FROM_CODEX = _between(r"Wall time: [\d.]+ seconds\nOutput:\n?")
_FROM_GEMINI = _between("<untrusted_context>\n", "\n</untrusted_context>")

HOSTS = {
    host.name: host
    for host in (
        Host(
            "Claude Code",
            "@anthropic-ai/claude-code",
            "2.1.332",
            "claude",
            _claude,
            "mcp__grok__{}",
            "2026-07-28",
            content=_as_it_is,
            error=_as_it_is,
            launch_at_terminal=_claude_at_terminal,
        ),
        Host(
            "Codex",
            "@openai/codex",
            "0.169.0",
            "codex",
            _codex,
            "{}",
            "2025-06-18",
            content=_FROM_CODEX,
            error=_FROM_CODEX,
        ),
        Host(
            "Gemini CLI",
            "@google/gemini-cli",
            "0.61.0",
            "gemini",
            _gemini,
            "mcp_grok_{}",
            "2025-06-18",
            content=_FROM_GEMINI,
            error=_in_the_error,
        ),
        Host(
            "Copilot CLI",
            "@github/copilot",
            "1.0.102",
            "copilot",
            _copilot,
            "grok-{}",
            "2026-07-28",
            content=_as_it_is,
            error=_between("MCP server 'grok': "),
        ),
        Host(
            "Cline",
            "cline",
            "3.0.65",
            "cline",
            _cline,
            "grok__{}",
            "2024-11-05",
            content=_in_the_result,
            error=_in_the_result,
            copies=2,
            sends_token=False,
            tells_of_its_limit=False,
        ),
        Host(
            "opencode",
            "opencode-ai",
            "1.18.33",
            "opencode",
            _opencode,
            "grok_{}",
            "2025-11-25",
            content=_as_it_is,
            error=_as_it_is,
        ),
    )
}
