"""Our entry in a host's file: what it should say, and how it looks in that host's form."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from grok_mcp.foreign import mapping
from grok_mcp.hosts.host import Host, HostError, Part, bearer
from grok_mcp.redaction import mask_secrets
from grok_mcp.settings import key_problem

KEY_VARIABLE = "XAI_API_KEY"
KEY_FILE_VARIABLE = "GROK_MCP_API_KEY_FILE"
KEY_SOURCES = {KEY_VARIABLE, "GROK_MCP_API_KEY", KEY_FILE_VARIABLE, "GROK_MCP_ENV_FILE"}
"""Variables that a server gets its key from, or that name the file with it."""

DEFAULT_NAME = "grok"
COMMAND = "uvx"
DISTRIBUTION = "grok-mcp-server"

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)$", re.IGNORECASE)
_PASSWORD_IN_URL = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
REFERENCE = re.compile(r"\$\{[^}]{0,200}\}|\$[A-Za-z_]\w*|\{env:[^}]{0,200}\}|%\w{1,200}%")
"""How hosts refer to variables and inputs."""
_SHOWN_REFERENCE = re.compile(
    r"(?:\b(?:Bearer|Basic) )?(?<![\w$])(?:\$?\{(?:env:|input:)?([\w.-]{1,100})\}(?!\w))"
)
"""References that are shown; not those with a default, which may be a secret."""
_FIRST_MARK, _MARKS = 0xE000, 0x1800
_MARK = re.compile("[\ue000-\uf7ff]")


@dataclass(frozen=True)
class EntrySpec:
    """What an entry should say, whatever its host."""

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
        """Everything here that must not appear on a screen."""
        hidden = [value for name, value in self.environment.items() if looks_secret(name, value)]
        return tuple(secret for secret in (self.key, self.token, *hidden) if secret)

    @property
    def chosen(self) -> Mapping[str, str]:
        """The variables that the user named."""
        return {**self.environment, **({KEY_VARIABLE: self.key} if self.key else {})}

    @property
    def needs_secret(self) -> bool:
        """Whether the host has to supply the key, or the token of a remote server."""
        if self.url is not None:
            return self.token is None and self.token_variable is not None
        return self.key is None and not self.is_sandbox and not KEY_SOURCES & set(self.environment)

    @property
    def is_sandbox(self) -> bool:
        """Whether it uses the sandbox, which needs no key."""
        return self.environment.get("GROK_MCP_GATEWAY", "").lower() == "sandbox"


@dataclass(frozen=True)
class Entry:
    """Our entry as it stands in a host's file, and the inputs that it refers to."""

    name: str
    value: Mapping[str, Any]
    inputs: tuple[Mapping[str, Any], ...] = ()
    chosen: Mapping[str, str] = field(default_factory=dict)
    """The variables in it that the user named."""


def looks_secret(name: str, value: str) -> bool:
    """Whether a variable's value should not stand in a file."""
    if REFERENCE.fullmatch(value):
        return False
    if _SECRET_NAME.search(name):
        return key_problem(value) is None
    return mask_secrets(value) != value or bool(_PASSWORD_IN_URL.search(value))


def mask_all_but_references(text: str) -> str:
    """The text with what looks like a secret masked, and with references to variables and inputs as they are.

    A reference stands meanwhile as one character: what is joined to it is masked with it.
    """
    if _MARK.search(text):
        return mask_secrets(text)
    found: list[str] = []

    def stand_in(match: re.Match[str]) -> str:
        name = match[1]
        if len(found) == _MARKS or (any(map(str.isdigit, name)) and mask_secrets(name) != name):
            return match[0]
        found.append(match[0])
        return chr(_FIRST_MARK + len(found) - 1)

    masked = mask_secrets(_SHOWN_REFERENCE.sub(stand_in, text))
    return _MARK.sub(lambda match: found[ord(match[0]) - _FIRST_MARK], masked)


def is_literal(value: str) -> bool:
    """Whether a key's variable holds the key itself, and no reference or placeholder."""
    return not REFERENCE.fullmatch(value) and key_problem(value) is None


def input_id(name: str, *, remote: bool) -> str:
    """The id of the input by which a host asks for our key or token."""
    return f"{name}-token" if remote else f"{name}-xai-api-key"


