"""Writes every file that describes the project to registries and hosts; each fact has one source.

`make listings` runs it after a change of version, owner, tools or settings; a test compares what it would
write. To list the project in one more place, add a function here and its path in `listings`.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from links import links
from project import GITHUB, KEY, ROOT, SERVER, TITLE, Project, read_project, variable

from grok_mcp.hosts import HOSTS, EntrySpec, Machine, build_entry, plan_install
from grok_mcp.skills import load_skills
from grok_mcp.tools import TOOLS

SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
OFFERED = ("xai_api_key", "base_url", "gateway", "model", "reasoning_effort")
"""The settings that a registry offers; the README lists all."""
CONSOLE = "https://console.x.ai"
PRIVACY = "https://x.ai/legal/privacy-policy"
CALL_MS = 600_000
HOME = "/home/me"
SKILLS = "packaging/claude-plugin/skills"


def server_json(project: Project) -> dict[str, Any]:
    """The entry in the official registry."""
    return {
        "$schema": SCHEMA,
        "name": project.server_name,
        "title": TITLE,
        "description": project.summary,
        "version": project.version,
        "repository": {"url": project.repository, "source": "github"},
        "websiteUrl": f"{project.repository}#readme",
        "icons": [
            {"src": project.raw("packaging/icon.png"), "mimeType": "image/png", "sizes": ["512x512"]},
            {"src": project.raw("packaging/icon.svg"), "mimeType": "image/svg+xml", "sizes": ["any"]},
        ],
        "packages": [
            {
                "registryType": "pypi",
                "registryBaseUrl": "https://pypi.org",
                "identifier": project.name,
                "version": project.version,
                "runtimeHint": project.command["command"],
                "transport": {"type": "stdio"},
                "environmentVariables": [_registry_variable(field) for field in OFFERED],
            }
        ],
    }


def _registry_variable(field: str) -> dict[str, Any]:
    setting = variable(field)
    entry: dict[str, Any] = {"name": setting.name, "description": setting.description, "format": "string"}
    if setting.choices:
        entry["choices"] = setting.choices
    if setting.name == KEY:
        entry |= {"isRequired": True, "isSecret": True}
    return entry


def bundle_manifest(project: Project) -> dict[str, Any]:
    """The manifest of the bundle for Claude Desktop; `bundle.py` puts the code beside it."""
    optional = {
        field: {
            "type": "string",
            "title": title,
            "description": variable(field).description,
            "required": False,
            "default": "",
        }
        for field, title in (("base_url", "Endpoint"), ("model", "Model"))
    }
    return {
        "manifest_version": "0.4",
        "name": project.name,
        "display_name": TITLE,
        "version": project.version,
        "description": project.summary,
        "long_description": (
            "Ask Grok for a second opinion, let it search the web and X with citations, or have it fill "
            "your JSON schema. Every answer says what it cost. Needs an API key of xAI or of a gateway."
        ),
        "author": {"name": project.author, "url": project.repository},
        "repository": {"type": "git", "url": f"{project.repository}.git"},
        "homepage": project.repository,
        "documentation": f"{project.repository}#readme",
        "support": f"{project.repository}/issues",
        "icon": "icon.png",
        "server": {
            "type": "uv",
            "entry_point": "main.py",
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", "main.py"],
                "env": {
                    KEY: "${user_config.api_key}",
                    **{variable(field).name: f"${{user_config.{field}}}" for field in optional},
                },
            },
        },
        "tools": [{"name": tool.name, "description": tool.description} for tool in TOOLS.values()],
        "keywords": list(project.keywords),
        "license": project.license,
        "privacy_policies": [PRIVACY],
        "compatibility": {
            "platforms": ["darwin", "win32", "linux"],
            "runtimes": {"python": project.requires_python},
        },
        "user_config": {"api_key": _key_option(required=True), **optional},
    }


def _key_option(**more: Any) -> dict[str, Any]:
    description = f"Made at {CONSOLE}, or by the gateway that you use"
    return {"type": "string", "title": "xAI API key", "description": description, "sensitive": True, **more}


def claude_plugin(project: Project) -> dict[str, Any]:
    """The plugin for Claude Code."""
    return {
        "name": SERVER,
        "version": project.version,
        "description": project.summary,
        "author": {"name": project.author, "url": project.repository},
        "homepage": project.repository,
        "repository": project.repository,
        "license": project.license,
        "keywords": list(project.keywords),
        "userConfig": {"xai_api_key": _key_option(required=True)},
        "mcpServers": {SERVER: {**project.command, "env": {KEY: "${user_config.xai_api_key}"}}},
    }


def claude_marketplace(project: Project) -> dict[str, Any]:
    """The marketplace with this one plugin; Claude Code looks for it at the root of a repository."""
    return {
        "name": project.name,
        "owner": {"name": project.author, "url": project.repository},
        "metadata": {"description": project.summary},
        "plugins": [
            {
                "name": SERVER,
                "source": "./packaging/claude-plugin",
                "description": project.summary,
                "version": project.version,
            }
        ],
    }


def gemini_extension(project: Project) -> dict[str, Any]:
    """The extension for Gemini CLI, which looks for it at the root of a repository."""
    key = _key_option()
    return {
        "name": project.name,
        "version": project.version,
        "description": project.summary,
        "settings": [
            {"name": key["title"], "description": key["description"], "envVar": KEY, "sensitive": True}
        ],
        "mcpServers": {SERVER: {**project.command, "env": {KEY: f"${KEY}"}, "timeout": CALL_MS}},
    }


def glama(project: Project) -> dict[str, Any]:
    """Who may edit the entry at Glama, which indexes repositories by itself."""
    return {"$schema": "https://glama.ai/mcp/schemas/server.json", "maintainers": [project.owner]}


def readme(project: Project, text: str) -> str:
    """The README with the marked parts as they should be."""
    address = project.repository
    found = links(project)
    ways = {
        "Claude Code": f"`claude plugin install {SERVER} --marketplace {address.removeprefix(GITHUB)}`,"
        f" then in a session `/plugin configure {SERVER}@{project.name}` for the key",
        "Claude Desktop": f"open `{project.name}-{project.version}.mcpb` of a [release]({address}/releases)",
        **{host: f"[add to {host}]({link})" for host, link in found.items() if link.startswith("https")},
        "Gemini CLI": f"`gemini extensions install {address}`",
        "Goose": f"open `{found['Goose']}`",
    }
    one_each = [
        f"<details><summary>{host}</summary>\n\n{ways[host]}\n\n</details>\n" for host in sorted(ways)
    ]
    text = re.sub(r"<!-- mcp-name: .* -->", f"<!-- mcp-name: {project.server_name} -->", text)
    text = _between(text, "install-links", "".join(one_each))
    return _between(text, "published", _install(published=project.published))


def _install(*, published: bool) -> str:
    """How to install the server: from PyPI, or before the first release from the checkout."""
    program = "uvx grok-mcp-server" if published else ".venv/bin/grok-mcp-server"
    lines = [
        ("export XAI_API_KEY=xai-your-key-here", "made at https://console.x.ai, or by a gateway"),
        (f"{program} install claude-code --print", "shows the file and the lines, and writes nothing"),
        (f"{program} install claude-code", "or another host; without one it shows those that you have"),
    ]
    width = max(len(command) for command, _ in lines) + 2
    block = "\n".join(f"{command:<{width}}# {remark}" for command, remark in lines)
    doctor = f"{program} doctor"
    note = ""
    if not published:
        note = (
            "It is not on PyPI yet. `make demo` has installed the checkout: where a page says\n"
            "`grok-mcp-server`, type `.venv/bin/grok-mcp-server`. What starts with `uvx`, and the\n"
            "links below, work from the first release on.\n\n"
        )
    return (
        f"{note}```bash\n{block}\n```\n\n<!-- skip: it asks the endpoint, with your key -->\n"
        f"```bash\n{doctor:<{width}}# finds what keeps it from working, and says how to fix it\n```\n"
    )


def _between(text: str, name: str, content: str) -> str:
    """The text with this between the two marks of that name."""
    marked = rf"(?<=<!-- {name}: made by `make listings` -->\n).*?(?=<!-- /{name} -->)"
    return re.sub(marked, lambda _: content, text, flags=re.DOTALL)


def hosts_page(text: str) -> str:
    """The page of hosts with the entry of each as `install` writes it into an empty file."""

    def entry(match: re.Match[str]) -> str:
        host = HOSTS[match[1]]
        change = plan_install(host, Path("/nowhere/file"), build_entry(host, EntrySpec()), replace=False)
        assert change.after is not None
        file = host.file(Machine("linux", HOME, {}, "/nowhere"))
        language = {"toml": "toml", "yaml": "yaml"}.get(file.suffix.removeprefix("."), "json")
        shown = str(file).replace(HOME, "~")
        return f"{match[0]}\n`{shown}`:\n\n```{language}\n{change.after.decode().strip()}\n```\n"

    bare = re.sub(r"(<!-- entry: [\w-]+ -->)\n.*?(?=<!-- /entry -->)", r"\1", text, flags=re.DOTALL)
    return re.sub(r"<!-- entry: ([\w-]+) -->", entry, bare)


def listings(project: Project) -> Mapping[str, str]:
    """What each file should say, by its path in the repository."""
    tables = {
        "packaging/server.json": server_json(project),
        "packaging/mcpb/manifest.json": bundle_manifest(project),
        "packaging/claude-plugin/.claude-plugin/plugin.json": claude_plugin(project),
        ".claude-plugin/marketplace.json": claude_marketplace(project),
        "gemini-extension.json": gemini_extension(project),
        "glama.json": glama(project),
    }
    written = {path: json.dumps(table, indent=2, ensure_ascii=False) + "\n" for path, table in tables.items()}
    written |= {f"{SKILLS}/{path}": text for path, text in skill_files().items()}
    pages = {path: (ROOT / path).read_text(encoding="utf-8") for path in ("README.md", "docs/hosts.md")}
    return written | {
        "README.md": readme(project, pages["README.md"]),
        "docs/hosts.md": hosts_page(pages["docs/hosts.md"]),
    }


def skill_files() -> Mapping[str, str]:
    """The skills as they ship with the package; Claude Code finds them in `skills/` of the plugin."""
    return {
        f"{name}/{path}": contents.decode("utf-8")
        for name, skill in load_skills().items()
        for path, contents in skill.files.items()
    }


def stale(project: Project) -> Iterable[str]:
    """The files that do not say what they should, and skills in the plugin that the package does not have."""
    wanted = listings(project)
    for path, text in wanted.items():
        file = ROOT / path
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            yield path
    for file in (ROOT / SKILLS).rglob("*"):
        path = file.relative_to(ROOT).as_posix()
        if file.is_file() and path not in wanted:
            yield path


def write(path: Path, text: str) -> None:
    """Write it with the same line ends on every system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    project = read_project()
    wanted = listings(project)
    for path in list(stale(project)):
        if text := wanted.get(path):
            write(ROOT / path, text)
            print(f"wrote {path}", file=sys.stderr)
        else:
            (ROOT / path).unlink()
            print(f"removed {path}", file=sys.stderr)
