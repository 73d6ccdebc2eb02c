"""The page, section by section. What can be read from the code is; the words for it stand in `texts.toml`."""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mcp_types import Prompt, Resource, Tool
from pydantic import BaseModel

from grok_mcp.sandbox import SandboxServer
from grok_mcp.tools import TOOLS
from grok_mcp.tools.arguments import SamplingOptions
from grok_mcp.tools.search import SearchOptions
from tests.support.host import Host, host_on
from tests.support.skills import asked

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "tools.md"
TEXTS: dict[str, Any] = tomllib.loads(Path(__file__).with_name("texts.toml").read_text(encoding="utf-8"))

ERRORS_HEADER = "| code | what it means | what to do |"
SECTIONS: dict[str, str] = TEXTS["sections"]


async def page() -> str:
    """The whole page as the code has it now."""
    with SandboxServer(pace=0) as sandbox:
        async with host_on(sandbox.url, gateway="sandbox") as host:
            tools = (await host.client.list_tools()).tools
            sections = [SECTIONS["head"], SECTIONS["reading"]]
            sections += [await _tool(tool, host) for tool in tools]
            sections += [SECTIONS["files"], _options(), _results(), _errors()]
            sections.append(_prompts((await host.client.list_prompts()).prompts))
            sections.append(_skills((await asked(host.client, "skills/list"))["skills"]))
            sections.append(SECTIONS["tasks"])
            sections.append(_resources((await host.client.list_resources()).resources))
    return "\n".join(sections)


async def _tool(tool: Tool, host: Host) -> str:
    texts = TEXTS["tools"][tool.name]
    lines = [f"## `{tool.name}`", "", str(tool.description), "", texts["about"], ""]
    model = TOOLS[tool.name].arguments
    properties = model.model_json_schema(by_alias=True)["properties"]
    required = tool.input_schema["required"]
    rows = []
    for name, published in tool.input_schema["properties"].items():
        kind = _kind(published, properties[name])
        default = "required" if name in required else _default(properties[name])
        rows.append((f"`{name}`", kind, default, meaning(tool.name, name)))
    lines += _table(("argument", "type", "default", "meaning"), rows)
    for example in texts.get("examples", []):
        result = await host.call(tool.name, **example["call"])
        assert not result.raw.is_error, result.text
        members = [
            f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"
            for name, value in example["call"].items()
        ]
        call = "{\n" + ",\n".join(members) + "\n}"
        answer = steady(result.text).rstrip()
        fence = "````" if "```" in answer else "```"
        lines += ["", f"{example['title']}:", "", "```json", call, "```", ""]
        lines += [f"{fence}{'json' if answer.startswith('{') else 'text'}", answer, fence]
    return "\n".join(lines) + "\n"


def meaning(tool: str, argument: str) -> str:
    """What is written about one argument; KeyError where nothing is."""
    own = TEXTS["tools"][tool]["arguments"]
    return str(own[argument] if argument in own else TEXTS["common"][argument])


def _kind(published: Mapping[str, Any], derived: Mapping[str, Any]) -> str:
    """A type with its values and bounds, which the published schema may leave out."""
    items = published.get("items", {})
    kind = f"{items['type']}[]" if items else str(published["type"])
    values = published.get("enum") or items.get("enum")
    bounds = _bounds(derived)
    return kind + (f": {', '.join(f'`{value}`' for value in values)}" if values else "") + bounds


def _bounds(schema: Mapping[str, Any]) -> str:
    for one in (schema, *schema.get("anyOf", ())):
        low, high = one.get("minimum"), one.get("maximum")
        if low is not None and high is not None:
            return f", {low} to {high}"
        if low is not None:
            return f", at least {low}"
    return ""


def _default(schema: Mapping[str, Any]) -> str:
    value = schema.get("default")
    if value in (None, "", []) or isinstance(value, dict):
        return "–"
    if isinstance(value, list):
        return ", ".join(f"`{one}`" for one in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _options() -> str:
    lines = [SECTIONS["options"]]
    own = [name for name in SearchOptions.model_fields if name not in SamplingOptions.model_fields]
    for model, names in ((SamplingOptions, list(SamplingOptions.model_fields)), (SearchOptions, own)):
        lines += [*_table(("option", "type", "meaning"), _option_rows(model, names)), ""]
    return "\n".join(lines)


def _option_rows(model: type[BaseModel], names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    properties = model.model_json_schema()["properties"]
    for name in names:
        (kind,) = (one for one in properties[name]["anyOf"] if one != {"type": "null"})
        yield f"`{name}`", _kind(kind, properties[name]), TEXTS["options"][name]


def _results() -> str:
    fields = _table(("field", "what it is"), ((f"`{name}`", text) for name, text in TEXTS["result"].items()))
    usage = _table(("usage", "what it is"), ((f"`{name}`", text) for name, text in TEXTS["usage"].items()))
    return "\n".join([SECTIONS["results"], *fields, "", *usage, ""])


def _errors() -> str:
    """The table of the page of errors, which names every code."""
    readme = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    rows = readme.split(ERRORS_HEADER)[1].split("\n\n")[0]
    return "\n".join([SECTIONS["errors"], ERRORS_HEADER + rows, ""])


def _prompts(prompts: Iterable[Prompt]) -> str:
    lines = [SECTIONS["prompts"]]
    for prompt in prompts:
        arguments = prompt.arguments or []
        lines += [f"### `{prompt.name}`", "", str(prompt.description), ""]
        rows = [
            (f"`{one.name}`", "required" if one.required else "–", str(one.description)) for one in arguments
        ]
        lines += [*_table(("argument", "default", "meaning"), rows), ""]
    return "\n".join(lines)


def _skills(skills: Iterable[Mapping[str, Any]]) -> str:
    rows = [(f"`{one['uri']}`", one["frontmatter"]["description"]) for one in skills]
    return "\n".join([SECTIONS["skills"], *_table(("address", "what it is for, and when"), rows), ""])


def _resources(resources: Iterable[Resource]) -> str:
    rows = [(f"`{one.uri}`", str(one.title), str(one.description)) for one in resources]
    return "\n".join([SECTIONS["resources"], *_table(("address", "title", "what it holds"), rows), ""])


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    columns = list(header)
    lines = [f"| {' | '.join(row)} |" for row in (columns, *rows)]
    return [lines[0], "|" + "---|" * len(columns), *lines[1:]]


_DIFFERENT = (
    (r"\bconv_[\w-]+", "conv_…"),
    (r"\bcall_[0-9a-f]+", "call_…"),
    (r"\b\d+\.\d s\b", "… s"),
    (r'("(?:duration_s|time_to_first_token_s)"):[\d.]+', r"\1:…"),
    # A search is told which day it is, whose name is longer or shorter.
    (r"\b\d[\d,]* in (?:\([\d,]+ cached\) )?\+", "… in +"),
    (r'("(?:input_tokens|total_tokens|cost_usd)"):[\d.]+', r"\1:…"),
    (r"\b\d+\.\d{6} USD", "… USD"),
)


def steady(answer: str) -> str:
    """An answer without what differs from call to call, or from day to day."""
    for pattern, shown in _DIFFERENT:
        answer = re.sub(pattern, shown, answer)
    return answer
