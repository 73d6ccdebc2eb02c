"""Checks of the environment: every setting, and above all the key."""

import difflib
from pathlib import Path

from pydantic import SecretStr

from grok_mcp.doctor.findings import Check, doubtful, fine, wrong
from grok_mcp.doctor.installation import readable_by_others
from grok_mcp.environment import SettingsError, load_settings, unknown_variables, variables_of
from grok_mcp.gateways import GATEWAYS
from grok_mcp.settings import Settings, fault_of

GET_A_KEY = (
    "Set XAI_API_KEY in the host's configuration of this server; xAI gives keys at https://console.x.ai. "
    "Set GROK_MCP_GATEWAY=sandbox to try it without."
)


def check_settings() -> tuple[Settings | None, list[Check]]:
    """The settings, None where they are wrong, and a finding for each fault."""
    settings, checks = None, []
    try:
        settings = load_settings()
    except SettingsError as error:
        for fault in error.problems:
            variable = fault.partition(":")[0]
            fix = f"Correct {variable}, or unset it; no call is made until then."
            checks.append(wrong("settings", fault, fix))
    known = [variable for name in Settings.model_fields for variable in variables_of(name)]
    for name in unknown_variables():
        close = difflib.get_close_matches(name.upper(), known, 1)
        fix = f"{close[0]} may have been meant." if close else "Unset it, or look for a newer version."
        checks.append(doubtful("settings", f"{name} is no setting of this version and has no effect", fix))
    return settings, checks or [fine("settings", "all values are good")]


def check_key(settings: Settings) -> list[Check]:
    """Whether there is a key that can be sent; never shows any of it."""
    gateway = GATEWAYS.get(settings.gateway or "")
    if gateway is not None and gateway.own_key:
        return [fine("key", f"{gateway.title.lower()} needs none")]
    key = settings.key()
    if key is None:
        return [_missing(settings)]
    variable = settings.key_variable()
    checks = [fine("key", f"{variable} is set, {len(key)} characters")]
    checks += [
        doubtful(
            "key", f"{name} has white space around the key, which is left out", f"Take it out of {name}."
        )
        for name, secret in _variables(settings)
        if name == variable and secret.get_secret_value() != secret.get_secret_value().strip()
    ]
    checks += [
        doubtful("key", f"{name} {fault_of(value)}; the key comes from {variable}", f"Unset {name}.")
        for name, secret in _variables(settings)
        if (value := secret.get_secret_value().strip()) and fault_of(value)
    ]
    file = settings.api_key_file
    if file is not None and variable == "GROK_MCP_API_KEY_FILE" and readable_by_others(file.expanduser()):
        message = f"other users of this machine can read {file}"
        checks.append(doubtful("key", message, f"Run: chmod 600 {file}"))
    return checks


def wants_key(settings: Settings) -> bool:
    """Whether a key is needed and nothing is said about any."""
    said = bool(_variables(settings)) or settings.api_key_file is not None
    return not said and settings.gateway != "sandbox"


def _variables(settings: Settings) -> list[tuple[str, SecretStr]]:
    given = {"XAI_API_KEY": settings.xai_api_key, "GROK_MCP_API_KEY": settings.api_key}
    return [(name, secret) for name, secret in given.items() if secret is not None]


def _missing(settings: Settings) -> Check:
    for name, secret in _variables(settings):
        value = secret.get_secret_value().strip()
        fault = fault_of(value)
        if value and fault and "placeholder" in fault:
            return wrong(
                "key",
                f"{name} {fault}",
                f"Set {name} where the host is started, or write the key itself into the host's file; "
                "not every host replaces placeholders.",
            )
        if value and fault:
            fix = f"Copy the key anew, without spaces and line ends, into {name}."
            return wrong("key", f"{name} {fault}", fix)
    if settings.api_key_file is not None:
        fix = "Give GROK_MCP_API_KEY_FILE a text file that this user can read, with the key alone in it."
        return wrong("key", f"GROK_MCP_API_KEY_FILE: {_file_fault(settings.api_key_file)}", fix)
    return wrong("key", "there is none", GET_A_KEY)


def _file_fault(path: Path) -> str:
    """Why no key can be had from a file."""
    try:
        text = path.expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        return f"{path} can't be read: {error.strerror or type(error).__name__}"
    except (ValueError, RuntimeError):
        return f"{path} is no text"
    return f"{path} {fault_of(text)}"
