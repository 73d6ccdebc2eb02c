"""Drives a client of a Grok endpoint through the corpus, and reports what it reads right.

    python run.py --adapter "python adapters/raw.py"

Serves each case over real HTTP on loopback, byte for byte, and starts the adapter as a child process: one
process for all cases, one JSON object a line in each direction. Standard library only, Python 3.11 or later,
so that this folder can be copied alone. README.md has the protocol, schema.json the shapes.

Exit code: 0 where nothing differs, 1 where something does, 2 where the adapter or an argument is unusable.
"""

import argparse
import fnmatch
import io
import json
import math
import os
import queue
import shlex
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

CASES = Path(__file__).parent / "cases"
MODEL = "grok-4.7"
API_KEY = "corpus-key"

PAUSE_S = 0.001
"""Between two pieces of a body, so that most clients read them apart."""
STALL_S = 30.0
"""How long a reply that goes silent is held at most."""
HEAD_BYTES = 64 * 1024
REQUEST_BYTES = 4 * 1024 * 1024
LINE_BYTES = 8 * 1024 * 1024
WAITING_LINES = 4
"""Lines of an adapter that are held until somebody reads them."""
START_S = 30.0
TIMEOUT_S = 20.0
LONGEST_S = 3_600.0
"""The longest that may be asked for."""
MOST = 10**300
"""Numbers beyond are compared as they are: floats don't reach them."""
FAILURES = 5
"""How often in a row an adapter may fail to answer before the run is given up."""
VERDICTS = ("right", "wrong", "not offered")


class UnusableError(Exception):
    """The run can't go on; says why."""


# ------------------------------------------------------------------------------------ cases


@dataclass(frozen=True)
class Case:
    """One case: what a client is to ask, the bytes that come back, and what they mean."""

    name: str
    data: Mapping[str, Any]
    body: bytes

    @property
    def dialect(self) -> str:
        """`chat` or `responses`, the folder that the case stands in."""
        return self.name.partition("/")[0]

    @property
    def kind(self) -> str:
        """What the deviation is about."""
        return str(self.data["kind"])


def load_cases(folder: Path = CASES) -> list[Case]:
    """All cases, by name. Raises UnusableError for one that can't be read."""
    cases = []
    for path in sorted(folder.glob("*/*.json")):
        if path.name.endswith(".body.json"):
            continue
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            body = (path.parent / data["reply"]["body"]).read_bytes()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UnusableError(f"{path} is no case: {error!r}") from None
        cases.append(Case(f"{path.parent.name}/{path.stem}", data, body))
    return cases


# ------------------------------------------------------------------------------------ endpoint


class _Handler(socketserver.StreamRequestHandler):
    """Answers the requests of one connection; the path says which case."""

    disable_nagle_algorithm = True
    timeout = 60
    server: "Endpoint"

    def handle(self) -> None:
        with suppress(OSError, ValueError):
            while self._answer():
                pass

    def _answer(self) -> bool:
        """Read one request and reply; whether another may follow on this connection."""
        line = self.rfile.readline(HEAD_BYTES)
        if not line.strip():
            return False
        method, target, _ = line.decode("latin-1").split(" ", 2)
        length = self._length()
        if length is None:
            self._plain(411, "The corpus reads bodies with a Content-Length.")
            return False
        self.rfile.read(length)
        case = self.server.case_at(target)
        if case is None or method != "POST":
            self._plain(404, f"There is no case at {method} {target}")
            return True
        self.server.requests[case.name] = self.server.requests.get(case.name, 0) + 1
        return self._send(case)

    def _length(self) -> int | None:
        """The size of the body that follows; None where it is not told or too large."""
        length, size = 0, 0
        while (line := self.rfile.readline(HEAD_BYTES)).strip():
            size += len(line)
            name, _, value = line.decode("latin-1").partition(":")
            if name.strip().lower() == "transfer-encoding":
                return None
            if name.strip().lower() == "content-length":
                length = int(value)
            if size > HEAD_BYTES or not 0 <= length <= REQUEST_BYTES:
                return None
        return length

    def _plain(self, status: int, words: str) -> None:
        body = words.encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)

    def _send(self, case: Case) -> bool:
        reply = case.data["reply"]
        transfer, end = reply.get("transfer", "chunked"), reply.get("end", "whole")
        head = [f"HTTP/1.1 {reply.get('status', 200)} {reply.get('reason', '')}"]
        head += [f"{name}: {value}" for name, value in reply.get("headers", {}).items()]
        head += {
            "chunked": ["Transfer-Encoding: chunked"],
            "length": [f"Content-Length: {len(case.body)}"],
            "close": ["Connection: close"],
        }[transfer]
        self.wfile.write("\r\n".join([*head, "", ""]).encode("latin-1"))
        for number, piece in enumerate(cut(case.body, reply.get("pieces", ()))):
            if number:
                time.sleep(PAUSE_S)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if transfer == "chunked" else piece)
        if end == "stall":
            self._until_closed()
        if end == "reset":  # lingering for no time at all makes the close that follows a reset
            at_once = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        if end == "whole" and transfer == "chunked":
            self.wfile.write(b"0\r\n\r\n")
        return bool(end == "whole" and transfer != "close")

    def _until_closed(self) -> None:
        self.connection.settimeout(STALL_S)
        with suppress(OSError):
            while self.connection.recv(1024):
                pass


