"""A home folder for hosts."""

from pathlib import Path

import pytest

from tests.install.shell import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.at(tmp_path)
