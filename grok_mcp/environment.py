"""Reads the settings from the environment, and reports what is wrong with them in one line for each error."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, ValidationError

from grok_mcp import bounds
from grok_mcp.foreign import encoding_of, read_regular
from grok_mcp.redaction import quote
from grok_mcp.settings import PREFIX, Settings, bare
from grok_mcp.streams import say

GROK_BUILD_VARIABLES = frozenset(
    f"{PREFIX}{name}"
    for name in (
        "AUTO_RESTART",
        "LIVENESS_WATCHERS",
        "PUSH_SERVER_STATUS",
        "RECURSIVE_CONFIG_WATCH",
        "STARTUP_TIMEOUT_SECS",
    )
)
"""Variables of the host Grok Build (1.0.41), which begin with our prefix and are for it."""

EXIT_BAD_SETTINGS = 2
"""The exit status of a server whose settings can't be used."""


class SettingsError(Exception):
    """Wrong settings; `problems` has one line for each, naming the variable."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def load_settings() -> Settings:
    """Read the environment, and the file that `GROK_MCP_ENV_FILE` names below it.

    Raises SettingsError with one line for each error.
    """
    path, encoding = _env_file()
    try:
        settings = Settings(_env_file=path, _env_file_encoding=encoding)  # type: ignore[call-arg]  # the library's own
    except ValidationError as error:
        raise SettingsError([_problem(one) for one in error.errors(include_url=False)]) from None
    if settings.redis_url is not None and find_spec("redis") is None:
        raise SettingsError(["GROK_MCP_REDIS_URL: needs an extra: pip install 'grok-mcp-server[redis]'"])
    if settings.ledger_url is not None and find_spec("psycopg") is None:
        raise SettingsError(["GROK_MCP_LEDGER_URL: needs an extra: pip install 'grok-mcp-server[postgres]'"])
    if settings.metrics != "off" and find_spec("prometheus_client") is None:
        raise SettingsError(["GROK_MCP_METRICS: needs an extra: pip install 'grok-mcp-server[metrics]'"])
    if settings.audit == "otlp" and find_spec("opentelemetry.sdk") is None:
        raise SettingsError(["GROK_MCP_AUDIT: otlp needs an extra: pip install 'grok-mcp-server[otel]'"])
    return settings


def _env_file() -> tuple[Path | None, str]:
    """The file that the environment names, and its encoding."""
    named = bare(os.environ.get("GROK_MCP_ENV_FILE", ""))
    if not named:
        return None, "utf-8"
    try:
        path = Path(named).expanduser()
        return path, encoding_of(read_regular(path, bounds.ENV_FILE_BYTES))
    except FileNotFoundError:
        reason = "is not a file"
    except OSError as error:
        reason = f"can't be read: {error.strerror or type(error).__name__}"
    except (ValueError, RuntimeError) as error:
        reason = f"can't be read: {error}"
    raise SettingsError([f"GROK_MCP_ENV_FILE: {named!r} {reason}"])


def _problem(error: Any) -> str:
    """One line: the variable, what is wrong, and the value unless it may be a secret."""
    if not error["loc"]:  # about several settings; the message names the variable
        return str(error["msg"].removeprefix("Value error, "))
    name = str(error["loc"][0])
    variable = name if name.isupper() else PREFIX + name.upper()
    if variable == "XAI_BASE_URL" and not os.environ.get(variable):
        variable = "GROK_MCP_BASE_URL"
    message = error["msg"].removeprefix("Value error, ")
    is_secret = any(word in variable for word in ("KEY", "REDIS", "LEDGER", "METRICS_TOKEN"))
    value = "" if is_secret else f" (is {quote(str(error['input']), limit=80)!r})"
    return f"{variable}: {message}{value}"


def read_settings() -> Settings | None:
    """The settings; where they are wrong, one line for each error on stderr, and None."""
    try:
        settings = load_settings()
    except SettingsError as error:
        for problem in error.problems:
            say(problem)
        return None
    for name in unknown_variables():
        say(f"{name} is not a setting of this version and has no effect")
    return settings


def unknown_variables() -> list[str]:
    """Names with our prefix that are not settings: misspelt, or of another version."""
    return sorted(name for name in os.environ if is_unknown(name))


def is_unknown(name: str) -> bool:
    """Whether a variable has our prefix, and neither this version nor a known host reads it."""
    known = {*VARIABLES, "GROK_MCP_ENV_FILE", *GROK_BUILD_VARIABLES}
    return name.upper().startswith(PREFIX) and name.upper() not in known


def _variables_of(field: str) -> tuple[str, ...]:
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (alias,) if isinstance(alias, str) else (PREFIX + field.upper(),)


VARIABLES: Mapping[str, str] = {
    variable: field for field in Settings.model_fields for variable in _variables_of(field)
}
"""Every environment variable of a setting, with its field; of several for one field the preferred one
first.
"""


def variables_of(field: str) -> tuple[str, ...]:
    """The environment variables that set a field, the preferred one first."""
    return tuple(variable for variable, known in VARIABLES.items() if known == field)


def origin_of(field: str, settings: Settings) -> str:
    """Where the value of a field is from: `default`, a variable, or a file; `program` where none of them is.

    Only the names in the environment are looked at, which do not change while a server runs.
    """
    if field not in settings.model_fields_set:
        return "default"
    present = {name.upper() for name, value in os.environ.items() if value}
    for variable in variables_of(field):
        if variable in present:
            return variable
    return "the file of GROK_MCP_ENV_FILE" if os.environ.get("GROK_MCP_ENV_FILE") else "program"
