"""Whether the endpoint's key is known to work, from the calls that were made or one cheap look-up."""

import time
from typing import Any, Literal

import anyio

from grok_mcp.endpoint.catalog import Fetch
from grok_mcp.errors import AuthenticationError, ConfigurationError, GrokError, PermissionDeniedError
from grok_mcp.foreign import mapping
from grok_mcp.gateways import Gateway

KNOWN_FOR_S = 60.0

KeyState = Literal["works", "refused", "missing", "unknown", "callers"]
"""`callers`: each caller sends a key, and there is no other."""

BLOCKED = ("team_blocked", "api_key_blocked", "api_key_disabled")


class Readiness:
    """What is known of the key; a call in the last minute is proof enough."""

    def __init__(self, gateway: Gateway, fetch: Fetch) -> None:
        self._gateway = gateway
        self._fetch = fetch
        self.problem: str | None = None
        """Why no request can be made at all, as found when the key was looked up."""
        self._state: KeyState = "unknown"
        self._until = 0.0
        self._asking = anyio.Lock()

    def record(self, error: GrokError | None) -> None:
        """Learn from a call that ended, None where it ended well."""
        state = _state_after(error)
        if state != "unknown":
            self.problem = _problem_in(error)
            self._keep(state)

    def forget(self) -> None:
        """Another key is used from now on."""
        self._until = 0.0

    async def key_state(self) -> KeyState:
        """What the endpoint makes of the key; `unknown` where it can't be reached or does not say."""
        async with self._asking:
            if time.monotonic() >= self._until:
                self._keep(await self._ask())
            return self._state

    async def _ask(self) -> KeyState:
        self.problem = None
        try:
            key_info = await self._fetch(self._gateway.key_check)
        except GrokError as error:
            self.problem = _problem_in(error)
            return _state_after(error)
        except (OSError, ValueError, ImportError) as error:  # whatever the client is built with
            self.problem = f"the client of the endpoint can't be built ({type(error).__name__})"
            return "unknown"
        return "refused" if any(mapping(key_info).get(name) is True for name in BLOCKED) else "works"

    def _keep(self, state: KeyState) -> None:
        self._state = state
        self._until = time.monotonic() + KNOWN_FOR_S


def _problem_in(error: GrokError | None) -> str | None:
    return error.message if isinstance(error, ConfigurationError) else None


def _state_after(error: GrokError | None) -> KeyState:
    if error is None:
        return "works"
    if isinstance(error, ConfigurationError):
        return "missing"
    return "refused" if isinstance(error, AuthenticationError | PermissionDeniedError) else "unknown"


def report(
    state: KeyState, *, closing: bool, problem: str | None = None, has_key: bool = True
) -> dict[str, Any]:
    """What `/readyz` says; a server whose endpoint can't be reached still answers calls with clear errors.

    `problem` is what else has every call refused.
    """
    if state == "missing" and has_key:  # it is not the key that is missing
        state = "unknown"
    ready = not closing and problem is None and state in ("works", "unknown", "callers")
    return {"ready": ready, "key": state, "closing": closing, **({"problem": problem} if problem else {})}
