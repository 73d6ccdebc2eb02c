"""Our entry in a host's file: what somebody wants to have there, in that host's form."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from grok_mcp.hosts.host import Host, HostError, Part
from grok_mcp.redaction import mask_secrets
from grok_mcp.settings import fault_of

KEY_VARIABLE = "XAI_API_KEY"
PLACEHOLDER = "xai-your-key-here"
"""Counts as no key, and shows where it belongs."""

DEFAULT_NAME = "grok"
COMMAND = "uvx"
DISTRIBUTION = "grok-mcp-server"

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)$", re.IGNORECASE)
_PASSWORD_IN_URL = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
_REFERENCE = re.compile(r"\$\{[^}]*\}|\$[A-Za-z_]\w*|\{env:[^}]*\}|%\w+%")


@dataclass(frozen=True)
class Wish:
    """What somebody wants to have in a host's file."""

    name: str = DEFAULT_NAME
    command: str = COMMAND
    arguments: tuple[str, ...] = (DISTRIBUTION,)
    environment: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    """The key itself, where it has to stand in the file."""
    url: str | None = None
    """The address of a remote server, which needs no command and no key."""
    token_variable: str | None = None
    token: str | None = None
    """The token itself, where it has to stand in the file."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything here that nobody should see on a screen."""
        hidden = [value for name, value in self.environment.items() if looks_secret(name, value)]
        return tuple(one for one in (self.key, self.token, *hidden) if one)


@dataclass(frozen=True)
class Entry:
    """Our entry as it stands in a host's file, and the inputs that it refers to."""

    name: str
    value: Mapping[str, Any]
    inputs: tuple[Mapping[str, Any], ...] = ()


def looks_secret(name: str, value: str) -> bool:
    """Whether a variable's value is something that should not lie about in a file."""
    if _REFERENCE.fullmatch(value):
        return False
    if _SECRET_NAME.search(name):
        return fault_of(value) is None
    return mask_secrets(value) != value or bool(_PASSWORD_IN_URL.search(value))


def input_id(name: str, *, remote: bool) -> str:
    """The id of the input by which a host asks for our key or token."""
    return f"{name}-token" if remote else f"{name}-xai-api-key"


def entry_of(host: Host, wish: Wish) -> Entry:
    """The entry in that host's form."""
    shape = host.local if wish.url is None else host.remote
    if shape is None:
        raise HostError(
            f"{host.title} takes remote servers in its settings only, not in its file; add {wish.url} there"
        )
    parts = _local_parts(host, wish) if wish.url is None else _remote_parts(host, wish)
    value = {}
    for key, part in shape.items():
        found = parts.get(part) if isinstance(part, Part) else part
        if found is not None and found != {} and (found != [] or part is Part.ARGUMENTS):
            value[key] = found
    value |= {limit.key: limit.value for limit in host.limits}
    return Entry(wish.name, value, _inputs(host, wish))


def _local_parts(host: Host, wish: Wish) -> dict[Part, Any]:
    environment = dict(wish.environment)
    forwarded = []
    if wish.key is not None:
        environment = {KEY_VARIABLE: wish.key, **environment}
    elif KEY_VARIABLE in environment or "GROK_MCP_API_KEY_FILE" in environment:
        pass  # the user has said where the key comes from
    elif host.key == "forwarded":
        forwarded = [KEY_VARIABLE]
    elif host.key == "literal":
        environment = {KEY_VARIABLE: PLACEHOLDER, **environment}
    elif host.key != "inherited":
        named = input_id(wish.name, remote=False) if host.asks else KEY_VARIABLE
        environment = {KEY_VARIABLE: host.key % named, **environment}
    return {
        Part.COMMAND: wish.command,
        Part.ARGUMENTS: list(wish.arguments),
        Part.WORDS: [wish.command, *wish.arguments],
        Part.ENVIRONMENT: environment,
        Part.FORWARDED: forwarded,
    }


def _remote_parts(host: Host, wish: Wish) -> dict[Part, Any]:
    parts: dict[Part, Any] = {Part.URL: wish.url}
    if wish.token is not None:
        parts[Part.HEADERS] = {"Authorization": f"Bearer {wish.token}"}
    elif wish.token_variable is None:
        pass
    elif host.header is None:
        raise HostError(
            f"{host.title} expands no variables in headers; --write-key writes the token of "
            f"{wish.token_variable} itself into the file"
        )
    elif host.header == "forwarded":
        parts[Part.TOKEN_VARIABLE] = wish.token_variable
    else:
        named = input_id(wish.name, remote=True) if host.asks else wish.token_variable
        parts[Part.HEADERS] = {"Authorization": f"Bearer {host.header % named}"}
    return parts


def _inputs(host: Host, wish: Wish) -> tuple[Mapping[str, Any], ...]:
    """The questions that the host has to ask its user."""
    remote = wish.url is not None
    settled = wish.token is not None or wish.token_variable is None if remote else _key_is_settled(wish)
    if not host.asks or settled:
        return ()
    what = f"Token for the server «{wish.name}»" if remote else f"API key of xAI for «{wish.name}»"
    return (
        {
            "type": "promptString",
            "id": input_id(wish.name, remote=remote),
            "description": what,
            "password": True,
        },
    )


def _key_is_settled(wish: Wish) -> bool:
    return wish.key is not None or bool({KEY_VARIABLE, "GROK_MCP_API_KEY_FILE"} & set(wish.environment))
