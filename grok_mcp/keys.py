"""The settings that hold the API key, and what can be wrong with one before it is used."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "GROK_MCP_"

_PLACEHOLDER = re.compile(
    r"\$\{.*\}|\$[A-Za-z_]\w*|\{\{.*\}\}|%\w+%|<.*>|your[-_ ].*(?:key|token).*|xai-\.{3}|xai-your.*",
    re.IGNORECASE,
)


def fault_of(key: str) -> str | None:
    """What is wrong with a key, None for one that can be sent."""
    if not key:
        return "is empty"
    if _PLACEHOLDER.fullmatch(key):
        return "holds a placeholder that the host did not replace by the key"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "holds characters that are in no key"
    return None


class KeySettings(BaseSettings):
    """The settings that hold the API key."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        defer_build=True,  # only the whole is of use
    )

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

    def key(self) -> str | None:
        """The first usable API key; None where there is none (`missing_key_reason` says why)."""
        return next((key for _, key in self._keys() if fault_of(key) is None), None)

    def key_variable(self) -> str:
        """The variable that the key comes from, or should come from."""
        return next((name for name, key in self._keys() if fault_of(key) is None), "XAI_API_KEY")

    def missing_key_reason(self) -> str:
        """Why there is no key, as the beginning of a sentence."""
        for variable, key in self._keys():
            if key:
                return f"{variable} {fault_of(key)}"
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