class Endpoint(socketserver.ThreadingTCPServer):
    """Serves the cases on a free port of 127.0.0.1; `requests` counts what was asked of each."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, cases: Iterable[Case]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._cases = {case.name: case for case in cases}
        self.requests: dict[str, int] = {}

    def base_url(self, case: Case) -> str:
        """The address to give to a client for this case; what stands behind it does not matter."""
        return f"http://127.0.0.1:{self.server_address[1]}/{case.name}/v1"

    def case_at(self, target: str) -> Case | None:
        """The case that a request is about."""
        return self._cases.get("/".join(target.partition("?")[0].split("/")[1:3]))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error of ours."""


@contextmanager
def serving(cases: Iterable[Case]) -> Iterator[Endpoint]:
    """An endpoint while the block runs."""
    with Endpoint(cases) as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield endpoint
        finally:
            endpoint.shutdown()


def cut(body: bytes, pieces: Sequence[int] | Mapping[str, int]) -> list[bytes]:
    """The body in pieces: cut at these offsets, or every so many bytes."""
    if isinstance(pieces, Mapping):
        pieces = range(pieces["every"], len(body), pieces["every"])
    places = [0, *pieces, len(body)]
    return [piece for start, end in pairwise(places) if (piece := body[start:end])]


# ------------------------------------------------------------------------------------ adapter


@dataclass
class Hello:
    """The first line of an adapter: who it is, and which fields of a reading it offers in which dialect."""

    client: str
    version: str
    offers: Mapping[str, Sequence[str]]

    def has(self, dialect: str, name: str) -> bool:
        """Whether a field is offered, all of it or a part; a name covers what is below it."""
        offers = self.offers.get(dialect, ())
        return any(f"{name}.".startswith(f"{one}.") or one.startswith(f"{name}.") for one in offers)


class NoReadingError(Exception):
    """The adapter gave no reading; says what happened instead."""


