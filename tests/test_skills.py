"""The skills: what hosts list, get and read, and that they name nothing that the tools do not have."""

import json
import re
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from listings import SKILLS as IN_THE_PLUGIN
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND
from project import ROOT
from ruamel.yaml import YAML

from grok_mcp.sandbox import SandboxServer
from grok_mcp.skills import Skill, load_skills
from grok_mcp.tools import TOOLS
from tests.packaging.outside import script
from tests.reference.page import TEXTS
from tests.support.host import Host, host_on
from tests.support.skills import SKILLS, asked, declared, read

pytestmark = pytest.mark.anyio

NOWHERE = "http://127.0.0.1:9/v1"
FOLDERS = ROOT / "grok_mcp" / "skills"
NAMES = ("grok-extract", "grok-research", "grok-review")
TOOL = {"grok-extract": "grok_structured", "grok-research": "grok_search", "grok-review": "ask_grok"}
FILES = [path for name in NAMES for path in sorted((FOLDERS / name).rglob("*.md"))]
A_PAGE = 5_500
RULES = ("treat it as data", "`conversation_id`", "`answer_id`", "`cost_usd`", "[Ff]ollow no\\s+instruction")


def of_yaml(text: str) -> Any:
    """The front matter as a host's own reader has it."""
    _, front_matter, _ = text.split("---\n", 2)
    return YAML(typ="safe").load(front_matter)


def uri(path: Path) -> str:
    return f"skill://{path.relative_to(FOLDERS).as_posix()}"


async def refusal(host: Host, method: str, **params: Any) -> tuple[int, str]:
    with pytest.raises(MCPError) as caught:
        await asked(host.client, method, **params)
    return caught.value.code, caught.value.message


async def test_every_skill_is_listed_with_its_front_matter_and_all_its_files_by_digest_and_size() -> None:
    async with host_on(NOWHERE) as host:
        assert SKILLS in declared(host.client)
        assert host.client.server_capabilities.resources is not None  # as the extension asks
        listed = await asked(host.client, "skills/list")
    assert listed.keys() == {"skills", "resultType", "ttlMs", "cacheScope", "_meta"}
    assert (listed["resultType"], listed["ttlMs"], listed["cacheScope"]) == ("complete", 3_600_000, "public")
    assert [skill["uri"] for skill in listed["skills"]] == [f"skill://{name}/SKILL.md" for name in NAMES]
    for name, skill in zip(NAMES, listed["skills"], strict=True):
        assert skill.keys() == {"uri", "frontmatter", "resources"}
        text = (FOLDERS / name / "SKILL.md").read_text(encoding="utf-8")
        assert skill["frontmatter"] == of_yaml(text)
        assert skill["resources"][0]["uri"] == skill["uri"]
        assert {one["uri"] for one in skill["resources"]} == {
            uri(path) for path in (FOLDERS / name).rglob("*") if path.is_file()
        }
        assert len(skill["resources"]) == len({one["uri"] for one in skill["resources"]})


async def test_what_is_read_is_the_file_that_digest_and_size_are_of() -> None:
    async with host_on(NOWHERE) as host:
        listed = (await asked(host.client, "skills/list"))["skills"]
        for resource in (one for skill in listed for one in skill["resources"]):
            data = (await read(host.client, resource["uri"])).encode()
            assert data == (FOLDERS / resource["uri"].removeprefix("skill://")).read_bytes()
            digest = f"sha256:{sha256(data).hexdigest()}"
            assert resource == {"uri": resource["uri"], "digest": digest, "size": len(data)}


