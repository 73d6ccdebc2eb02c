"""Checks of the settings, above all of the key."""

import difflib
import os
import shlex
import stat

from grok_mcp.doctor.findings import Check, doubtful, fine, wrong
from grok_mcp.endpoint import Keys
from grok_mcp.environment import VARIABLES, SettingsError, load_settings, unknown_variables
from grok_mcp.gateways import GATEWAYS
from grok_mcp.settings import Settings, bare, key_problem

GET_A_KEY = (
    "Set XAI_API_KEY in the host's configuration of this server; get a key at https://console.x.ai. "
    "Set GROK_MCP_GATEWAY=sandbox to try it without."
)


def check_settings() -> tuple[Settings | None, list[Check]]:
    """The settings, None where they are wrong, and a finding for each error."""
    settings, checks = None, []
    try:
        settings = load_settings()
    except SettingsError as error:
        for problem in error.problems:
            variable = problem.partition(":")[0]
            fix = f"Correct {variable}, or unset it; no call is made until then."
            checks.append(wrong("settings", problem, fix))
    for name in unknown_variables():
        close = difflib.get_close_matches(name.upper(), VARIABLES, 1)
        fix = f"Did you mean {close[0]}?" if close else "Unset it, or update grok-mcp-server."
        checks.append(doubtful("settings", f"{name} is not a setting of this version and has no effect", fix))
    return settings, checks or [fine("settings", "all values are valid")]


def check_key(settings: Settings, keys: Keys) -> list[Check]:
    """Whether there is a key that can be sent; never shows any of it."""
    gateway = GATEWAYS.get(settings.gateway or "")
    if gateway is not None and gateway.own_key:
        return [fine("key", f"{gateway.mention} needs none")]
    key, variable = keys.key, keys.variable
    if key is None and settings.caller_keys == "required":
        return [fine("key", "each caller sends one, as GROK_MCP_CALLER_KEYS wants it")]
    if key is None:
        return [_missing(settings, keys)]
    checks = [fine("key", f"{variable} is set, {len(key)} characters")]
    if len(keys.all) > 1:
        checks = [fine("key", f"{variable} holds {len(keys.all)} keys")]
    for name, value in _variables(settings).items():
        if bare(value) and (error := key_problem(bare(value))):
            message = f"{name} {error}; the key comes from {variable}"
            checks.append(doubtful("key", message, f"Unset {name}."))
    file = settings.api_key_file
    if file is not None and variable == "GROK_MCP_API_KEY_FILE":
        mode = file.expanduser().stat().st_mode
        if os.name == "posix" and mode & (stat.S_IRGRP | stat.S_IROTH):
            message = f"other users of this machine can read {file}"
            checks.append(doubtful("key", message, f"Run: chmod 600 {shlex.quote(str(file.expanduser()))}"))
    return checks


def check_limits(settings: Settings) -> list[Check]:
    """Whether the file of limits can be used, where one is named."""
    if settings.limits_file is None:
        return []
    from grok_mcp.quotas import LimitsFileError, read_file  # most have none

    try:
        sections = read_file(settings.limits_file)
    except LimitsFileError as error:
        return [wrong("limits", str(error), "Correct the file: a server does not start with it.")]
    callers, groups = len(sections.callers), len(sections.groups)
    return [fine("limits", f"{settings.limits_file} is valid; callers: {callers}, groups: {groups}")]


def wants_key(settings: Settings) -> bool:
    """Whether a key is needed, and no setting names one."""
    named = _variables(settings) or settings.api_key_file is not None
    return not named and settings.gateway != "sandbox"


def _variables(settings: Settings) -> dict[str, str]:
    variables = {"XAI_API_KEY": settings.xai_api_key, "GROK_MCP_API_KEY": settings.api_key}
    return {name: secret.get_secret_value() for name, secret in variables.items() if secret is not None}


def _missing(settings: Settings, keys: Keys) -> Check:
    for name, value in _variables(settings).items():
        error = key_problem(bare(value)) if bare(value) else None
        if error and "placeholder" in error:
            fix = (
                f"Set {name} where the host is started, or write the key itself into the host's file; "
                "not every host replaces placeholders."
            )
            return wrong("key", f"{name} {error}", fix)
        if error:
            fix = f"Copy the key again, without spaces and line ends, into {name}."
            return wrong("key", f"{name} {error}", fix)
    file = settings.api_key_file
    if file is None:
        return wrong("key", "there is no key", GET_A_KEY)
    fix = "Set GROK_MCP_API_KEY_FILE to a text file that this user can read and that holds only the key."
    return wrong("key", f"{keys.missing_reason} ({file})", fix)
