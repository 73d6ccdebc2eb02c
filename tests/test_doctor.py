"""`doctor` finds what was broken on purpose, says how to fix it, and leaves the healthy alone."""

import asyncio
import datetime
import json
import os
import re
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from grok_mcp.doctor.findings import Check
from grok_mcp.doctor.installation import STRANGER, check_folder
from grok_mcp.hosts import HOSTS, Machine, package_of
from tests.support.doctor import (
    KEY,
    Report,
    User,
    always,
    closed_port,
    entry,
    for_posts,
    healthy,
    without_path,
)
from tests.support.endpoint import Endpoint, Reply, Request, body, chat

pytestmark = pytest.mark.anyio


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


@dataclass(frozen=True)
class Broken:
    """One thing that is broken, the check that finds it, and words that its message and fix must have."""

    id: str
    finds: str
    message: str
    fix: str
    environment: Mapping[str, str] = field(default_factory=dict)
    endpoint: Callable[[Request], Reply] | None = None


CLOSED = f"127.0.0.1:{closed_port()}"
BROKEN = [
    Broken("no-key", "key", "there is no key", "XAI_API_KEY", {"XAI_API_KEY": ""}),
    Broken("placeholder", "key", "placeholder", "write the key itself", {"XAI_API_KEY": "${XAI_API_KEY}"}),
    Broken("two-lines", "key", "in no key", "Copy the key again", {"XAI_API_KEY": f"{KEY}\n{KEY}"}),
    Broken(
        "key-file-missing",
        "key",
        "can't be read: No such file or directory (nowhere.txt)",
        "GROK_MCP_API_KEY_FILE",
        {"XAI_API_KEY": "", "GROK_MCP_API_KEY_FILE": "nowhere.txt"},
    ),
    Broken("bad-number", "settings", "'soon'", "GROK_MCP_TIMEOUT", {"GROK_MCP_TIMEOUT": "soon"}),
    Broken("bad-address", "settings", "api.x.ai/v1", "XAI_BASE_URL", {"XAI_BASE_URL": "api.x.ai/v1"}),
    Broken("port-closed", "connect", CLOSED, "XAI_BASE_URL", {"XAI_BASE_URL": f"http://{CLOSED}/v1"}),
    Broken(
        "certificates-nowhere",
        "tls",
        "SSL_CERT_FILE can't be used: no such file",
        "PEM file",
        {"XAI_BASE_URL": "https://api.example.test/v1", "SSL_CERT_FILE": "/nowhere/ca.pem"},
    ),
    Broken(
        "proxy-of-no-kind",
        "proxy",
        "ALL_PROXY can't be used: socks4 is no kind of proxy",
        "NO_PROXY",
        {"XAI_BASE_URL": "https://api.example.test/v1", "ALL_PROXY": "socks4://127.0.0.1:9"},
    ),
    Broken(
        "state-folder-no-folder",
        "state",
        f"{os.devnull} is not a folder",
        "GROK_MCP_STATE_DIR",
        {"GROK_MCP_STATE_DIR": f"{os.devnull}/grok-mcp"},
    ),
    Broken(
        "limits-missing",
        "limits",
        "can't be read: No such file or directory",
        "Correct the file",
        {"GROK_MCP_LIMITS_FILE": "nowhere.toml"},
    ),
    Broken(
        "host-unknown",
        "dns",
        "grok.invalid is not known",
        "Correct the host in XAI_BASE_URL",
        {"XAI_BASE_URL": "https://grok.invalid/v1"},
    ),
    Broken(
        "proxy-dead",
        "proxy",
        f"{CLOSED} can't be reached",
        "name api.example.test in NO_PROXY",
        {"XAI_BASE_URL": "https://api.example.test/v1", "HTTPS_PROXY": f"http://joe:pw@{CLOSED}"},
    ),
    Broken(
        "redis-down",
        "redis",
        "no answer",
        "GROK_MCP_REDIS_URL",
        {"GROK_MCP_REDIS_URL": f"redis://{CLOSED}/0"},
        healthy,
    ),
    Broken(
        "postgres-down",
        "ledger",
        f"{CLOSED}/db can't be used",
        "GROK_MCP_LEDGER_URL",
        {"GROK_MCP_LEDGER_URL": f"postgresql://joe:pw@{CLOSED}/db"},
        healthy,
    ),
    Broken(
        "key-refused", "key accepted", "401", "XAI_API_KEY", endpoint=for_posts(401, f"Incorrect key {KEY}")
    ),
    Broken("key-forbidden", "key accepted", "403", "may do", endpoint=always(body("no", 403))),
    Broken("no-credit", "credit", "credits", "Top up", endpoint=for_posts(403, "used all available credits")),
    Broken(
        "wrong-path", "endpoint", "none of the paths", "https://api.x.ai/v1", endpoint=always(body("no", 404))
    ),
    Broken(
        "moved",
        "endpoint",
        "HTTP 301",
        "final base URL",
        endpoint=always(body("", 301, Location="https://elsewhere.example/v1")),
    ),
    Broken(
        "web-page",
        "endpoint",
        "not with JSON",
        "XAI_BASE_URL",
        endpoint=always(body("<html>", content_type="text/html")),
    ),
    Broken("in-trouble", "endpoint", "HTTP 503", "Try again", endpoint=always(body("busy", 503))),
    Broken(
        "silent",
        "endpoint",
        "does not answer",
        "Try again later",
        {"GROK_MCP_IDLE_TIMEOUT": "1"},
        always(Reply(end="silent")),
    ),
    Broken(
        "wrong-model",
        "model",
        "no grok-4.7-fats",
        "Did you mean grok-4.7-fast",
        {"GROK_MCP_MODEL": "grok-4.7-fats"},
        healthy,
    ),
    Broken(
        "wrong-dialect",
        "dialects",
        "does not speak chat_completions",
        "GROK_MCP_DIALECT=responses",
        {"GROK_MCP_GATEWAY": "nebula", "GROK_MCP_MODEL": "grok-4.7"},
        without_path("/chat/completions"),
    ),
    Broken(
        "no-way-to-search",
        "search",
        "needs the dialect responses",
        "GROK_MCP_SEARCH_DIALECT",
        {"GROK_MCP_GATEWAY": "xai"},
        without_path("/responses"),
    ),
]


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.id)
async def test_what_is_broken_is_found_and_how_to_mend_it_is_said(case: Broken, user: User) -> None:
    user.file(".cursor/mcp.json", {"mcpServers": {"grok": entry()}} if case.id != "no-key" else {})
    async with Endpoint(choose=case.endpoint or healthy) as endpoint:
        at = {"XAI_BASE_URL": endpoint.url, "XAI_API_KEY": KEY}
        report = await user.doctor_soon("--json", **at | dict(case.environment))
    assert (report.status, report.told["ok"], report.stderr) == (1, False, "")
    assert [check["name"] for check in report.faults] == [case.finds]
    assert case.message in report.faults[0]["message"]
    assert case.fix in report.faults[0]["fix"]
    assert KEY not in report.stdout
    assert "joe" not in report.stdout