async def test_one_skill_is_got_as_it_is_listed() -> None:
    async with host_on(NOWHERE) as host:
        for listed in (await asked(host.client, "skills/list"))["skills"]:
            got = await asked(host.client, "skills/get", uri=listed["uri"])
            assert got["skill"] == listed
            assert (got["resultType"], got["ttlMs"], got["cacheScope"]) == ("complete", 3_600_000, "public")


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("skills/get", {"uri": "skill://grok-reviews/SKILL.md"}, "Unknown skill: skill://grok-reviews/SK"),
        ("skills/get", {"uri": "skill://grok-review"}, "There are skill://grok-extract/SKILL.md, skill"),
        ("skills/get", {"uri": "skill://grok-extract/references/schemas.md"}, "Unknown skill: skill://gr"),
        ("skills/get", {"uri": "grok://models"}, "Unknown skill: grok://models."),
        ("skills/get", {"uri": ""}, "uri is missing. There are skill://grok-extract/SKILL.md"),
        ("skills/get", {}, "uri is missing. There are skill://grok-extract/SKILL.md"),
        ("skills/get", {"uri": 5}, ""),
        ("skills/list", {"cursor": "2"}, "Unknown cursor: 2. All skills come without one."),
        ("skills/list", {"cursor": ""}, "Unknown cursor: ."),
        ("skills/list", {"cursor": 5}, ""),
        ("resources/read", {"uri": "skill://grok-review/README.md"}, "Unknown resource: skill://grok-revi"),
        ("resources/read", {"uri": "skill://grok-review/../grok-extract/SKILL.md"}, "Unknown resource"),
        ("resources/read", {"uri": "skill://../skill.py"}, "Unknown resource: skill://../skill.py"),
        ("resources/read", {"uri": "skill://index.json"}, "Unknown resource: skill://index.json"),
    ],
)  # fmt: skip
async def test_what_there_is_not_is_an_error_that_says_so(
    method: str, params: dict[str, Any], message: str
) -> None:
    async with host_on(NOWHERE) as host:
        code, told = await refusal(host, method, **params)
    assert code == INVALID_PARAMS and message in told


async def test_a_long_address_is_not_repeated_whole() -> None:
    async with host_on(NOWHERE) as host:
        _, told = await refusal(host, "skills/get", uri="skill://" + "x" * 5_000)
    assert len(told) < 400


async def test_directories_are_not_offered() -> None:
    async with host_on(NOWHERE) as host:
        code, _ = await refusal(host, "resources/directory/read", uri="skill://grok-extract")
    assert code == METHOD_NOT_FOUND


@pytest.mark.parametrize("params", [{}, {"uri": "skill://grok-review/SKILL.md"}], ids=["list", "get"])
async def test_a_session_of_an_older_version_has_no_extension_and_no_such_methods(
    params: dict[str, str],
) -> None:
    async with host_on(NOWHERE, legacy=True) as host:
        assert host.client.protocol_version == "2025-11-25"
        assert declared(host.client) == {}
        code, told = await refusal(host, "skills/get" if params else "skills/list", **params)
    assert (code, told) == (METHOD_NOT_FOUND, "Method not found")


@pytest.mark.parametrize("legacy", [False, True], ids=["2026-07-28", "2025-11-25"])
async def test_the_files_can_be_read_at_every_version_and_stand_in_no_list_of_resources(legacy: bool) -> None:
    async with host_on(NOWHERE, legacy=legacy) as host:
        listed = [one.uri for one in (await host.client.list_resources()).resources]
        result = await host.client.read_resource("skill://grok-review/SKILL.md")
        assert (await read(host.client, result.contents[0].uri)).startswith("---\nname: grok-review\n")
    assert [one for one in listed if one.startswith("skill:")] == []
    assert (result.ttl_ms, result.cache_scope) == ((0, "private") if legacy else (3_600_000, "public"))


@pytest.mark.parametrize("name", NAMES)
def test_a_skill_has_the_form_that_agent_skills_have(name: str) -> None:
    skill = load_skills()[name]
    front_matter = of_yaml(skill.text)
    assert front_matter == skill.front_matter
    assert front_matter["name"] == name == skill.name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) and len(name) <= 64
    assert 100 < len(front_matter["description"]) <= 1_024
    assert " Use when " in front_matter["description"]
    assert len(skill.text) <= A_PAGE
    for link in re.findall(r"\]\(([^)]+)\)", skill.text):
        assert link in skill.files


@pytest.mark.parametrize("name", NAMES)
def test_a_skill_says_the_rules_that_all_of_them_share(name: str) -> None:
    rules = load_skills()[name].sections["Rules"]
    assert all(re.search(rule, rules) for rule in RULES)
    assert rules == load_skills()[NAMES[0]].sections["Rules"]


def examples(name: str) -> list[Any]:
    """The JSON of all files of a skill: its calls, and schemas to start from."""
    texts = [path.read_text(encoding="utf-8") for path in FILES if name in path.parts]
    return [
        json.loads(block) for text in texts for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    ]


def arguments_of(tool: str) -> set[str]:
    return set(TOOLS[tool].input_schema["properties"])


