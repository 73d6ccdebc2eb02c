"""Finds the files that were named, and reads them: text with its lines, documents and images as they are.

Errors name the file by its position among the arguments. A file that changes while it is read is read once
more, so that nobody gets half of one version and half of another.
"""

import codecs
import io
import os
import re
import stat
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from grok_mcp import bounds
from grok_mcp.errors import InvalidArgumentError
from grok_mcp.files.folders import Folders, Place, opened
from grok_mcp.files.matching import Budget, Matching, TooManyError
from grok_mcp.files.names import Lines, Name, alternatives, is_pattern, read_name
from grok_mcp.redaction import INVISIBLE

_BINARY = {b"%PDF-": "application/pdf", b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
"""How files begin that are sent as they are, and their media types."""
_CONTROLS = re.compile(r"[\x00-\x06\x0e-\x1a\x1c-\x1f]")
"""Characters that are in no text; terminals' escapes and form feeds are."""
_PIECE = 20_000
"""Lines that are looked at in one go: nothing else can run meanwhile."""


class FoundFile(NamedTuple):
    """A file that is there, and which lines of it are wanted; `from_glob` where nobody named it alone."""

    name: Name
    place: Place
    lines: Lines | None
    size: int
    changed_ns: int
    from_glob: bool

    @property
    def shown(self) -> str:
        """Its path from an allowed folder."""
        return self.place.shown


class Text(NamedTuple):
    """Lines of a text file, the first of them with the number `first`, of `total` that it has."""

    shown: str
    lines: tuple[str, ...]
    first: int
    total: int
    size: int


class Binary(NamedTuple):
    """A document or image as it is; `kind` is its media type."""

    shown: str
    kind: str
    content: bytes


def find_files(names: Sequence[tuple[str, str]], folders: Folders) -> tuple[list[FoundFile], list[str]]:
    """The files that are named, each with its label, in the order of the names; and notes about globs.

    Raises InvalidArgumentError, which is about as many names as one sentence can hold.
    """
    found: dict[tuple[Place, Lines | None], FoundFile] = {}
    notes, problems, budget = list[str](), list[InvalidArgumentError](), Budget()
    for label, text in names:
        try:
            for file in _find(read_name(text, label), folders, budget, notes):
                found.setdefault((file.place, file.lines), file)
                if len(found) > bounds.FILES:
                    raise InvalidArgumentError(
                        f"{label}: more than {bounds.FILES} files.", "Give fewer, or a narrower glob."
                    )
        except InvalidArgumentError as error:
            problems.append(error)
            if len(problems) == bounds.FILE_PROBLEMS:
                break
    if problems:
        raise together(problems)
    return list(found.values()), notes


def together(problems: Sequence[InvalidArgumentError]) -> InvalidArgumentError:
    """One error for several files."""
    if len(problems) == 1:
        return problems[0]
    advice = dict.fromkeys(problem.advice for problem in problems)
    return InvalidArgumentError(" ".join(problem.message for problem in problems), " ".join(advice))


def _find(name: Name, folders: Folders, budget: Budget, notes: list[str]) -> Iterator[FoundFile]:
    # A name may look like a path with lines, or like a glob, and be none.
    place = folders.find(name, name.whole) if name.lines or is_pattern(name.path) else None
    lines = None if place else name.lines
    if place is None and is_pattern(name.path):
        yield from _matching(name, folders, budget, notes)
        return
    place = place or folders.find(name, name.path)
    if place is None:
        raise name.error(
            f"there is no file {_quoted(name.path)} in the allowed folders.", "Check the path and its case."
        )
    try:
        found = os.stat(place.path, follow_symlinks=False)
    except OSError as error:
        raise name.error(f"can't be read: {error.strerror}.", "Check the path.") from None
    if stat.S_ISDIR(found.st_mode):
        yield from _below(name, place, [("**",)], budget, notes)
    else:
        yield FoundFile(name, place, lines, found.st_size, found.st_mtime_ns, from_glob=False)


def _matching(name: Name, folders: Folders, budget: Budget, notes: list[str]) -> Iterator[FoundFile]:
    """The files that a glob names: what stands before its first wild card is a path."""
    globs = alternatives(name)
    fixed: list[str] = []
    for step in globs[0][:-1]:
        if is_pattern(step) or any(glob[len(fixed) : len(fixed) + 1] != (step,) for glob in globs):
            break
        fixed.append(step)
    start = "/" if name.path.startswith(("/", "\\")) else ""
    place = folders.find(name, start + "/".join(fixed) or ".")
    if any(".." in glob for glob in globs):
        raise name.error("'..' is not taken in a glob.", "Give the path from an allowed folder.")
    if place is None:
        raise name.error(f"there is no folder {_quoted('/'.join(fixed))}.", "Check the path and its case.")
    yield from _below(name, place, [glob[len(fixed) :] for glob in globs], budget, notes)


def _below(
    name: Name, place: Place, globs: Sequence[tuple[str, ...]], budget: Budget, notes: list[str]
) -> Iterator[FoundFile]:
    matching = Matching(globs, budget)
    try:
        files = matching.below(place)
    except TooManyError as error:
        raise name.error(f"{error}.", "Give a narrower glob, or name the files.") from None
    except OSError as error:
        raise name.error(f"can't be looked through: {error.strerror}.", "Check the path.") from None
    left_out = [
        f"{count} {why}"
        for count, why in (
            (matching.ignored, "by an ignore file"),
            (matching.secret, "for names of secrets"),
            (matching.odd, "for characters in their names"),
            (matching.unreadable, "that can't be read"),
        )
        if count
    ]
    aside = f" ({' and '.join(left_out)} left out)" if left_out else ""
    if not files:
        raise name.error(
            f"no file matches {_quoted(name.path)}{aside}.",
            "Check the glob; * stays within one folder, and ** goes through all below.",
        )
    count = "1 file" if len(files) == 1 else f"{len(files)} files"
    notes.append(f"{_quoted(name.path)} stands for {count}{aside}.")
    for found, status in files:
        yield FoundFile(name, found, name.lines, status.st_size, status.st_mtime_ns, from_glob=True)


class Reader:
    """Reads the files of one call, each once, whatever lines of it are wanted."""

    def __init__(self) -> None:
        self._last: tuple[Place, bytes, str | None] | None = None
        self._bytes = 0

    def read(self, file: FoundFile) -> Text | Binary | None:
        """What is in a file; None for one that is no text, and that only a glob without its ending has named.

        Raises InvalidArgumentError.
        """
        if self._last is None or self._last[0].path != file.place.path:
            content = _content(file)
            self._bytes += len(content)
            if self._bytes > bounds.FILES_READ_BYTES:
                raise InvalidArgumentError(
                    f"files: more than {bounds.FILES_READ_BYTES >> 20} MiB would have to be read.",
                    "Give fewer.",
                )
            self._last = file.place, content, None if _kind(content) else decoded(content)
        _, content, text = self._last
        if text is not None:
            limit = bounds.LINES_FILE_BYTES if file.lines else bounds.FILE_BYTES
            if len(content) > limit:
                raise _too_large(file, limit)
            return _lines_of(file, text, len(content))
        return _as_it_is(file, content)


def _as_it_is(file: FoundFile, content: bytes) -> Binary | None:
    """A file that is no text."""
    name, shown, kind = file.name, _quoted(file.shown), _kind(content)
    unnamed = file.from_glob and not name.path.endswith(file.place.path.suffix or "*")
    if unnamed:
        return None
    if kind is None:
        import mimetypes  # reads files of the system

        guess = mimetypes.guess_type(file.place.path.name)[0]
        raise name.error(
            f"{shown} is binary{f' ({guess})' if guess else ''}: only text, PDFs, PNGs and JPEGs are sent.",
            "Leave it out, or convert it to text.",
        )
    if file.lines:
        raise name.error(f"{shown} has no lines: it is {kind}.", "Give the path alone.")
    return Binary(file.shown, kind, content)


def _kind(head: bytes) -> str | None:
    return next((kind for mark, kind in _BINARY.items() if head.startswith(mark)), None)


def _content(file: FoundFile) -> bytes:
    """The bytes of a file as they were at one moment. Raises InvalidArgumentError."""
    name, shown = file.name, _quoted(file.shown)
    try:
        for _ in range(2):
            with opened(file.place) as readable:
                before = os.fstat(readable.fileno())
                head = readable.read(16)
                limit = bounds.DOCUMENT_FILE_BYTES if _kind(head) else bounds.FILE_BYTES
                limit = bounds.LINES_FILE_BYTES if file.lines and not _kind(head) else limit
                if before.st_size > limit:
                    raise _too_large(file, limit)
                content = head + readable.read(limit + 1 - len(head))
                after = os.fstat(readable.fileno())
            if len(content) > limit:
                raise _too_large(file, limit)
            if after.st_mtime_ns == before.st_mtime_ns and after.st_size == before.st_size == len(content):
                return content
    except OSError as error:
        raise name.error(f"{shown} can't be read: {error.strerror}.", "Check the path.") from None
    raise name.error(f"{shown} changes while it is read.", "Try again when it is written.")


def _lines_of(file: FoundFile, text: str, size: int) -> Text:
    first, last = file.lines or Lines()
    reader = io.StringIO(text, newline=None)  # knows all three ends of lines
    wanted = list[str]()
    total = 0
    while piece := list(islice(reader, _PIECE)):
        before, total = total, total + len(piece)
        if first <= total and (last is None or before < last):
            wanted += piece[max(first - 1 - before, 0) : None if last is None else last - before]
    if first > total and file.lines and not file.from_glob and total:
        raise file.name.error(
            f"{_quoted(file.shown)} has {total:,} lines, and none with the number {first:,}.",
            "Give lines that it has.",
        )
    shown = tuple(_shown(line.removesuffix("\n")) for line in wanted)
    return Text(file.shown, shown, first, total, size)


def _shown(line: str) -> str:
    """A line without what could end it somewhere, or nobody would see: that stands as its number."""
    return INVISIBLE.sub(lambda match: f"<U+{ord(match[0]):04X}>", line)


def decoded(content: bytes) -> str | None:
    """Text in UTF-8, UTF-16 or Latin-1 (with the marks that Windows has put into it), None for no text."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if content.startswith(mark):
            return _text(content, encoding)
    if b"\0" in content:
        zeros = [content[start:4096:2].count(0) for start in (0, 1)]
        if 2 * max(zeros) < len(content[:4096]) * 0.6 or 4 * min(zeros) > max(zeros):
            return None
        return _text(content, "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le")
    if _CONTROLS.search(content.decode("latin-1")):
        return None
    texts = (_text(content, encoding) for encoding in ("utf-8", "cp1252", "latin-1"))
    return next(text for text in texts if text is not None)


def _text(content: bytes, encoding: str) -> str | None:
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if _CONTROLS.search(text) else text


def _too_large(file: FoundFile, limit: int) -> InvalidArgumentError:
    lines = "" if file.lines else " Give lines, as in path:1-200." if limit == bounds.FILE_BYTES else ""
    return file.name.error(
        f"{_quoted(file.shown)} is larger than {limit >> 10:,} KiB.", f"Leave it out.{lines}".strip()
    )


def _quoted(path: str) -> str:
    return repr(path if len(path) <= bounds.QUOTED_CHARACTERS else f"…{path[-bounds.QUOTED_CHARACTERS :]}")