def build_entry(host: Host, spec: EntrySpec) -> Entry:
    """The entry in that host's form."""
    remote = spec.url is not None
    shape = host.remote if remote else host.local
    if shape is None:
        raise HostError(
            f"{host.title} takes remote servers in its settings only, not in its file; add {spec.url} there"
        )
    parts = {Part.NAME: spec.name, **(_remote_parts(host, spec) if remote else _local_parts(host, spec))}
    value = {}
    for key, part in shape.items():
        content = parts.get(part) if isinstance(part, Part) else part
        if content is not None and content != {} and (content != [] or part is Part.ARGUMENTS):
            value[key] = content
    value |= {limit.key: limit.value for limit in host.limits if limit.written}
    if not (host.asks_user and spec.needs_secret):
        return Entry(spec.name, value, chosen=spec.chosen)
    description = (
        f"Token for the MCP server {spec.name}" if remote else f"xAI API key for the MCP server {spec.name}"
    )
    question = {
        "type": "promptString",
        "id": input_id(spec.name, remote=remote),
        "description": description,
        "password": True,
    }
    return Entry(spec.name, value, (question,), spec.chosen)


def kept(host: Host, old: Mapping[str, Any], new: Entry, *, start: bool = False) -> Mapping[str, Any] | None:
    """An older entry of this server, brought up to date; None where it has another form.

    What is started, or connected to, is new, unless `start` is to stay. Everything else that its user has set
    stays; what is missing is added, and the variables that the user named now win.
    """
    shape = next(
        (shape for shape in (host.local, host.remote or {}) if _leads(shape) & new.value.keys()), host.local
    )
    if not _leads(shape) & old.keys():
        return None
    before = {**mapping(old.get(_key_of(shape, Part.ENVIRONMENT))), **new.chosen}
    supplied = bool(KEY_SOURCES & before.keys()) or before.get("GROK_MCP_GATEWAY", "") == "sandbox"
    made = dict(old)
    for key, value in new.value.items():
        part = shape.get(key)
        if part is Part.ENVIRONMENT:
            added = {name: text for name, text in value.items() if not (supplied and name == KEY_VARIABLE)}
            value = {**added, **before}
            if value:
                made[key] = value
        elif part is Part.FORWARDED:
            present = old[key] if isinstance(old.get(key), list) else []
            if not supplied and KEY_VARIABLE not in present:
                made[key] = [*present, KEY_VARIABLE]
        elif start and part in (Part.COMMAND, Part.ARGUMENTS, Part.WORDS):
            continue
        elif isinstance(part, Part) and part is not Part.NAME:
            made[key] = value
        else:
            made.setdefault(key, value)
    return made


def _leads(shape: Mapping[str, Any]) -> set[str]:
    """The keys that say what is started or connected to."""
    return {key for key, part in shape.items() if part in (Part.COMMAND, Part.WORDS, Part.URL)}


def _key_of(shape: Mapping[str, Any], part: Part) -> str:
    return next((key for key, found in shape.items() if found is part), "")


def _local_parts(host: Host, spec: EntrySpec) -> Mapping[Part, Any]:
    parts: dict[Part, Any] = {
        Part.COMMAND: spec.command,
        Part.ARGUMENTS: list(spec.arguments),
        Part.WORDS: [spec.command, *spec.arguments],
    }
    if spec.key is not None:
        parts[Part.ENVIRONMENT] = {KEY_VARIABLE: spec.key}
    elif spec.needs_secret:
        parts |= host.key.local_parts(KEY_VARIABLE, input_id(spec.name, remote=False))
    parts[Part.ENVIRONMENT] = {**parts.get(Part.ENVIRONMENT, {}), **spec.environment}
    return parts


def _remote_parts(host: Host, spec: EntrySpec) -> Mapping[Part, Any]:
    parts: dict[Part, Any] = {Part.URL: spec.url}
    if spec.token is not None:
        parts[Part.HEADERS] = bearer(spec.token)
    elif spec.token_variable is not None:
        if host.token is None:
            raise HostError(
                f"{host.title} expands no variables in headers; --write-key writes the token of "
                f"{spec.token_variable} itself into the file"
            )
        parts |= host.token.remote_parts(spec.token_variable, input_id(spec.name, remote=True))
    return parts