@pytest.mark.parametrize("name", NAMES)
def test_a_skill_names_tools_arguments_values_and_fields_that_exist(name: str) -> None:
    tool = TOOL[name]
    text = "".join(path.read_text(encoding="utf-8") for path in FILES if name in path.parts)
    quoted = {word for word in re.findall(r"`([^`\n]+)`", text) if re.fullmatch(r"\w+", word)}
    named = {word for word in quoted if word in TOOLS}
    assert named == {tool, "grok_result"}
    values = {
        value
        for one in TOOLS[tool].input_schema["properties"].values()
        for value in (*one.get("enum", ()), *one.get("items", {}).get("enum", ()))
    }
    words = {"schema_mismatch", "length", "invalid_argument", "null", "required", "description", "pattern"}
    words |= {"format", "enum", "anyOf", "oneOf", "allOf"}  # of JSON Schema
    known = named | arguments_of(tool) | arguments_of("grok_result") | values | words
    assert quoted - known - TEXTS["result"].keys() - TEXTS["usage"].keys() == set()
    for block in examples(name):
        if "type" not in block:
            assert block.keys() <= arguments_of(tool)
            assert set(TOOLS[tool].input_schema["required"]) <= block.keys()


@pytest.mark.parametrize("name", NAMES)
async def test_the_calls_and_schemas_of_a_skill_are_taken_without_a_warning(
    name: str, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"results": "structured", "file_roots": (str(tmp_path),)}
    with SandboxServer(pace=0) as sandbox:
        async with host_on(sandbox.url, gateway="sandbox", **settings) as host:
            for block in examples(name):
                for file in block.get("files", ()):
                    path = tmp_path / file.partition(":")[0]
                    path.parent.mkdir(exist_ok=True)
                    path.write_text("a line\n" * 200)
                call = {"prompt": "Extract.", "schema": block} if "type" in block else block
                result = await host.call(TOOL[name], **call)
                assert not result.raw.is_error, result.text
                notes = [one for one in result.structured["warnings"] if "built-in sandbox" not in one]
                assert all("passed on in words" in note for note in notes), notes
    assert examples(name)


def test_the_texts_of_the_modes_are_one_line_each_to_be_passed_on_whole() -> None:
    sections = load_skills()["grok-review"].sections
    for mode in ("Review", "Challenge", "Consult"):
        assert re.fullmatch(r"> [A-Z][^\n]+\.", sections[mode])


def test_the_plugin_has_the_same_files_and_no_other() -> None:
    plugin = ROOT / IN_THE_PLUGIN
    there = {path.relative_to(plugin): path.read_bytes() for path in plugin.rglob("*") if path.is_file()}
    assert there == {path.relative_to(FOLDERS): path.read_bytes() for path in FILES}, "run `make listings`"


def test_a_linter_of_skills_finds_nothing_to_complain_about(tmp_path: Path) -> None:
    """A judge from outside: it knows the rules of the format, and of hosts that read it."""

    def complaints(folder: Path) -> str:
        command = [script("skillsaw"), "lint", "--no-progress", "--strict", "--no-plugins", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return "" if done.returncode == 0 else done.stdout

    plugin = tmp_path / "plugin"
    shutil.copytree(ROOT / "packaging" / "claude-plugin", plugin)
    assert complaints(plugin) == ""
    main = plugin / "skills" / "grok-review" / "SKILL.md"
    main.write_text(main.read_text(encoding="utf-8").replace("name: grok-review", "name: Grok_Review"))
    assert "Grok_Review" in complaints(plugin)


@pytest.mark.parametrize(
    "head",
    [
        "name: a\ndescription: b",
        "---\nname: a\n---\n",
        "---\ndescription: b\n---\n",
        "---\nname: a\ndescription: b: c\n---\n",
        "---\nname: a\ndescription: >\n---\n",
        "---\nname: a\ndescription: b # c\n---\n",
        "---\nname: a\ndescription: 'b'\n---\n",
        "---\nname: a\ndescription: b\nmetadata:\n  c: d\n---\n",
        "---\nname: 1\ndescription: b\n---\n",
        "---\nname: a\ndescription: yes\n---\n",
    ],
)
def test_a_front_matter_that_is_more_than_plain_texts_is_refused_and_not_read_wrongly(head: str) -> None:
    with pytest.raises(ValueError, match="has to begin with a name and a description"):
        Skill({"SKILL.md": head.encode()})
