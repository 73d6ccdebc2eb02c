"""A server as a team has it: tokens for two people, an OAuth issuer for the others, the sandbox upstream."""

from collections.abc import Iterator

import pytest

from grok_mcp.sandbox import SandboxServer
from grok_mcp.serving.http.token_lines import new_token
from tests.network.issuer import AUDIENCE, Issuer
from tests.network.place import MAX_BODY_BYTES, SCOPE, Place
from tests.network.server import SERVE, SlowHeaders, serving


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = {name: new_token(name) for name in ("alice", "bob")}
    file = tmp_path_factory.mktemp("tokens") / "tokens"
    file.write_text("".join(f"{line}\n" for _, line in made.values()))
    with SandboxServer(pace=0) as sandbox, Issuer() as issuer:
        variables = {
            "GROK_MCP_TOKEN_FILE": str(file),
            "GROK_MCP_OAUTH_ISSUER": issuer.url,
            "GROK_MCP_OAUTH_SCOPES": SCOPE,
            "GROK_MCP_PUBLIC_URL": AUDIENCE,
            "GROK_MCP_MAX_BODY_BYTES": str(MAX_BODY_BYTES),
            "GROK_MCP_LOG_LEVEL": "info",
        }
        with serving(sandbox.url, command=SERVE, **variables) as server:
            tokens = {name: token for name, (token, _) in made.items()}
            place = Place(server, issuer, tokens, SlowHeaders(server.port))
            yield place
            place.slow.give_up()