def certificate(folder: Path) -> ssl.SSLContext:
    """A server's context with a certificate that nobody has signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "certificate.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@asynccontextmanager
async def listening(context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Something that takes connections, by TLS where it has a context, and says nothing; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_certificate_that_nobody_trusts_is_found(user: User, tmp_path: Path) -> None:
    async with listening(certificate(tmp_path)) as port:
        at = {"XAI_BASE_URL": f"https://127.0.0.1:{port}/v1", "XAI_API_KEY": KEY}
        report = await user.doctor_soon("--json", **at)
    (fault,) = report.faults
    assert (fault["name"], report.status) == ("tls", 1)
    assert "self-signed certificate" in fault["message"]
    assert "SSL_CERT_FILE" in fault["fix"]


async def test_https_where_none_is_spoken_is_found(user: User) -> None:
    async with Endpoint(choose=healthy) as endpoint:
        at = {"XAI_BASE_URL": endpoint.url.replace("http:", "https:"), "XAI_API_KEY": KEY}
        report = await user.doctor_soon("--json", **at)
    (fault,) = report.faults
    assert fault["name"] == "tls"
    assert "begin with http://" in fault["fix"]


NESTED = {"transport": {"type": "stdio", **entry()}}
REMOTE = {"url": "https://grok.example/mcp"}


@dataclass(frozen=True)
class BrokenFile:
    """A host's file with one thing wrong, and the words by which doctor says so."""

    host: str
    content: Any
    message: str
    fix: str
    project: bool = False

    def put(self, user: User) -> Path:
        machine = Machine(Machine.here().system, str(user.home), {}, str(user.folder))
        path = HOSTS[self.host].file(machine, project=self.project)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.content if isinstance(self.content, str) else json.dumps(self.content))
        return path