class Adapter:
    """A child process that reads cases. It is started again where it ended or hung."""

    def __init__(
        self,
        command: str | Sequence[str],
        timeout_s: float = TIMEOUT_S,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        is_line = isinstance(command, str) and os.name != "nt"  # Windows takes it as it is
        try:
            self._command = shlex.split(str(command)) if is_line else command
        except ValueError as error:
            raise UnusableError(f"The adapter's command can't be read: {error}") from None
        if not self._command:
            raise UnusableError("The adapter's command is empty.")
        self._environment = environment
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._lines = _Lines()
        self._errors: list[bytes] = []
        self._readers: list[threading.Thread] = []
        self.hello = Hello("", "", {})

    def start(self) -> None:
        """Start the process and read its first line. Raises UnusableError."""
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise UnusableError(f"The adapter can't be started: {error}") from None
        self._lines, self._errors = _Lines(), []
        self._readers = [
            threading.Thread(target=_pump, args=(self._process.stdout, self._lines), daemon=True),
            threading.Thread(target=_keep, args=(self._process.stderr, self._errors), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        try:
            line = self._line(START_S)
            offers = {dialect: list(map(str, names)) for dialect, names in line["offers"].items()}
            self.hello = Hello(str(line["client"]), str(line["version"]), offers)
        except (NoReadingError, KeyError, TypeError, ValueError, AttributeError) as error:
            self.stop()
            raise UnusableError(
                f"The adapter did not begin with a line {{client, version, offers}}: {error}"
            ) from None

    def read(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """The reading of one case. Raises NoReadingError, behind which the process is gone."""
        if self._process is None:
            self.start()
        assert self._process is not None and self._process.stdin is not None
        if self._lines.is_one_there():  # it would be taken for the reading of this case
            self.stop()
            raise NoReadingError("the adapter wrote more than one line for the case before")
        try:
            self._process.stdin.write(json.dumps(task).encode() + b"\n")
            self._process.stdin.flush()
            return self._line(self._timeout_s)
        except OSError:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
            reason = self._ending()
            self.stop()
            raise NoReadingError(reason) from None
        except NoReadingError:
            self.stop()
            raise

    def _line(self, limit_s: float) -> dict[str, Any]:
        """The next JSON object from the adapter."""
        try:
            line = self._lines.get(limit_s)
        except queue.Empty:
            raise NoReadingError(f"the adapter hung: no line within {limit_s:g} s{self._said()}") from None
        if line is None:
            assert self._process is not None
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
            raise NoReadingError(self._ending())
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise NoReadingError(f"the adapter wrote a line that is no JSON object: {_quoted(line)}")
        return value

    def _ending(self) -> str:
        assert self._process is not None
        time.sleep(0.05)  # its last words are on their way
        return f"the adapter ended with exit code {self._process.poll()}{self._said()}"

    def _said(self) -> str:
        words = b"".join(self._errors)[-2000:].strip().splitlines()
        return f"; its last words: {_quoted(words[-1])}" if words else ""

    def stop(self) -> None:
        """End the process, by force where it does not end by itself."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
        self._lines.close()
        _kill_all(process)
        process.wait()
        for reader in self._readers:
            reader.join(1)


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it has started, which would hold its pipes."""
    if os.name == "nt":
        process.kill()
        return
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)


class _Lines:
    """Lines on their way from a process, None behind the last one; it waits while there are many."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[bytes | None] = queue.Queue(WAITING_LINES)
        self._is_closed = False

    def put(self, line: bytes | None) -> None:
        """Add a line. Raises ValueError where nobody reads any more."""
        while not self._is_closed:
            with suppress(queue.Full):
                return self._waiting.put(line, timeout=0.1)
        raise ValueError("closed")

    def get(self, limit_s: float) -> bytes | None:
        """The next line. Raises queue.Empty."""
        return self._waiting.get(timeout=limit_s)

    def is_one_there(self) -> bool:
        """Whether a line waits to be read."""
        return any(line is not None for line in [*self._waiting.queue])

    def close(self) -> None:
        """Nobody reads any more."""
        self._is_closed = True


def _pump(stream: Any, lines: _Lines) -> None:
    """Hand on the lines of a process."""
    with suppress(OSError, ValueError):
        with stream, suppress(OSError):
            while line := stream.readline(LINE_BYTES):
                if line.strip():
                    lines.put(line)
        lines.put(None)


def _keep(stream: Any, kept: list[bytes]) -> None:
    """Keep the end of what a process writes to stderr."""
    with stream, suppress(OSError, ValueError):
        while piece := stream.read1(4096):
            kept.append(piece)
            del kept[:-16]


def _quoted(line: bytes) -> str:
    text = line.decode("utf-8", "replace").strip()
    return json.dumps(text if len(text) <= 200 else f"{text[:200]}…", ensure_ascii=False)


# ------------------------------------------------------------------------------------ comparing


@dataclass
class Difference:
    """A field that was read otherwise than it is meant."""

    field: str
    expected: Any
    read: Any

    def __str__(self) -> str:
        return f"{self.field}: expected {_short(self.expected)}, read {_short(self.read)}"


@dataclass
class Outcome:
    """What a client made of one case."""

    case: Case
    verdict: str
    differences: list[Difference] = field(default_factory=list)
    problem: str = ""
    """Where there is no reading: what happened instead."""
    reading: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.problem or "; ".join(map(str, self.differences))


def judge(case: Case, reading: Mapping[str, Any], hello: Hello) -> Outcome:
    """Whether a reading is what is expected, or one of what is accepted too."""
    if case.dialect not in hello.offers:
        return Outcome(case, "not offered")
    expect = case.data["expect"]
    least: list[Difference] | None = None

    def offered(name: str) -> bool:
        return hello.has(case.dialect, name)

    for other in ({}, *(one for one in case.data.get("accept", ()) if all(map(offered, one)))):
        differences = list(compare({**expect, **other}, reading, offered))
        if least is None or not differences:
            least = differences
        if not differences:
            break
    if least:
        return Outcome(case, "wrong", least)
    return Outcome(case, "right" if all(map(offered, case.data["focus"])) else "not offered")


Offered = Callable[[str], bool]


def compare(expect: Mapping[str, Any], reading: Mapping[str, Any], offered: Offered) -> Iterator[Difference]:
    """What of a reading differs; only fields that are expected and offered are looked at."""
    for name, expected in expect.items():
        read = reading.get(name)
        if name in ("usage", "error"):
            yield from _object(name, expected, read, offered)
        elif name == "citations":
            if offered(name) and not _cited(expected, read, offered):
                yield Difference(name, expected, read)
        elif offered(name) and not _COMPARED.get(name, _same)(expected, read):
            yield Difference(name, expected, read)


def _object(name: str, expected: Any, read: Any, offered: Offered) -> Iterator[Difference]:
    """Usage and errors are compared field by field; null means that there is none."""
    values = read if isinstance(read, Mapping) else {}
    if expected is None:
        found = {
            key: value for key, value in values.items() if value is not None and offered(f"{name}.{key}")
        }
        if found or (name == "error" and read is not None and offered(name)):
            yield Difference(name, None, read)
        return
    for key, value in expected.items():
        if not offered(f"{name}.{key}"):
            continue
        if not (_contains if key == "message" else _same)(value, values.get(key)):
            yield Difference(f"{name}.{key}", value, values.get(key))


def _same(expected: Any, read: Any) -> bool:
    """Equal; numbers nearly, and nothing is as good as an empty text."""
    if isinstance(expected, bool) or isinstance(read, bool) or expected is None:
        return expected is read
    if isinstance(expected, int | float) and isinstance(read, int | float):
        return expected == read or (abs(read) < MOST and math.isclose(expected, read, rel_tol=1e-9))
    return bool(expected == ("" if read is None and isinstance(expected, str) else read))


def _contains(expected: Any, read: Any) -> bool:
    return isinstance(read, str) and str(expected).lower() in read.lower()


def _calls(expected: Any, read: Any) -> bool:
    """The same calls in the same order; arguments may be JSON text or the value that it is."""
    if not isinstance(read or [], list) or len(expected) != len(read or []):
        return False
    return all(
        isinstance(two, Mapping) and all(_loaded(one[name]) == _loaded(two.get(name)) for name in one)
        for one, two in zip(expected, read or [], strict=True)
    )


def _loaded(value: Any) -> Any:
    """The value that a text is, where it is a JSON object or list; anything else as it is."""
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return value
    try:
        return json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return value


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _cited(expected: Any, read: Any, offered: Offered) -> bool:
    """The same addresses in any order, each with what is expected of it."""
    if not isinstance(read or [], list) or not all(isinstance(one, Mapping) for one in read or []):
        return False
    by_url: dict[str, Mapping[str, Any]] = {}
    for one in read or []:
        by_url.setdefault(str(one.get("url")), one)
    if {one["url"] for one in expected} != set(by_url):
        return False
    return all(
        _same(one[name], by_url[one["url"]].get(name))
        for one in expected
        for name in one
        if offered(f"citations.{name}")
    )


def _set(expected: Any, read: Any) -> bool:
    return isinstance(read or [], list) and sorted(set(expected)) == sorted(set(map(str, read or [])))


def _list(expected: Any, read: Any) -> bool:
    """As many, each with what is expected of it."""
    found = read or []
    return isinstance(found, list) and len(expected) == len(found) and all(map(_has, expected, found))


def _has(expected: Any, read: Any) -> bool:
    if not isinstance(expected, Mapping):
        return _same(expected, read)
    return isinstance(read, Mapping) and all(_same(expected[name], read.get(name)) for name in expected)


_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "tool_calls": _calls,
    "searches": _set,
    "pages": _set,
    "alternatives": _list,
    "code_runs": _list,
    "documents": _list,
}


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 160 else f"{text[:160]}…"


# ------------------------------------------------------------------------------------ a run


def run(cases: Sequence[Case], adapter: Adapter) -> list[Outcome]:
    """What the adapter makes of each case. Raises UnusableError where it answers nothing any more."""
    outcomes: list[Outcome] = []
    failures = 0
    adapter.start()
    try:
        with serving(cases) as endpoint:
            for case in cases:
                outcome = _try(case, adapter, endpoint)
                failures = failures + 1 if outcome.problem else 0
                outcomes.append(outcome)
                if failures == FAILURES:
                    raise UnusableError(f"The adapter failed {FAILURES} times in a row: {outcome.problem}")
    finally:
        adapter.stop()
    return outcomes


def _try(case: Case, adapter: Adapter, endpoint: Endpoint) -> Outcome:
    if adapter.hello.offers and case.dialect not in adapter.hello.offers:
        return Outcome(case, "not offered")
    request = {"dialect": case.dialect, "model": MODEL, "api_key": API_KEY, **case.data["request"]}
    task = {"case": case.name, "base_url": endpoint.base_url(case), "request": request}
    try:
        reading = adapter.read(task)
    except NoReadingError as error:
        return Outcome(case, "wrong", problem=f"no reading: {error}")
    if "not_offered" in reading:
        return Outcome(case, "not offered")
    if not endpoint.requests.get(case.name):
        return Outcome(
            case, "wrong", problem=f"no request came to {task['base_url']}; read {_short(reading)}"
        )
    outcome = judge(case, reading, adapter.hello)
    outcome.reading = reading
    return outcome


def by_kind(outcomes: Iterable[Outcome]) -> dict[str, dict[str, int]]:
    """How many cases of each kind have which verdict."""
    table: dict[str, dict[str, int]] = {}
    for outcome in outcomes:
        row = table.setdefault(outcome.case.kind, dict.fromkeys(VERDICTS, 0))
        row[outcome.verdict] += 1
    return dict(sorted(table.items()))


def report(hello: Hello, outcomes: Sequence[Outcome], known: Mapping[str, str]) -> Iterator[str]:
    """The lines that a person reads."""
    table = by_kind(outcomes)
    total = {verdict: sum(row[verdict] for row in table.values()) for verdict in VERDICTS}
    yield f"{hello.client} {hello.version}"
    yield f"{'kind':<14}{'right':>7}{'wrong':>7}{'not offered':>13}{'of':>6}"
    for kind, row in [*table.items(), ("all", total)]:
        counts = f"{row['right']:>7}{row['wrong']:>7}{row['not offered']:>13}{sum(row.values()):>6}"
        yield f"{kind:<14}{counts}"
    for outcome in outcomes:
        name = outcome.case.name
        if outcome.verdict == "wrong":
            yield f"\n{name}{' (known)' if name in known else ''}\n  {outcome.case.data['about']}"
            yield from (
                f"  {line}" for line in ([outcome.problem] if outcome.problem else outcome.differences)
            )
        elif name in known:
            yield f"\n{name}\n  stands in the file of known differences, and is {outcome.verdict}."


def as_json(hello: Hello, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "client": hello.client,
        "version": hello.version,
        "offers": hello.offers,
        "kinds": by_kind(outcomes),
        "cases": [
            {
                "name": outcome.case.name,
                "kind": outcome.case.kind,
                "verdict": outcome.verdict,
                "problem": outcome.problem,
                "differences": [vars(difference) for difference in outcome.differences],
            }
            for outcome in outcomes
        ],
    }


def read_known(path: Path | None) -> dict[str, str]:
    """Cases that are known to differ: a name a line, and a reason behind `#`."""
    if path is None:
        return {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UnusableError(f"The file of known differences can't be read: {error}") from None
    entries = (line.partition("#") for line in lines)
    return {name.strip(): reason.strip() for name, _, reason in entries if name.strip()}


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= LONGEST_S:
        raise ValueError(text)
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--adapter", metavar="CMD", help="the command that starts the adapter")
    parser.add_argument(
        "--only", action="append", metavar="GLOB", help="only cases of such a name, as in 'chat/tool-*'"
    )
    parser.add_argument("--kind", action="append", metavar="KIND", help="only cases of this kind")
    parser.add_argument("--known", type=Path, metavar="FILE", help="cases that may differ, one name a line")
    parser.add_argument("--timeout", type=_seconds, default=TIMEOUT_S, metavar="S", help="seconds for a case")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    parser.add_argument("--list", action="store_true", help="print the names of the cases, and run none")
    options = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # not every console has every character
    try:
        return _main(options)
    except UnusableError as error:
        print(error, file=sys.stderr)
        return 2


def _main(options: argparse.Namespace) -> int:
    patterns = options.only or ["*"]
    every = load_cases()
    cases = [
        case
        for case in every
        if any(fnmatch.fnmatchcase(case.name, pattern) for pattern in patterns)
        and (not options.kind or case.kind in options.kind)
    ]
    if not cases:
        raise UnusableError("No case has such a name and kind; --list shows all.")
    if options.list:
        print("\n".join(f"{case.name}  {case.kind}: {case.data['about']}" for case in cases))
        return 0
    if not options.adapter:
        raise UnusableError("Name an adapter: --adapter 'python adapters/raw.py'")
    known = read_known(options.known)
    if gone := set(known) - {case.name for case in every}:
        raise UnusableError(f"The file of known differences names no case by {', '.join(sorted(gone)[:5])}.")
    adapter = Adapter(options.adapter, options.timeout)
    outcomes = run(cases, adapter)
    if options.json:
        print(json.dumps(as_json(adapter.hello, outcomes), indent=1))
    else:
        print("\n".join(report(adapter.hello, outcomes, known)))
    wrong = {outcome.case.name for outcome in outcomes if outcome.verdict == "wrong"}
    return 1 if wrong - set(known) else 0


if __name__ == "__main__":
    sys.exit(main())
