"""All settings, read from the environment once, at start; nothing else reads them from there.

To add a setting, add a field with its description, and its row in docs/settings.md (a test compares them).
"""

import math
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from grok_mcp import bounds
from grok_mcp.addresses import is_loopback
from grok_mcp.foreign import read_text
from grok_mcp.gateways import GATEWAYS, resolve

PREFIX = "GROK_MCP_"
FILE_ROOT_WORDS = ("cwd", "none")
"""What stands for the working folder, and for no folder at all, in `file_roots`."""
WATCHED_WAIT_S = 230.0
UNWATCHED_WAIT_S = 50.0

if TYPE_CHECKING:
    GatewayName = str
else:
    GatewayName = Literal[tuple(GATEWAYS)]
GUIDELINES = ("nsfw", "violence", "profanity")
"""What xAI can be made to decline (docs.x.ai, custom moderation, as read until 2026-11-29)."""
AUDITS = ("off", "stdout", "stderr", "otlp")
"""Words in `audit`; all else is a file."""
_ADDRESS = re.compile(r"(?:[\w.-]{1,253}:|\[[\da-fA-F:.%]{2,99}\]:)?\d{1,5}", re.ASCII)
ReasoningEffort = Literal["none", "low", "medium", "high", "xhigh"]


_MARKS = " \t\r\n\v\f\0\xa0\u200b\u2060\ufeff"
"""What editors and files of other systems leave at the ends of a value."""
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "„": "“", "‘": "’", "«": "»"}

# What a host, a template or a manual has in the place of a key: a reference of any form, the name of a
# variable, an address, a word that asks for the key, a masked one. No key has brackets or `$` or `%` in it.
_REFERENCE = re.compile(r"\$[\w{(]|[{<\[(%].{0,200}[}>\])%]|\*{3}|…|\.{3}")
_STAND_IN = re.compile(
    r"(?-i:(?:[A-Z0-9]+_)+(?:KEY|TOKEN|SECRET|HERE|ME))|(?:process\.env|os\.environ|env)[.:/]\w+|\w+://.*"
    r"|(?:xai-)?(?:your|insert|paste|replace|change|enter)[-_ ]?.*(?:key|token|here|me)\b.*"
    r"|xai-your.*|(?:xai-)?x{4,}",
    re.IGNORECASE,
)


def bare(value: str) -> str:
    """A value without white space, marks of files and a pair of quotes around it."""
    value = value.strip(_MARKS).strip()
    if len(value) > 1 and _QUOTES.get(value[0]) == value[-1]:
        value = value[1:-1].strip(_MARKS).strip()
    return value


def key_problem(key: str) -> str | None:
    """What is wrong with a key, None for one that can be sent."""
    if not key:
        return "is empty"
    if len(key) > bounds.KEY_CHARACTERS:
        return f"has more than {bounds.KEY_CHARACTERS} characters, which no key has"
    if _REFERENCE.search(key) or _STAND_IN.fullmatch(key):
        return "holds a placeholder that the host did not replace by the key"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "holds characters that are in no key"
    return None


KEY_FILE = "GROK_MCP_API_KEY_FILE"


def read_keys(path: Path) -> tuple[tuple[str, ...], str | None]:
    """The keys in a file, one a line, and what is wrong with it, as the end of a sentence about the setting.

    Lines that begin with `#` are notes. One line that is no key makes all of it unusable.
    """
    try:
        text = bare(read_text(path, bounds.KEY_FILE_BYTES))
    except OSError as error:
        return (), f"names a file that can't be read: {error.strerror or type(error).__name__}"
    except ValueError as error:
        return (), f"names a file that can't be read: {error}"
    lines = [(number, bare(line)) for number, line in enumerate(text.splitlines(), 1)]
    keys = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if not keys:
        return (), f"names a file that {key_problem('')}"
    if len(keys) > bounds.KEYS:
        return (), f"names a file with more than {bounds.KEYS} keys"
    for number, key in keys:
        if problem := key_problem(key):
            return (), f"names a file that {problem}" + (f" in line {number}" if len(keys) > 1 else "")
    return tuple(dict.fromkeys(key for _, key in keys)), None


def read_key(path: Path) -> tuple[str, str | None]:
    """The first of these keys, and what is wrong with the file."""
    keys, problem = read_keys(path)
    return (keys[0] if keys else ""), problem


def _path(path: Path) -> Path:
    """The path with the home folder in place of `~`; raises ValueError."""
    if "\0" in str(path):
        raise ValueError("must be a path without null characters")
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("begins with ~, but that home folder does not exist: write the whole path") from None


