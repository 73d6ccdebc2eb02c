"""Every sentence of `install`, `token`, `doctor` and errors in one file, to be read through.

`make snapshots` writes it again. Read the difference as somebody who sees this for the first time.
"""

from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from tests.support.sentences import error_sentences, sentences

COMMANDS = [
    "cli/install.py",
    "cli/choosing.py",
    "cli/token.py",
    "cli/doctor.py",
    "hosts",
    "doctor",
    "environment.py",
]


class _Text(SingleFileSnapshotExtension):
    _write_mode = WriteMode.TEXT
    file_extension = "txt"


def test_the_sentences_of_setting_up_are_these(snapshot: SnapshotAssertion) -> None:
    assert sentences(COMMANDS) == snapshot(extension_class=_Text)


def test_the_sentences_of_errors_are_these(snapshot: SnapshotAssertion) -> None:
    assert error_sentences() == snapshot(extension_class=_Text)