BY_PATH = {"command": sys.executable, "args": ["-m", "grok_mcp"]}
CODEX = """\
[mcp_servers.grok]
command = "uvx"
args = ["grok-mcp-server"]
env_vars = ["XAI_API_KEY"]
"""
BROKEN_FILES = [
    BrokenFile("cursor", '{"mcpServers": {"grok": }', "it is not JSON", "Correct the JSON"),
    BrokenFile(
        "claude-desktop",
        {"mcpServers": {"grok": entry(**BY_PATH, env={"XAI_API_KEY": "${XAI_API_KEY}"})}},
        "Claude Desktop does not replace ${XAI_API_KEY}",
        "Write the key itself",
    ),
    BrokenFile(
        "claude-code",
        {"mcpServers": {"grok": entry(timeout=300)}},
        "timeout is 300, which looks like the wrong unit",
        "it is in milliseconds",
    ),
    BrokenFile("claude-code", {"mcpServers": {"grok": REMOTE}}, '"type"', 'Add "type": "http"', project=True),
    BrokenFile(
        "cline",
        {"mcpServers": {"grok": {**NESTED, "timeout": 600_000}}},
        "timeout is 600000, which looks like the wrong unit",
        "it is in seconds",
    ),
    BrokenFile(
        "codex",
        '[mcp_servers.grok]\nurl = "https://grok.example/mcp"\nheaders = { Authorization = "Bearer x" }\n',
        "ignores headers",
        "Write http_headers in place of headers, or take bearer_token_env_var",
    ),
    BrokenFile(
        "vscode",
        '{"servers": {"grok": {"command": "/no/grok-mcp-server", "env": {"XAI_API_KEY": "${env:KEY}"},}}} //',
        "/no/grok-mcp-server is not found",
        "absolute path",
    ),
    BrokenFile(
        "gemini-cli",
        {"mcpServers": {"grok": entry(args=["--python", "3.12", "grok-mcp@latest"])}},
        "somebody else's program",
        "grok-mcp-server in place of grok-mcp; if it ever ran with your key, change the key",
    ),
    BrokenFile(
        "vscode", {"mcpServers": {"grok": entry()}}, "stands under mcpServers", "Move it to servers", True
    ),
    BrokenFile("windsurf", {"mcpServers": {"grok": REMOTE}}, 'does not read "url"', 'Write "serverUrl"'),
    BrokenFile(
        "opencode",
        {"mcp": {"grok": {"type": "local", "command": ["uvx", "grok-mcp-server"], "timeout": 30}}},
        "timeout is 30, which looks like the wrong unit",
        "it is in milliseconds",
    ),
]


@pytest.fixture(scope="module")
def broken_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[int, Path], Report]:
    """Where each file stands, and what doctor says of a machine that has them all."""
    user = User(tmp_path_factory.mktemp("hosts"))
    paths = {id(case): case.put(user) for case in BROKEN_FILES}
    return paths, user.doctor("--offline", "--json", XAI_API_KEY=KEY, KEY=KEY)


@pytest.mark.parametrize("case", BROKEN_FILES, ids=lambda case: f"{case.host}{'-project' * case.project}")
async def test_what_is_wrong_in_a_host_s_file_is_found(
    case: BrokenFile, broken_files: tuple[dict[int, Path], Report]
) -> None:
    paths, report = broken_files
    path = str(paths[id(case)])
    (finding,) = [
        check for check in report.named(f"host {case.host}") if check["message"].startswith(f"{path}: ")
    ]
    assert (finding["ok"], report.status) == (False, 1)
    assert case.message in finding["message"]
    assert case.fix in finding["fix"]
    assert KEY not in report.stdout


async def test_each_broken_file_is_one_fault(broken_files: tuple[dict[int, Path], Report]) -> None:
    assert len(broken_files[1].faults) == len(BROKEN_FILES)


