"""The environment becomes settings, or one line for each fault."""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest

from grok_mcp.environment import SettingsError, load_settings, unknown_variables, variables_of
from grok_mcp.gateways import GATEWAYS, Gateway, endpoint_url, resolve
from grok_mcp.serving.run import SERVED_BY
from grok_mcp.settings import Settings

DEFAULTS = {
    "gateway": None,
    "model": None,
    "timeout": 900,
    "idle_timeout": 120,
    "connect_timeout": 10,
    "max_retries": 2,
    "max_concurrency": 1000,
    "wait": "auto",
    "max_result_chars": 40_000,
    "progress": "status",
    "results": "text",
    "grace": 10,
    "budget_usd_per_day": None,
    "call_limit_usd": None,
}


def test_defaults_are_those_of_the_design() -> None:
    settings = load_settings()
    assert {name: getattr(settings, name) for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("GROK_MCP_TIMEOUT", "soon", "(is 'soon')"),
        ("GROK_MCP_TIMEOUT", "0", "greater than 0"),
        ("GROK_MCP_MAX_RETRIES", "-1", "greater than or equal to 0"),
        ("GROK_MCP_MAX_CONCURRENCY", "0", "greater than or equal to 1"),
        ("GROK_MCP_GATEWAY", "grok", "'openrouter'"),
        ("GROK_MCP_GATEWAY", "generic", "XAI_BASE_URL"),
        ("GROK_MCP_GATEWAY", "surgeai", "XAI_BASE_URL"),
        ("XAI_BASE_URL", "api.x.ai/v1", "http"),
        ("GROK_MCP_BASE_URL", "ftp://x", "http"),
        ("XAI_BASE_URL", "http://user:pw@ host/v1", "http"),
        ("GROK_MCP_WAIT", "soon", "must be auto, or a number of seconds, or 0 (is 'soon')"),
        ("GROK_MCP_WAIT", "-1", "must be auto"),
        ("GROK_MCP_WAIT", "inf", "must be auto"),
        ("GROK_MCP_WAIT", "nan", "must be auto"),
        ("GROK_MCP_MAX_RESULT_CHARS", "-1", "greater than or equal to 0"),
        ("GROK_MCP_PROGRESS", "loud", "'deltas'"),
        ("GROK_MCP_REDIS_URL", "http://:secret@host", "redis://"),
        ("GROK_MCP_LEDGER_URL", "mysql://joe:secret@host/db", "postgresql://"),
        ("GROK_MCP_LEDGER_URL", "postgresql://joe:se@cret@host/db", "%40 for an @"),
        ("GROK_MCP_LEDGER_URL", "postgresql://joe:se/cret@host/db", "%40 for an @"),
        ("GROK_MCP_LEDGER_URL", "postgresql://joe:se#cret@host/db", "%40 for an @"),
        ("GROK_MCP_OAUTH_ISSUER", "https://login.example", "GROK_MCP_PUBLIC_URL"),
        ("GROK_MCP_OAUTH_JWKS_URL", "http://login.example/keys", "https"),
        ("GROK_MCP_PORT", "70000", "65535"),
        ("GROK_MCP_KEEP_ALIVE", "0", "greater than 0"),
        ("GROK_MCP_KEEP_ALIVE", "inf", "86400"),
        ("GROK_MCP_SESSION_IDLE", "nan", "604800"),
        ("GROK_MCP_SESSION_IDLE", "inf", "604800"),
        ("GROK_MCP_SESSIONS_PER_CALLER", "0", "greater than or equal to 1"),
        ("GROK_MCP_TRANSPORT", "carrier-pigeon", "'streamable-http'"),
        ("GROK_MCP_REASONING_EFFORT", "max", "'xhigh'"),
        ("GROK_MCP_ENV_FILE", "/nowhere/.env", "not a file"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    (fault,) = caught.value.problems
    assert fault.startswith(f"{variable}: ") and said in fault
    assert "\n" not in fault and "cret@" not in fault


def test_every_fault_gets_its_own_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROK_MCP_TIMEOUT", "soon")
    monkeypatch.setenv("GROK_MCP_GRACE", "-1")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert [fault.split(":")[0] for fault in caught.value.problems] == ["GROK_MCP_TIMEOUT", "GROK_MCP_GRACE"]


def test_an_empty_value_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROK_MCP_TIMEOUT", "")
    monkeypatch.setenv("XAI_API_KEY", "")
    assert load_settings().timeout == 900
    assert load_settings().missing_key_reason() == "There is no API key"


AROUND = {
    "white space": (" \t", "  "),
    "carriage return": ("", "\r"),
    "line end": ("", "\r\n"),
    "no-break space": ("\xa0", "\xa0"),
    "byte order mark": ("\ufeff", ""),
    "zero width": ("\u200b", "\u200b"),
    "quotes": ('"', '"'),
    "single quotes": ("'", "'"),
    "typographic quotes": ("“", "”"),
    "all of them": ('\ufeff "', '" \r\n'),
}
VALUES = {
    "XAI_API_KEY": "xai-0123456789abcdef",
    "XAI_BASE_URL": "https://llm.example/v1",
    "GROK_MCP_MODEL": "grok-4.7",
    "GROK_MCP_GATEWAY": "generic",
    "GROK_MCP_TIMEOUT": "60",
    "GROK_MCP_WAIT": "auto",
    "GROK_MCP_STICKY": "true",
    "GROK_MCP_HOST": "127.0.0.1",
    "GROK_MCP_STATE_DIR": "/tmp/state",
    "GROK_MCP_IMAGE_ROOTS": "/tmp/images",
    "GROK_MCP_BUDGET_USD_PER_DAY": "1.50",
    "GROK_MCP_REDIS_URL": "redis://127.0.0.1:6379/0",
    "GROK_MCP_LEDGER_URL": "postgresql://joe:secret@127.0.0.1:5432/db?sslmode=require",
    "GROK_MCP_ALLOWED_HOSTS": "mcp.example",
}


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
def test_what_stands_around_a_value_is_no_part_of_it(
    around: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in VALUES.items():
        monkeypatch.setenv(variable, value)
    expected = load_settings()
    for variable, value in VALUES.items():
        monkeypatch.setenv(variable, value.join(around))
    assert load_settings() == expected
    assert load_settings().key() == VALUES["XAI_API_KEY"]


@pytest.mark.parametrize("blank", [" ", "\r", "\ufeff", '""', "' '"])
def test_a_value_with_nothing_in_it_counts_as_absent(blank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VALUES:
        monkeypatch.setenv(variable, blank)
    assert load_settings() == Settings()


ENV_FILE = "XAI_API_KEY=xai-0123456789abcdef\r\nGROK_MCP_MODEL='grok-é'\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_env_file_may_be_what_an_editor_of_windows_writes(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    file.write_bytes(ENV_FILE.encode(encoding))
    monkeypatch.setenv("GROK_MCP_ENV_FILE", f' "{file}"\r')
    settings = load_settings()
    assert (settings.key(), settings.model) == ("xai-0123456789abcdef", "grok-é")


def fill(path: Path, content: bytes | str | None) -> None:
    """Make a file of this content; `fifo`, `folder`, `device` and None for no file say what stands there."""
    match content:
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to(path)
        case bytes():
            path.write_bytes(content)


@pytest.mark.skipif(sys.platform == "win32", reason="kinds of files as POSIX has them")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (ENV_FILE.encode("latin-1"), "not text in UTF-8 (byte "),
        (ENV_FILE.encode("utf-16-le"), "it is not text"),
        (b"A=1\n\0", "null characters"),
        (b"\xff\xfe" + ENV_FILE.encode("utf-16-le")[:-1], "not text in UTF-16"),
        (b"A=1\n" * 300_000, "larger than 1024 KiB"),
        ("fifo", "not a regular file"),
        ("folder", "not a regular file"),
        ("device", "not a regular file"),
        ("loop", "can't be read: "),
        (None, "is not a file"),
    ],
)
@pytest.mark.parametrize("variable", ["GROK_MCP_ENV_FILE", "GROK_MCP_API_KEY_FILE"])
def test_a_file_that_is_none_of_settings_is_told_and_keeps_nobody_waiting(
    variable: str, content: bytes | str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "file", content)
    monkeypatch.setenv(variable, str(tmp_path / "file"))
    if variable == "GROK_MCP_ENV_FILE":
        with pytest.raises(SettingsError) as caught:
            load_settings()
        (told,) = caught.value.problems
    else:
        told = load_settings().missing_key_reason()
        said = said.replace("1024 KiB", "64 KiB").replace("is not a file", "can't be read: No such file")
    assert told.startswith(variable) and said in told


@pytest.mark.parametrize("variable", ["API_KEY_FILE", "STATE_DIR", "TOKEN_FILE", "IMAGE_ROOTS", "ENV_FILE"])
def test_a_home_folder_that_is_not_known_is_told(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"GROK_MCP_{variable}", "~nobody-of-this-name/x")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    (fault,) = caught.value.problems
    assert fault.startswith(f"GROK_MCP_{variable}: ")


@pytest.mark.parametrize(
    "placeholder",
    [
        *("${XAI_API_KEY}", "$XAI_API_KEY", "${env:XAI_API_KEY}", "{env:XAI_API_KEY}", "%XAI_API_KEY%"),
        *("${input:grok-xai-api-key}", "${XAI_API_KEY:-none}", "${user_config.api_key}", "$env:XAI_API_KEY"),
        *("{{xai_key}}", "{{ secrets.XAI_API_KEY }}", "${{ secrets.KEY }}", "$(cat key)", "#{KEY}#", "[key]"),
        *(
            "{file:~/.key}",
            "@Microsoft.KeyVault(SecretUri=x)",
            "op://vault/xai/key",
            "process.env.XAI_API_KEY",
        ),
        *("XAI_API_KEY", "REPLACE_ME", "xai-your-key-here", "your-key-here", "your_api_key", "YOUR API KEY"),
        *("insert-your-token", "<key>", "<paste your key here>", "xai-...", "xai-…", "xai-****", "xxxxxxxx"),
        *(" ${X} ", '"${XAI_API_KEY}"', "Bearer ${XAI_API_KEY}", "xai-${REST}", "{" * 4000 + "}"),
    ],
)
def test_a_placeholder_counts_as_a_missing_key(placeholder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_API_KEY", placeholder)
    settings = load_settings()
    assert settings.key() is None
    assert settings.missing_key_reason().startswith("XAI_API_KEY holds a placeholder")
    monkeypatch.setenv("GROK_MCP_API_KEY", "real-key")
    assert load_settings().key() == "real-key"


@pytest.mark.parametrize(
    "key",
    [
        "xai-0123456789abcdefABCDEF",
        "sk-or-v1-0123",
        "gsk_0123",
        "a.b.c",
        "key+/==",
        "local",
        "x",
        "test:key@1",
    ],
)
def test_what_may_be_a_key_is_one(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_API_KEY", key)
    assert load_settings().key() == key


@pytest.mark.parametrize("key", ["Bearer xai-0123", "xai-é", "xai\x1b[0m", "xai-\ufeff0123", "x" * 5000])
def test_what_can_be_no_key_is_not_sent(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_API_KEY", key)
    assert load_settings().key() is None
    assert load_settings().missing_key_reason().startswith("XAI_API_KEY h")


def test_the_key_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    monkeypatch.setenv("GROK_MCP_API_KEY_FILE", str(file))
    assert load_settings().key() is None
    assert "GROK_MCP_API_KEY_FILE" in load_settings().missing_key_reason()
    file.write_text("xai-from-file\n")
    assert load_settings().key() == "xai-from-file"


def test_the_environment_wins_over_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    file.write_text("XAI_API_KEY=from-file\nGROK_MCP_TIMEOUT=5\nOTHER=1\n")
    monkeypatch.setenv("GROK_MCP_ENV_FILE", str(file))
    monkeypatch.setenv("GROK_MCP_TIMEOUT", "7")
    settings = load_settings()
    assert (settings.key(), settings.timeout) == ("from-file", 7)


def test_no_key_shows_in_the_settings() -> None:
    settings = Settings(XAI_API_KEY="xai-secret-1", api_key="xai-secret-2")  # type: ignore[arg-type, call-arg]  # read by alias
    assert "secret" not in f"{settings!r}{settings}"


def test_a_variable_that_is_no_setting_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GROK_MCP_TIMOUT", "GROK_MCP_TIMEOUT", "GROK_MCP_XAI_API_KEY"):
        monkeypatch.setenv(name, "1")
    assert unknown_variables() == ["GROK_MCP_TIMOUT", "GROK_MCP_XAI_API_KEY"]
    assert load_settings().key() is None


CHOICES = [
    (name, choice)
    for name, field in Settings.model_fields.items()
    for kind in (field.annotation, *get_args(field.annotation))
    if get_origin(kind) is Literal
    for choice in get_args(kind)
]


@pytest.mark.parametrize(("name", "choice"), CHOICES)
def test_a_choice_may_be_written_in_any_case(name: str, choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variables_of(name)[0], f" {choice.upper()} ")
    if name == "gateway" and not GATEWAYS[choice].own_key:
        monkeypatch.setenv("XAI_BASE_URL", "https://a.example/v1")
    assert getattr(load_settings(), name) == choice


@pytest.mark.parametrize("gateway", GATEWAYS.values(), ids=list(GATEWAYS))
def test_a_gateway_without_an_address_needs_one(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROK_MCP_GATEWAY", gateway.name)
    if gateway.base_url or gateway.own_key:
        assert load_settings().gateway == gateway.name
    else:
        with pytest.raises(SettingsError, match="needs XAI_BASE_URL"):
            load_settings()


def test_the_sandbox_is_never_somewhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROK_MCP_GATEWAY", "sandbox")
    monkeypatch.setenv("XAI_BASE_URL", "https://api.x.ai/v1")
    with pytest.raises(SettingsError, match="this machine"):
        load_settings()


@pytest.mark.parametrize("variable", ["GROK_MCP_BUDGET_USD_PER_DAY", "GROK_MCP_CALL_LIMIT_USD"])
@pytest.mark.parametrize("cap", ["0", "-1", "5 USD", "NaN", "-inf", "inf", "1e400", "100001"])
def test_a_limit_is_an_amount_that_can_be_kept(
    cap: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, cap)
    with pytest.raises(SettingsError, match=rf"^{variable}: .*\(is '"):
        load_settings()


def test_no_call_costs_more_than_a_thousand_dollars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROK_MCP_CALL_LIMIT_USD", "1000.01")
    with pytest.raises(SettingsError, match=r"GROK_MCP_CALL_LIMIT_USD: .*1000"):
        load_settings()


def test_every_setting_has_a_description_and_a_variable() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description
        assert variables_of(name)


def test_every_transport_that_can_be_set_has_a_module_that_serves_it() -> None:
    assert list(SERVED_BY) == [*get_args(Settings.model_fields["transport"].annotation)]
    for module in SERVED_BY.values():
        assert callable(import_module(module).serve)


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        ("https://api.x.ai/v1", "xai"),
        ("https://us.api.x.ai/v1", "xai-us"),
        ("https://eu.api.x.ai/v1", "xai"),
        ("https://llm.ai-nebula.com/v1", "nebula"),
        ("https://gateway.theturbo.ai/v1/", "theturbo"),
        ("https://api.acedata.cloud/grok", "acedata"),
        ("https://api.surgeai.one/v1", "surgeai"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://notopenrouter.ai/api/v1", "generic"),
        ("http://127.0.0.1:8080/v1", "generic"),
    ],
)
def test_a_gateway_is_found_from_the_host_of_its_base_url(
    base_url: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XAI_BASE_URL", base_url)
    assert resolve(load_settings()) is GATEWAYS[name]


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://api.x.ai/v1", "https://api.x.ai/v1/chat/completions"),
        ("https://api.x.ai/v1/", "https://api.x.ai/v1/chat/completions"),
        ("https://a.example/v1/chat/completions", "https://a.example/v1/chat/completions"),
        (
            "https://a.example/v1/responses?api-version=1",
            "https://a.example/v1/chat/completions?api-version=1",
        ),
        ("https://api.acedata.cloud/grok", "https://api.acedata.cloud/grok/chat/completions"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1/chat/completions"),
    ],
)
def test_a_base_url_is_joined_with_the_endpoint_path(base_url: str, url: str) -> None:
    assert endpoint_url(base_url, "/chat/completions") == url


@pytest.mark.parametrize(
    ("value", "watched_s", "unwatched_s"),
    [("auto", 230, 50), (" AUTO ", 230, 50), ("", 230, 50), ("0.2", 0.2, 0.2), ("0", None, None)],
)
def test_a_host_that_takes_notes_may_be_kept_waiting_longer(
    value: str, watched_s: float | None, unwatched_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROK_MCP_WAIT", value)
    settings = load_settings()
    assert (settings.wait_s(watched=True), settings.wait_s(watched=False)) == (watched_s, unwatched_s)
