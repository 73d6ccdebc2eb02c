"""The SDK's packages are entered by the modules that this server uses, without what their `__init__` loads.

`mcp` and `mcp.server` import the SDK's client, its high-level server and `cryptography` as soon as any module
below them is imported: a seventh of a start's processor time, and 10 MB. Here their `__init__` waits until
somebody asks the package for a name (decision 0023).
"""

import sys
from importlib._bootstrap import _ModuleLockManager  # type: ignore[attr-defined]
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_PACKAGES = ("mcp", "mcp.server")

_waiting: set[str] = set()


class _Package(ModuleType):
    """A package that can be looked into, and runs its `__init__` when it is asked for a name of its own."""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__") or name == "__all__":  # for all others nobody needs the `__init__`
            self._run()
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None

    def _run(self) -> None:
        # The import system's own lock of this module, as it sees where two threads wait for each other.
        with _ModuleLockManager(self.__name__):
            spec = self.__spec__
            if self.__name__ in _waiting and spec is not None and spec.loader is not None:
                _waiting.remove(self.__name__)
                spec.loader.exec_module(self)


def put_off() -> None:
    """Let the packages wait; those that are loaded already stay as they are."""
    for name in _PACKAGES:
        if name in sys.modules or (spec := find_spec(name)) is None:
            return
        package = _Package(name)
        package.__spec__ = spec
        package.__loader__ = spec.loader
        package.__package__ = name
        package.__file__ = spec.origin
        package.__path__ = list(spec.submodule_search_locations or ())
        sys.modules[name] = package
        _waiting.add(name)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, package)
