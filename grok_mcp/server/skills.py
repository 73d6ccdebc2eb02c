"""The extension `io.modelcontextprotocol/skills` (SEP-2640): skills as hosts list and read them.

Its two methods exist since 2026-07-28 only. The files can be read at every version, as resources that no list
names: hosts put what `resources/list` has before a user or a model, and skills have a list of their own.
"""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    PaginatedRequestParams,
    ReadResourceResult,
    RequestParams,
    TextResourceContents,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from grok_mcp.redaction import quote
from grok_mcp.server.connection import Context
from grok_mcp.skills import MAIN, Skill, load_skills

SKILLS_EXTENSION = "io.modelcontextprotocol/skills"
TTL_MS = 3_600_000
_FRESH: Mapping[str, Any] = {"resultType": "complete", "ttlMs": TTL_MS, "cacheScope": "public"}
"""What the protocol asks of results that may be kept; the SDK fills it in for its own methods alone."""


class GetSkillRequestParams(RequestParams):
    """The parameters of `skills/get`; one without `uri` is answered with what is missing."""

    uri: str = ""


async def list_skills(ctx: Context, params: PaginatedRequestParams) -> dict[str, Any]:
    """Answer `skills/list`, with all skills on one page."""
    _require_modern(ctx)
    if params.cursor is not None:
        raise _refusal(f"Unknown cursor: {quote(params.cursor, limit=80)}. All skills come without one.")
    return {**_FRESH, "skills": list(_entries().values())}


async def get_skill(ctx: Context, params: GetSkillRequestParams) -> dict[str, Any]:
    """Answer `skills/get`."""
    _require_modern(ctx)
    entry = _entries().get(params.uri)
    if entry is None:
        what = f"Unknown skill: {quote(params.uri, limit=80)}." if params.uri else "uri is missing."
        raise _refusal(f"{what} There are {', '.join(_entries())}.")
    return {**_FRESH, "skill": entry}


def read_skill_file(uri: str) -> ReadResourceResult | None:
    """The file of a skill at this address, None where there is none."""
    contents = _files().get(uri)
    if contents is None:
        return None
    text = TextResourceContents(uri=uri, mime_type="text/markdown", text=contents.decode("utf-8"))
    return ReadResourceResult(contents=[text], ttl_ms=TTL_MS, cache_scope="public")


def _require_modern(ctx: Context) -> None:
    """Refuse as the SDK refuses a method that a version does not have."""
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        raise MCPError(code=METHOD_NOT_FOUND, message="Method not found", data=ctx.method)


def _refusal(message: str) -> MCPError:
    return MCPError(code=INVALID_PARAMS, message=message)


@cache
def _entries() -> Mapping[str, Mapping[str, Any]]:
    """Address of the `SKILL.md` → what hosts are told of the skill."""
    return {_uri(skill, MAIN): _entry(skill) for skill in load_skills().values()}


def _entry(skill: Skill) -> Mapping[str, Any]:
    resources = [
        {
            "uri": _uri(skill, path),
            "digest": f"sha256:{sha256(contents).hexdigest()}",
            "size": len(contents),
        }
        for path, contents in skill.files.items()
    ]
    return {"uri": _uri(skill, MAIN), "frontmatter": skill.front_matter, "resources": resources}


@cache
def _files() -> Mapping[str, bytes]:
    return {
        _uri(skill, path): contents
        for skill in load_skills().values()
        for path, contents in skill.files.items()
    }


def _uri(skill: Skill, path: str) -> str:
    return f"skill://{skill.name}/{path}"