async def test_one_cause_in_several_hosts_is_one_finding_with_their_names(user: User) -> None:
    servers = {
        "mcpServers": {
            "grok": entry(env={"XAI_API_KEY": "${env:XAI_API_KEY}"}, command="/no/grok-mcp-server")
        }
    }
    user.file(".cursor/mcp.json", servers)
    user.file(".codeium/windsurf/mcp_config.json", servers)
    user.file(
        ".codex/config.toml",
        '[mcp_servers.grok]\ncommand = "uvx"\nargs = ["grok-mcp-server"]\nenv_vars = ["XAI_API_KEY"]\n',
    )
    user.file(".config/zed/settings.json", {"context_servers": {"grok": entry(env={})}})
    report = await user.doctor_soon("--offline", "--json", XDG_CONFIG_HOME=str(user.home / ".config"))
    assert [(check["message"], check["fix"]) for check in report.named("hosts")] == [
        (
            "Cursor and Windsurf: the command /no/grok-mcp-server is not found",
            "Install grok-mcp-server, or give its absolute path as command.",
        ),
        (
            "Cursor, Codex, Windsurf and Zed: the key comes from XAI_API_KEY, which is not set in this shell",
            "Set XAI_API_KEY where each host is started.",
        ),
    ]
    assert [check["name"] for check in report.checks if check["name"].startswith("host ")] == []


@pytest.mark.parametrize(
    "variables",
    [
        {"XAI_API_KEY": KEY},
        {"GROK_MCP_API_KEY_FILE": "key.txt"},
        {"GROK_MCP_GATEWAY": "sandbox"},
        {"GROK_MCP_GATEWAY": "sandbox", "GROK_MCP_AUTO_RESTART": "1", "GROK_MCP_STARTUP_TIMEOUT_SECS": "60"},
    ],
    ids=["key", "key file", "sandbox", "variables of Grok Build"],
)
async def test_what_a_host_hands_on_by_itself_is_no_fault(variables: dict[str, str], user: User) -> None:
    (user.folder / "key.txt").write_text(KEY)
    (user.folder / "key.txt").chmod(0o600)
    user.file(".config/zed/settings.json", {"context_servers": {"grok": entry(env={})}})
    user.file(".grok/config.toml", '[mcp_servers.grok]\ncommand = "uvx"\nargs = ["grok-mcp-server"]\n')
    report = await user.doctor_soon(
        "--offline", "--json", **variables, XDG_CONFIG_HOME=str(user.home / ".config")
    )
    assert [check for check in report.checks if check["fix"]] == []
    assert {"host zed", "host grok-build"} <= {check["name"] for check in report.checks}


async def test_without_a_key_nothing_goes_out_and_doctor_says_so(user: User) -> None:
    async with Endpoint(choose=healthy) as endpoint:
        report = await user.doctor_soon("--json", XAI_BASE_URL=endpoint.url)
        assert endpoint.requests == []
    (network,) = report.named("network")
    assert network["message"] == "not checked, because there is no key"
    assert not report.named("connect")


@pytest.mark.parametrize("gateway", [None, "xai", "openrouter"])
async def test_nothing_is_requested_twice(gateway: str | None, user: User) -> None:
    named = {"GROK_MCP_GATEWAY": gateway} if gateway else {}
    async with Endpoint(choose=healthy) as endpoint:
        await user.doctor_soon("--json", XAI_BASE_URL=endpoint.url, XAI_API_KEY=KEY, **named)
        sent = [(request.method, request.path) for request in endpoint.requests]
    assert len(sent) == len(set(sent)) >= 3


