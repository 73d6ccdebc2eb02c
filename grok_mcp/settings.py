"""All settings, read from the environment once, at start; nothing else reads them from there.

To add a setting, add a field with its description, and its row in the README's table (a test compares them).
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from grok_mcp.redaction import quote

PREFIX = "GROK_MCP_"
LOOPBACK = ("127.0.0.1", "localhost", "::1")

GatewayName = Literal[
    "xai", "xai-us", "nebula", "theturbo", "acedata", "surgeai", "openrouter", "generic", "sandbox"
]
ReasoningEffort = Literal["none", "low", "medium", "high", "xhigh"]

_PLACEHOLDER = re.compile(
    r"\$\{.*\}|\$[A-Za-z_]\w*|\{\{.*\}\}|%\w+%|<.*>|your[-_ ].*(?:key|token).*|xai-\.{3}|xai-your.*",
    re.IGNORECASE,
)


class SettingsError(Exception):
    """Wrong settings; `faults` has one line for each, naming the variable."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Settings(BaseSettings):
    """The whole configuration, frozen. Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    xai_api_key: Annotated[
        SecretStr | None,
        Field(validation_alias="XAI_API_KEY", description="API key of xAI or of the gateway"),
    ] = None
    api_key: Annotated[
        SecretStr | None, Field(description="the same, used where `XAI_API_KEY` holds none")
    ] = None
    api_key_file: Annotated[
        Path | None, Field(description="file that holds the key, in place of the variable")
    ] = None
    base_url: Annotated[
        str | None,
        Field(
            validation_alias=AliasChoices("XAI_BASE_URL", "GROK_MCP_BASE_URL"),
            description="address of the endpoint, in place of the gateway's own",
        ),
    ] = None
    gateway: Annotated[
        GatewayName | None, Field(description="whose rules apply; found from the base URL where absent")
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
    timeout: Annotated[float, Field(gt=0, description="deadline of a whole call, retries included")] = 900
    idle_timeout: Annotated[float, Field(gt=0, description="longest silence of the endpoint")] = 120
    connect_timeout: Annotated[float, Field(gt=0, description="longest wait for a connection")] = 10
    max_retries: Annotated[
        int, Field(ge=0, le=20, description="further attempts after a failure that a retry can mend")
    ] = 2
    max_concurrency: Annotated[
        int, Field(ge=1, description="calls upstream at once; others wait in order")
    ] = 1000
    progress: Annotated[
        Literal["status", "deltas", "off"],
        Field(description="progress notes: one status line, every piece of text, or none"),
    ] = "status"
    results: Annotated[
        Literal["text", "structured"],
        Field(description="`structured` returns the whole answer as data beside the text"),
    ] = "text"
    image_roots: Annotated[
        tuple[Path, ...],
        NoDecode,
        Field(description="folders that image files may be read from, separated as in PATH"),
    ] = ()
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="what goes to stderr")
    ] = "warning"
    grace: Annotated[
        float, Field(ge=0, description="time for calls in flight when the server is told to end")
    ] = 10

    @field_validator("image_roots", mode="before")
    @classmethod
    def _split_roots(cls, value: Any) -> Any:
        if isinstance(value, str):
            return [Path(part).expanduser() for part in value.split(os.pathsep) if part.strip()]
        return value

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^/\s?#]+[^\s#]*", value.strip()):
            raise ValueError("must be an address as in https://api.x.ai/v1")
        return value.strip() if value else value

    @field_validator(
        "gateway",
        "reasoning_effort",
        "dialect",
        "search_dialect",
        "progress",
        "results",
        "log_level",
        mode="before",
    )
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_gateway(self) -> "Settings":
        if self.gateway in ("generic", "surgeai") and self.base_url is None:
            raise ValueError(f"the gateway {self.gateway!r} needs XAI_BASE_URL or GROK_MCP_BASE_URL")
        if self.gateway == "sandbox" and self.base_url and urlsplit(self.base_url).hostname not in LOOPBACK:
            raise ValueError("the sandbox runs on this machine: take XAI_BASE_URL away")
        return self

    def key(self) -> str | None:
        """The first usable API key; None where there is none (`missing_key_reason` says why)."""
        return next((key for _, key in self._keys() if _fault_of(key) is None), None)

    def key_variable(self) -> str:
        """The variable that the key comes from, or should come from."""
        return next((name for name, key in self._keys() if _fault_of(key) is None), "XAI_API_KEY")

    def missing_key_reason(self) -> str:
        """Why there is no key, as the beginning of a sentence."""
        for variable, key in self._keys():
            if key:
                return f"{variable} {_fault_of(key)}"
        if self.api_key_file is not None:
            return "GROK_MCP_API_KEY_FILE names a file that holds no key or can't be read"
        return "There is no API key"

    def _keys(self) -> Iterator[tuple[str, str]]:
        """What is set as a key, by variable, in the order of preference."""
        for variable, secret in (("XAI_API_KEY", self.xai_api_key), ("GROK_MCP_API_KEY", self.api_key)):
            if secret is not None:
                yield variable, secret.get_secret_value().strip()
        if self.api_key_file is not None:
            with suppress(OSError, ValueError):
                text = self.api_key_file.expanduser().read_text(encoding="utf-8")
                yield "GROK_MCP_API_KEY_FILE", text.strip()


def _fault_of(key: str) -> str | None:
    """What is wrong with a key, None for one that can be sent."""
    if not key:
        return "is empty"
    if _PLACEHOLDER.fullmatch(key):
        return "holds a placeholder that the host did not replace by the key"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "holds characters that are in no key"
    return None


def load_settings() -> Settings:
    """Read the environment, and the file that `GROK_MCP_ENV_FILE` names below it.

    Raises SettingsError with one line for each fault.
    """
    env_file = os.environ.get("GROK_MCP_ENV_FILE") or None
    if env_file and not Path(env_file).expanduser().is_file():
        raise SettingsError([f"GROK_MCP_ENV_FILE: {env_file!r} is not a file"])
    try:
        path = Path(env_file).expanduser() if env_file else None
        return Settings(_env_file=path)  # type: ignore[call-arg]  # the library's own keyword
    except ValidationError as error:
        raise SettingsError([_fault(one) for one in error.errors(include_url=False)]) from None


def _fault(error: Any) -> str:
    """One line: the variable, what is wrong, and the value unless it may be a secret."""
    name = str(error["loc"][0]) if error["loc"] else "GROK_MCP_GATEWAY"
    variable = name if name.isupper() else PREFIX + name.upper()
    if variable == "XAI_BASE_URL" and not os.environ.get(variable):
        variable = "GROK_MCP_BASE_URL"
    message = error["msg"].removeprefix("Value error, ")
    shown = "" if "KEY" in variable or not error["loc"] else f" (is {quote(str(error['input']), limit=80)!r})"
    return f"{variable}: {message}{shown}"


def unknown_variables() -> list[str]:
    """Names with our prefix that are no setting: misspelt, or of another version."""
    known = {variable for name in Settings.model_fields for variable in variables_of(name)}
    known.add("GROK_MCP_ENV_FILE")
    return sorted(
        name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known
    )


def variables_of(field: str) -> tuple[str, ...]:
    """The environment variables that set a field, the first one preferred."""
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (alias,) if isinstance(alias, str) else (PREFIX + field.upper(),)