def _is_choice(annotation: Any) -> bool:
    """Whether this is one of some words, or None."""
    return any(get_origin(one) is Literal for one in (annotation, *get_args(annotation)))


class Settings(BaseSettings):
    """The whole configuration, frozen. Times are in seconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
    )

    xai_api_key: Annotated[
        SecretStr | None,
        Field(validation_alias="XAI_API_KEY", description="API key of xAI or of the gateway"),
    ] = None
    api_key: Annotated[
        SecretStr | None, Field(description="the same, used where `XAI_API_KEY` holds none")
    ] = None
    api_key_file: Annotated[
        Path | None,
        Field(
            description="file that holds the key, in place of the variable; or several, one a line, in order"
        ),
    ] = None
    caller_keys: Annotated[
        Literal["off", "allowed", "required"],
        Field(
            description="keys of their own that callers on a network send in the header `X-Grok-Api-Key`: "
            "refused, used where one comes, or needed"
        ),
    ] = "off"
    base_url: Annotated[
        str | None,
        Field(
            validation_alias=AliasChoices("XAI_BASE_URL", "GROK_MCP_BASE_URL"),
            description="address of the endpoint, in place of the gateway's own",
        ),
    ] = None
    gateway: Annotated[
        GatewayName | None, Field(description="whose rules apply; else that of the base URL's host")
    ] = None
    model: Annotated[
        str | None, Field(description="model for calls that name none; else the gateway's default")
    ] = None
    reasoning_effort: Annotated[
        ReasoningEffort | None, Field(description="effort for calls that name none; else the model's")
    ] = None
    dialect: Annotated[
        Literal["responses", "chat_completions"] | None,
        Field(description="wire format that is tried first"),
    ] = None
    search_dialect: Annotated[
        Literal["responses", "search_parameters", "openrouter", "none"] | None,
        Field(description="way of searching that is tried first; `none` never searches"),
    ] = None
    guidelines: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(description=f"what xAI is told to decline, of {', '.join(GUIDELINES)}, separated by commas"),
    ] = ()
    collections: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(description="ids of xAI's collections that each call may search, separated by commas"),
    ] = ()
    timeout: Annotated[float, Field(gt=0, description="deadline of a whole call, retries included")] = 900
    idle_timeout: Annotated[float, Field(gt=0, description="longest silence of the endpoint")] = 120
    connect_timeout: Annotated[float, Field(gt=0, description="longest wait for a connection")] = 10
    max_retries: Annotated[
        int, Field(ge=0, le=20, description="further attempts after an error that a retry can help with")
    ] = 2
    max_concurrency: Annotated[
        int, Field(ge=1, description="calls upstream at once; others wait, and callers take turns")
    ] = 1000
    wait: Annotated[
        float | Literal["auto"],
        Field(
            description="longest wait for a call before `grok_result` has to collect it; 0 never ends it, "
            "`auto` is 230 where the host takes progress notes, else 50"
        ),
    ] = "auto"
    max_result_chars: Annotated[
        int,
        Field(ge=0, description="a longer result is cut, to be continued by `grok_result`; 0 cuts nothing"),
    ] = 40_000
    progress: Annotated[
        Literal["status", "deltas", "off"],
        Field(description="progress notes: one status line, every piece of text, or none"),
    ] = "status"
    results: Annotated[
        Literal["text", "structured"],
        Field(description="`structured` returns the whole answer as data with the text"),
    ] = "text"
    card: Annotated[
        Literal["auto", "on", "off"],
        Field(
            description="the card beside an answer: `auto` for hosts that declare MCP Apps, `on` for one "
            "that shows it and does not say so"
        ),
    ] = "auto"
    image_roots: Annotated[
        tuple[Path, ...],
        NoDecode,
        Field(description="folders that image files may be read from, separated as in PATH"),
    ] = ()
    file_roots: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(
            description="folders that `files` may be read from, separated as in PATH; `cwd` is the working "
            "folder, `none` forbids it; else, on stdio, the folders that the host declares"
        ),
    ] = ()
    file_tokens: Annotated[
        int,
        Field(
            ge=1_000, le=2_000_000, description="most tokens, by estimate, of the texts in `files` of a call"
        ),
    ] = 150_000
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="what goes to stderr")
    ] = "warning"
    log_format: Annotated[Literal["text", "json"], Field(description="form of the lines on stderr")] = "text"
    audit: Annotated[
        str,
        Field(
            description="where a line for each call goes: `off`, `stdout`, `stderr`, `otlp`, or a file; on "
            "stdio, and in a shell, stdout is taken"
        ),
    ] = "off"
    audit_strict: Annotated[
        Literal["on", "off"], Field(description="refuse calls while their line can't be written")
    ] = "off"
    grace: Annotated[
        float, Field(ge=0, description="time for calls in flight when the server has to end")
    ] = 10
    leave: Annotated[
        float,
        Field(
            ge=0,
            le=300,
            description="time before that in which calls are still taken on a network while `/readyz` says "
            "no, so that a balancer sends them elsewhere first",
        ),
    ] = 0
    state_dir: Annotated[
        Path | None,
        Field(description="folder of the ledger and of kept answers; else the state folder of the user"),
    ] = None
    keep: Annotated[
        Literal["on", "off"],
        Field(
            description="in that folder, answers to collect outlast a server on stdio by an hour, and "
            "conversations of the shell their command by a week"
        ),
    ] = "on"
    ledger_url: Annotated[
        SecretStr | None,
        Field(
            description="Postgres that holds the ledger in place of a file, as in "
            "postgresql://user:password@host:5432/db"
        ),
    ] = None
    budget_usd_per_day: Annotated[
        Decimal | None,
        Field(gt=0, le=100_000, description="most that a caller may spend in a day (UTC), in USD"),
    ] = None
    limits_file: Annotated[
        Path | None,
        Field(
            description="TOML file of quotas, budgets and models of callers and groups; read again when it "
            "changes"
        ),
    ] = None
    call_limit_usd: Annotated[
        Decimal | None,
        Field(
            gt=0,
            le=1_000,
            description="most that one call may cost, by estimate, before its user is asked; in USD",
        ),
    ] = None
    redis_url: Annotated[
        SecretStr | None,
        Field(description="Redis that holds what several processes share, as in redis://host:6379/0"),
    ] = None
    transport: Annotated[
        Literal["stdio", "streamable-http", "sse", "http"],
        Field(description="how clients connect; `http` is all network transports"),
    ] = "stdio"
    host: Annotated[str, Field(description="address that the network transports listen at")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="port that they listen at; 0 takes any")] = 8000
    workers: Annotated[int, Field(ge=1, le=64, description="processes that serve the network")] = 1
    sticky: Annotated[
        bool,
        Field(description="each client stays at one process, as SSE needs where there are several"),
    ] = False
    token_file: Annotated[
        Path | None,
        Field(description="file of callers' tokens; the command `token NAME` makes its lines"),
    ] = None
    oauth_issuer: Annotated[str | None, Field(description="OAuth issuer whose JWTs are accepted")] = None
    oauth_audience: Annotated[
        str | None, Field(description="audience that such a token must have; else the public URL")
    ] = None
    oauth_jwks_url: Annotated[
        str | None, Field(description="the issuer's keys; else those that its metadata names")
    ] = None
    oauth_scopes: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(description="scopes that it must have, separated by spaces"),
    ] = ()
    oauth_groups_claim: Annotated[
        str, Field(description="claim that names a caller's groups, with dots between its steps")
    ] = "groups"
    public_url: Annotated[
        str | None, Field(description="address of this server as its clients see it, with the path /mcp")
    ] = None
    allowed_hosts: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(description="further values of the Host header, separated by spaces; `name:*` for any port"),
    ] = ()
    allowed_origins: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(description="further values of the Origin header"),
    ] = ()
    metrics: Annotated[
        str,
        Field(
            description="metrics for Prometheus: `off`, `on` (/metrics of the server's own port), or a port "
            "or HOST:PORT of their own"
        ),
    ] = "off"
    metrics_token: Annotated[
        SecretStr | None,
        Field(description="secret of 16 characters or more that a scraper sends as a bearer token"),
    ] = None
    metrics_callers: Annotated[
        Literal["on", "off"], Field(description="tell callers apart by name in them, 100 at most")
    ] = "off"
    max_body_bytes: Annotated[int, Field(ge=1024, description="largest request body")] = 32 * 1024 * 1024
    keep_alive: Annotated[
        float,
        Field(gt=0, le=86_400, description="how long an idle connection is kept; longer than a proxy does"),
    ] = 75
    session_idle: Annotated[
        float, Field(gt=0, le=604_800, description="how long a session is kept that nobody uses")
    ] = 1800
    sessions_per_caller: Annotated[
        int,
        Field(
            ge=1,
            le=100_000,
            description="sessions that a caller may have open; ten times as many for all together",
        ),
    ] = 100
    safety_identifier: Annotated[
        Literal["on", "off"],
        Field(description="tell xAI callers with a token apart, by a keyed hash of each one's name"),
    ] = "on"
    safety_key: Annotated[
        SecretStr | None,
        Field(description="secret of 16 characters or more that keys this hash; else the API key does"),
    ] = None
    insecure_no_auth: Annotated[
        bool,
        Field(description="serve the network without authentication: anyone may spend your money"),
    ] = False

    @field_validator("image_roots", mode="before")
    @classmethod
    def _split_roots(cls, value: Any) -> Any:
        if isinstance(value, str):
            return [_path(Path(bare(part))) for part in value.split(os.pathsep) if bare(part)]
        return value

    @field_validator("file_roots", mode="before")
    @classmethod
    def _split_file_roots(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        named = [bare(part) for part in value.split(os.pathsep) if bare(part)]
        return tuple(
            word.lower() if word.lower() in FILE_ROOT_WORDS else str(_path(Path(word))) for word in named
        )

    @field_validator("api_key_file", "state_dir", "token_file", "limits_file")
    @classmethod
    def _expand(cls, value: Path | None) -> Path | None:
        return value and _path(value)

    @field_validator(
        "oauth_scopes", "allowed_hosts", "allowed_origins", "guidelines", "collections", mode="before"
    )
    @classmethod
    def _split_words(cls, value: Any) -> Any:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("guidelines")
    @classmethod
    def _check_guidelines(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        words = tuple(dict.fromkeys(word.lower() for word in value))
        if set(words) - set(GUIDELINES):
            raise ValueError(f"must be words of {', '.join(GUIDELINES)}")
        return words

    @field_validator("collections")
    @classmethod
    def _check_collections(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        ids = tuple(dict.fromkeys(value))
        if not all(re.fullmatch(rf"[\w.:-]{{1,{bounds.COLLECTION_CHARACTERS}}}", id, re.ASCII) for id in ids):
            raise ValueError("must be ids as in collection_4f1c, separated by commas")
        if len(ids) > bounds.COLLECTIONS:
            raise ValueError(f"at most {bounds.COLLECTIONS} collections")
        return ids

    @field_validator("audit")
    @classmethod
    def _check_audit(cls, value: str) -> str:
        return value.lower() if value.lower() in AUDITS else str(_path(Path(value)))

    @field_validator("metrics")
    @classmethod
    def _check_metrics(cls, value: str) -> str:
        if value.lower() in ("off", "on"):
            return value.lower()
        if not _ADDRESS.fullmatch(value) or not 0 <= int(value.rpartition(":")[2]) <= 65535:
            raise ValueError("must be off, on, a port, or an address as in 127.0.0.1:9464")
        return value

    @field_validator("safety_key", "metrics_token")
    @classmethod
    def _check_safety_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not 16 <= len(value.get_secret_value()) <= bounds.KEY_CHARACTERS:
            raise ValueError(f"must have 16 to {bounds.KEY_CHARACTERS} characters")
        return value

    @field_validator("base_url", "public_url", "oauth_issuer", "oauth_jwks_url")
    @classmethod
    def _check_base_url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"(?i:https?)://[^/\s?#]+[^\s#]*", value.strip()):
            raise ValueError("must be an address as in https://api.x.ai/v1")
        return value.strip() if value else value

    @field_validator("wait", mode="before")
    @classmethod
    def _check_wait(cls, value: Any) -> Any:
        if isinstance(value, str) and value.strip().lower() == "auto":
            return "auto"
        with suppress(TypeError, ValueError):
            if 0 <= float(value) < math.inf:
                return float(value)
        raise ValueError("must be auto, or a number of seconds, or 0")

    @model_validator(mode="before")
    @classmethod
    def _tidy(cls, values: dict[str, Any]) -> dict[str, Any]:
        """What stands around a value is no part of it, and a choice may be written in any case."""
        known, tidy = cls.model_fields, {}
        for name, value in values.items():
            if isinstance(value, str):
                value = bare(value)
                if not value:  # as absent as an empty variable
                    continue
                if name in known and _is_choice(known[name].annotation):
                    value = value.lower()
            tidy[name] = value
        return tidy

    @model_validator(mode="after")
    def _check_gateway(self) -> "Settings":
        name = "GROK_MCP_GATEWAY"
        chosen = GATEWAYS.get(self.gateway or "")
        if chosen and not (chosen.base_url or chosen.own_key or self.base_url):
            raise ValueError(f"{name}: the gateway {self.gateway!r} needs XAI_BASE_URL or GROK_MCP_BASE_URL")
        if self.gateway == "sandbox" and self.base_url and not is_loopback(urlsplit(self.base_url).hostname):
            raise ValueError(f"{name}: the sandbox runs on this machine: unset XAI_BASE_URL")
        return self

    @model_validator(mode="after")
    def _check_taker(self) -> "Settings":
        """Guidelines that nobody applies are worse than none."""
        gateway = resolve(self)
        if self.guidelines and "guidelines" not in gateway.extensions:
            raise ValueError(
                f"GROK_MCP_GUIDELINES: only xAI applies guidelines, and the gateway is {gateway.name}: unset "
                "it, or set GROK_MCP_GATEWAY=xai where xAI is behind that address"
            )
        return self

    @field_validator("oauth_groups_claim")
    @classmethod
    def _check_claim(cls, value: str) -> str:
        steps = value.split(".")
        if not value.isprintable() or len(value) > 255 or len(steps) > bounds.CLAIM_STEPS or not all(steps):
            raise ValueError(f"must be a name, or up to {bounds.CLAIM_STEPS} with dots between them")
        return value

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.match(r"(?:rediss?|unix)://.", value.get_secret_value().strip()):
            raise ValueError("must be an address as in redis://:password@host:6379/0")
        return value

    @field_validator("ledger_url")
    @classmethod
    def _check_ledger_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(
            r"postgres(?:ql)?://(?:[^@/?#\s]*@)?[^@#\s]+", value.get_secret_value().strip()
        ):
            raise ValueError(
                "must be an address as in postgresql://user:password@host:5432/db, with %40 for an @ in a "
                "password and so on"
            )
        return value

    @model_validator(mode="after")
    def _check_oauth(self) -> "Settings":
        if self.oauth_issuer and not self.public_url:
            raise ValueError("GROK_MCP_OAUTH_ISSUER: needs GROK_MCP_PUBLIC_URL, which clients get")
        for name in ("oauth_issuer", "oauth_jwks_url"):
            parts = urlsplit(getattr(self, name) or "https://")
            if parts.scheme != "https" and not is_loopback(parts.hostname):
                raise ValueError(f"{PREFIX}{name.upper()}: must be an https address")
        return self

    def key(self) -> str | None:
        """The first usable API key; None where there is none (`missing_key_reason` says why)."""
        return next((key for _, key, problem in self._keys() if problem is None), None)

    def key_variable(self) -> str:
        """The variable that the key comes from, or should come from."""
        return next((name for name, _, problem in self._keys() if problem is None), "XAI_API_KEY")

    def missing_key_reason(self, in_file: tuple[str, str | None] | None = None) -> str:
        """Why there is no key, as the beginning of a sentence; `in_file` is what is known of the file."""
        for variable, key, problem in self._keys(in_file):
            if key or variable == KEY_FILE:
                return f"{variable} {problem}"
        return "There is no API key"

    def key_in_variables(self) -> tuple[str, str] | None:
        """The first variable that holds a usable key, and that key; the file is not looked at."""
        found = self._keys(("", "is not looked at"))
        return next(((name, key) for name, key, problem in found if problem is None), None)

    def _keys(self, in_file: tuple[str, str | None] | None = None) -> Iterator[tuple[str, str, str | None]]:
        """What is set as a key, by variable, in the order of preference; and what is wrong with it.

        The file is read where `in_file` is None.
        """
        for variable, secret in (("XAI_API_KEY", self.xai_api_key), ("GROK_MCP_API_KEY", self.api_key)):
            if secret is not None:
                key = bare(secret.get_secret_value())
                yield variable, key, key_problem(key)
        if self.api_key_file is not None:
            yield KEY_FILE, *(in_file or read_key(self.api_key_file))

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port of metrics that have an address of their own."""
        if self.metrics in ("off", "on"):
            return None
        host, _, port = self.metrics.rpartition(":")
        return host.strip("[]") or "127.0.0.1", int(port)

    @property
    def shared(self) -> bool:
        """Whether several processes serve the same clients, so that none may rely on its own memory."""
        return self.workers > 1 or self.redis_url is not None

    @property
    def holds(self) -> bool:
        """Whether there are answers that are collected later, so that `grok_result` is useful."""
        return self.wait != 0 or self.max_result_chars > 0

    def wait_s(self, *, watched: bool) -> float | None:
        """How long a call may keep its host waiting, None for as long as it takes.

        Hosts that take progress notes wait longer: all of them at least 240 seconds where notes come, the
        others as a rule 60 (measured, 2026-11).
        """
        if self.wait == "auto":
            return WATCHED_WAIT_S if watched else UNWATCHED_WAIT_S
        return self.wait or None