async def test_a_healthy_set_up_has_nothing_to_mend(user: User) -> None:
    user.file(".cursor/mcp.json", {"mcpServers": {"grok": entry(), "other": {"command": "nowhere"}}})
    user.file(
        ".codex/config.toml",
        '[mcp_servers.grok]\ncommand = "uvx"\nargs = ["grok-mcp-server"]\nenv_vars = ["XAI_API_KEY"]\n',
    )
    async with Endpoint(choose=healthy) as endpoint:
        report = await user.doctor_soon("--json", XAI_BASE_URL=endpoint.url, XAI_API_KEY=KEY)
        sent = endpoint.requests
    assert [check for check in report.checks if check["fix"] or not check["ok"]] == []
    assert (report.status, report.told["ok"], report.stderr) == (0, True, "")
    names = [check["name"] for check in report.checks]
    assert names == [
        *("versions", "settings", "key", "state", "base url", "connect", "endpoint", "key accepted"),
        *("dialects", "model", "search", "host cursor", "host codex"),
    ]
    assert set(report.told) == {"ok", "checks"}
    assert all(set(check) == {"name", "ok", "message", "fix"} for check in report.checks)
    assert [request.body for request in sent if request.method == "POST"] == [{}, {}]


async def test_the_sandbox_is_healthy_also_in_full_and_the_calls_are_priced(user: User) -> None:
    user.file(".cursor/mcp.json", {"mcpServers": {"grok": entry(env={"GROK_MCP_GATEWAY": "sandbox"})}})
    report = await user.doctor_soon("--full", GROK_MCP_GATEWAY="sandbox")
    assert (report.status, report.stderr) == (0, "")
    lines = report.stdout.splitlines()
    assert [line for line in lines[:-2] if not line.startswith("✓ ")] == []
    assert lines[-1] == "Nothing to fix."
    for tool in ("ask", "search", "structured"):
        assert re.search(rf"^✓ call {tool}: grok-4.7, .* tokens, 0\.\d+ USD, ", report.stdout, re.MULTILINE)
    assert re.search(r"^✓ cost: of these calls: 0\.0\d+ USD$", report.stdout, re.MULTILINE)


async def test_full_finds_a_search_that_does_not_search(user: User) -> None:
    async with Endpoint(choose=lambda request: _answers(request)) as endpoint:
        at = {"XAI_BASE_URL": endpoint.url, "XAI_API_KEY": KEY}
        report = await user.doctor_soon("--full", "--json", **at)
    (ask,), (search,), (structured,) = (
        report.named(f"call {name}") for name in ("ask", "search", "structured")
    )
    assert ask["ok"] and structured["ok"]
    assert "without searching" in search["message"]
    assert "GROK_MCP_SEARCH_DIALECT" in search["fix"]


def _answers(request: Request) -> Reply:
    return chat('{"ok": true}') if request.body else healthy(request)


async def test_offline_asks_nobody(user: User) -> None:
    async with Endpoint(choose=healthy) as endpoint:
        report = await user.doctor_soon("--offline", "--json", XAI_BASE_URL=endpoint.url, XAI_API_KEY=KEY)
        assert endpoint.connections == 0
    assert report.told["ok"]
    (network,) = report.named("network")
    assert "--offline" in network["message"]


async def test_a_shell_without_a_key_takes_the_settings_of_a_host(user: User) -> None:
    async with Endpoint(choose=for_posts(401, "unauthorized")) as endpoint:
        settings = {"XAI_API_KEY": KEY, "XAI_BASE_URL": endpoint.url}
        user.file(".cursor/mcp.json", {"mcpServers": {"grok": entry(env=settings)}})
        report = await user.doctor_soon("--json")
        assert {request.headers.get("authorization") for request in endpoint.requests} == {f"Bearer {KEY}"}
    (shell,), (fault,) = report.named("shell"), report.faults
    assert "the entry of Cursor" in shell["message"]
    assert fault["name"] == "key accepted"
    assert KEY not in report.stdout


async def test_a_person_reads_the_fault_and_below_it_what_mends_it(user: User) -> None:
    report = await user.doctor_soon("--offline", GROK_MCP_TIMOUT="3", XAI_API_KEY="")
    assert "! settings: GROK_MCP_TIMOUT is not a setting of this version and has no effect\n" in report.stdout
    assert "    Did you mean GROK_MCP_TIMEOUT?\n" in report.stdout
    assert re.search(r"^✗ key: there is no key\n    Set XAI_API_KEY ", report.stdout, re.MULTILINE)
    assert report.stdout.endswith("\n\n1 to fix.\n")
    assert (report.status, report.stderr) == (1, "")


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")
async def test_a_key_file_that_others_can_read_is_named(user: User) -> None:
    path = user.file("key.txt", KEY)
    path.chmod(0o644)
    report = await user.doctor_soon("--offline", "--json", GROK_MCP_API_KEY_FILE=str(path))
    known, readable = report.named("key")
    assert known["message"] == f"GROK_MCP_API_KEY_FILE is set, {len(KEY)} characters"
    assert readable["fix"] == f"Run: chmod 600 {path}"
    assert report.told["ok"]


async def test_of_several_keys_the_first_is_named_by_its_place_where_it_has_no_credit(user: User) -> None:
    def choose(request: Request) -> Reply:
        is_first = request.headers["authorization"].endswith("first")
        return body({"error": {"message": "No credits left"}}, 402) if is_first else healthy(request)

    path = user.file("keys.txt", f"{KEY}-first\n{KEY}-second\n")
    path.chmod(0o600)
    async with Endpoint(choose=choose) as endpoint:
        at = {"XAI_BASE_URL": endpoint.url, "GROK_MCP_GATEWAY": "xai"}
        report = await user.doctor_soon("--json", GROK_MCP_API_KEY_FILE=str(path), **at)
    (credit,) = report.named("credit")
    assert credit["message"].startswith("key 1 of 2 in GROK_MCP_API_KEY_FILE: xAI answered HTTP 402")
    (second,) = report.named("key accepted")
    assert second["message"] == "xAI accepts key 2 of 2 in GROK_MCP_API_KEY_FILE"


async def test_a_retired_model_is_no_fault_but_named(user: User) -> None:
    async with Endpoint(choose=healthy) as endpoint:
        at = {"XAI_BASE_URL": endpoint.url, "XAI_API_KEY": KEY, "GROK_MCP_GATEWAY": "xai"}
        report = await user.doctor_soon("--json", GROK_MCP_MODEL="grok-3", **at)
    (model,) = report.named("model")
    assert model["ok"]
    assert "GROK_MCP_MODEL=grok-4.3" in model["fix"]


async def test_full_and_offline_exclude_each_other(user: User) -> None:
    report = await user.doctor_soon("--full", "--offline")
    assert (report.status, report.stdout) == (2, "")
    assert "Traceback" not in report.stderr


@pytest.mark.parametrize(
    ("command", "package"),
    [
        (f"uvx {STRANGER}", STRANGER),
        ("uvx --python 3.12 -q grok_mcp==0.1", "grok-mcp"),
        (r"C:\bin\uvx.exe grok-mcp@latest", "grok-mcp"),
        (f"cmd /c uvx {STRANGER}", STRANGER),
        (f"uv tool run {STRANGER}", STRANGER),
        (f"pipx run {STRANGER}", STRANGER),
        ("npx -y grok-mcp", "grok-mcp"),
        ("uvx --from=grok-mcp grok-mcp-server", "grok-mcp"),
        ("uvx --from grok-mcp-server[redis] grok-mcp", "grok-mcp-server"),
        ("pipx run --spec grok-mcp-server grok-mcp", "grok-mcp-server"),
        ("uvx grok-mcp-server", "grok-mcp-server"),
        ("uvx", None),
        ("grok-mcp-server serve", None),
        ("python -m grok_mcp", None),
    ],
)
async def test_the_package_that_a_command_starts(command: str, package: str | None) -> None:
    program, *arguments = command.split(" ")
    assert package_of(program, arguments) == package


async def test_a_folder_that_is_not_there_yet_can_be_written_to_where_it_would_be_made(
    tmp_path: Path,
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert check_folder("state", tmp_path / "new" / "deeper", "Name another.").ok
    assert check_folder("state", file / "below", "Name another.") == Check(
        "state", False, f"{file} is not a folder", "Name another."
    )


async def test_a_key_in_the_default_of_a_placeholder_is_not_shown(user: User) -> None:
    machine = Machine(Machine.here().system, str(user.home), {}, str(user.folder))
    content = {"context_servers": {"grok": entry(env={"XAI_API_KEY": f"${{XAI_API_KEY:-{KEY}}}"})}}
    path = HOSTS["zed"].file(machine)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))
    report = await user.doctor_soon("--offline", "--json", XAI_API_KEY=KEY)
    (fault,) = report.faults
    assert "Zed does not replace ${XAI_API_KEY:-…}" in fault["message"]
    assert KEY not in report.stdout
