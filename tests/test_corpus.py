"""The corpus: all that our dialects read has a case, and the runner tells right readings from wrong ones."""

import ast
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import corpus_table
import jsonschema_rs
import pytest
from run import Adapter, Case, Hello, Outcome, UnusableError, as_json, judge, load_cases, main, run, serving

from grok_mcp.dialects import chat_completions, citations, parse, responses_events, server_tools
from grok_mcp.endpoint import error_bodies
from tests.support.packages import available
from tests.support.pages import ROOT

CORPUS = ROOT / "corpus"
CASES = load_cases()
SCHEMA = json.loads((CORPUS / "schema.json").read_text(encoding="utf-8"))


def case_of(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


# ------------------------------------------------------------------------------------ files


def test_every_case_fits_the_schema() -> None:
    validator = jsonschema_rs.validator_for(SCHEMA)
    found = {case.name: [error.message for error in validator.iter_errors(case.data)] for case in CASES}
    assert {name: errors for name, errors in found.items() if errors} == {}


def test_every_file_belongs_to_one_case() -> None:
    for case in CASES:
        assert case.data["reply"]["body"].partition(".")[0] == case.name.partition("/")[2]
    files = {path.relative_to(CORPUS / "cases").as_posix() for path in (CORPUS / "cases").rglob("*.*")}
    bodies = {f"{case.dialect}/{case.data['reply']['body']}" for case in CASES}
    assert files == bodies | {f"{case.name}.json" for case in CASES}


def test_both_dialects_have_cases_of_each_kind_and_plain_ones_beside_the_deviations() -> None:
    kinds = set(SCHEMA["properties"]["kind"]["enum"])
    assert {case.kind for case in CASES} == kinds
    for dialect in ("chat", "responses"):
        of_it = [case for case in CASES if case.dialect == dialect]
        assert kinds - {case.kind for case in of_it} <= {"search"}
        assert {case.data["deviates"] for case in of_it} == {True, False}


def test_what_a_case_is_about_is_expected_by_it() -> None:
    for case in CASES:
        for name in case.data["focus"]:
            whole, _, part = name.partition(".")
            assert whole in case.data["expect"], case.name
            expected = case.data["expect"][whole]
            assert not part or whole == "citations" or expected is None or part in expected, case.name


def test_nothing_in_the_folder_but_our_own_adapter_needs_our_package() -> None:
    for path in CORPUS.rglob("*.py"):
        imports = re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        foreign = {name for name in imports if name not in sys.stdlib_module_names}
        allowed = {"grok_mcp_server.py": {"grok_mcp", "mcp"}, "openai_python.py": {"openai"}}
        assert foreign == allowed.get(path.name, set()), path


# ------------------------------------------------------------------------------------ completeness


def payloads(case: Case) -> Iterator[Mapping[str, Any]]:
    """The JSON objects in a body, as far as a line or the whole of it is one."""
    text = case.body.decode("utf-8", "replace")
    try:
        whole = json.loads(text)
        yield from (one for one in (whole if isinstance(whole, list) else [whole]) if isinstance(one, dict))
    except ValueError:
        for line in re.findall(r"^data: ?(.+)$", text, re.MULTILINE):
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                yield value


PAYLOADS = [payload for case in CASES for payload in payloads(case)]


def test_every_event_of_the_responses_api_that_is_read_has_a_case() -> None:
    kinds = {payload.get("type") for payload in PAYLOADS}
    assert set(responses_events._HANDLERS) - kinds == set()


def test_every_kind_of_item_that_is_read_has_a_case() -> None:
    items = [payload["item"] for payload in PAYLOADS if isinstance(payload.get("item"), dict)]
    assert set(server_tools.PHASES) - {item.get("type") for item in items} == set()


def test_every_meaning_of_a_reason_has_a_case() -> None:
    words = {
        chat_completions._reason_word(choice.get(name))
        for payload in PAYLOADS
        for choice in payload.get("choices") or ()
        if isinstance(choice, dict)
        for name in ("finish_reason", "native_finish_reason")
    }
    for table in (chat_completions._REASONS, chat_completions._FAILURES):
        meanings = {meaning for word, meaning in table.items() if word in words}
        assert set(table.values()) - meanings == set()


SIMPLE = (ast.Assign, ast.AugAssign, ast.Return, ast.Raise, ast.Expr, ast.Delete)


def statements_of(module: Any, first: str) -> Iterator[ast.stmt]:
    """The simple statements of the functions of a module, from this one on; every branch has one."""
    functions = [
        node
        for node in ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    ]
    begin = next(function.lineno for function in functions if function.name == first)
    for function in functions:
        if function.lineno >= begin:
            nodes = list(ast.walk(function))
            yield from (node for node in nodes if isinstance(node, SIMPLE) and not is_docstring(node))


def is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


READERS = {
    chat_completions: "parse",
    responses_events: "parse",
    server_tools: "begun",
    citations: "citations_in",
    error_bodies: "read_error_body",
}
"""What reads replies: these modules, from these functions on."""


def test_every_line_that_reads_a_reply_is_reached_by_a_case() -> None:
    names = {module.__file__ for module in READERS}
    reached: set[tuple[str, int]] = set()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in names:
            return None
        reached.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for payload in PAYLOADS:
            list(parse(payload))
            error_bodies.read_error_payload(payload)
        for case in CASES:
            error_bodies.unsupported_parameter(error_bodies.read_error_body(case.body))
    finally:
        sys.settrace(before)
    missing = [
        f"{module.__name__}:{node.lineno}: {ast.unparse(node)}"
        for module, first in READERS.items()
        for node in statements_of(module, first)
        if not any(
            (module.__file__, line) in reached for line in range(node.lineno, (node.end_lineno or 0) + 1)
        )
    ]
    assert missing == []


def test_every_count_of_tools_has_a_case() -> None:
    usages = [one["usage"] for one in PAYLOADS if isinstance(one.get("usage"), dict)]
    usages += [
        one["response"]["usage"]
        for one in PAYLOADS
        if isinstance(one.get("response"), dict) and isinstance(one["response"].get("usage"), dict)
    ]
    named = {name for usage in usages for name in usage.get("server_side_tool_usage_details", ())}
    assert [count for count, names in server_tools._COUNTED.items() if not named.intersection(names)] == []


# ------------------------------------------------------------------------------------ the runner


def ask_for(case: Case, port: int) -> tuple[bytes, bytes]:
    """The head and the rest of what comes over the wire for a case, until the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        head = f"POST /{case.name}/v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{{}}"
        connection.sendall(head.encode())
        connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while piece := connection.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
    start, _, rest = received.partition(b"\r\n\r\n")
    return start, rest


def unchunked(data: bytes) -> tuple[bytes, int, bool]:
    """A chunked body, in how many chunks it came, and whether it has its end."""
    body, chunks = b"", 0
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return body, chunks, True
        body, data, chunks = body + data[:length], data[length + 2 :], chunks + 1
    return body, chunks, False


def test_the_bytes_on_disk_are_what_goes_out() -> None:
    with serving(CASES) as endpoint:
        for case in CASES:
            reply = case.data["reply"]
            if reply.get("end") in ("stall", "reset"):
                continue
            head, rest = ask_for(case, endpoint.server_address[1])
            assert head.startswith(b"HTTP/1.1 %d " % reply.get("status", 200)), case.name
            for name, value in reply["headers"].items():
                assert f"{name}: {value}".encode() in head, case.name
            body, chunks, ended = rest, 1, True
            if reply.get("transfer", "chunked") == "chunked":
                body, chunks, ended = unchunked(rest)
            assert body == case.body, case.name
            assert ended == (reply.get("end", "whole") == "whole"), case.name
            assert chunks > 1 or "pieces" not in reply, case.name


ADAPTER = """
import json, os, sys, time, urllib.request
OFFERS = ["text", "finish_reason", "complete", "error"]
print(json.dumps({"client": "a test", "version": "1", "offers": {"chat": OFFERS}}), flush=True)
for line in sys.stdin:
    task = json.loads(line)
    try:
        urllib.request.urlopen(task["base_url"] + "/chat/completions", b"{}").read()
    except OSError:
        pass
    READ
"""
TEXT = "The last ferry leaves at 21:40, after the concert."
FEW = [case_of("chat/crlf"), case_of("chat/comments"), case_of("responses/plain-stream")]


def script_of(read: str) -> str:
    return ADAPTER.replace("READ", read.strip())


def outcomes_of(read: str, cases: list[Case] = FEW, timeout_s: float = 10) -> list[Outcome]:
    """What comes of an adapter that does this for each case."""
    return run(cases, Adapter([sys.executable, "-c", script_of(read)], timeout_s))


def written(**reading: Any) -> str:
    return f"print({json.dumps(json.dumps(reading))}, flush=True)"


RIGHT = {"text": TEXT, "finish_reason": "stop", "complete": True, "error": None}


def test_a_right_reading_is_right_and_another_dialect_is_not_offered() -> None:
    outcomes = outcomes_of(written(**RIGHT))
    assert [one.verdict for one in outcomes] == ["right", "right", "not offered"]


@pytest.mark.parametrize(
    ("lie", "field"),
    [
        ({"text": "The last ferry leaves at 21:40."}, "text"),
        ({"text": ""}, "text"),
        ({"complete": False}, "complete"),
        ({"error": {"message": "odd"}}, "error"),
    ],
    ids=["cut", "empty", "incomplete", "failed"],
)
def test_a_wrong_reading_is_found_and_its_field_named(lie: dict[str, Any], field: str) -> None:
    outcome, *_ = outcomes_of(written(**{**RIGHT, **lie}), FEW[:1])
    assert (outcome.verdict, [one.field for one in outcome.differences]) == ("wrong", [field])


LIES: dict[str, tuple[str, dict[str, Any]]] = {
    "a call too many": ("chat/plain-tool-call", {"tool_calls": [{"name": "read_file"}, {"name": "x"}]}),
    "other arguments": (
        "chat/plain-tool-call",
        {"tool_calls": [{"id": "call_1", "name": "read_file", "arguments": {"path": "b"}}]},
    ),
    "another source": ("chat/plain-live-search", {"citations": [{"url": "https://ferries.example/summer"}]}),
    "another count": ("chat/plain-stream", {"usage": {"input_tokens": 18, "output_tokens": 8}}),
    "a zero for nothing": ("chat/no-usage", {"usage": {"input_tokens": 0}}),
    "another price": ("chat/cost-in-ticks", {"usage": {"cost_usd": 0.00074}}),
    "another kind of error": ("chat/credit-403", {"error": {"kind": "permission"}}),
    "other words": ("chat/credit-403", {"error": {"kind": "credit", "message": "Forbidden"}}),
    "no error": ("chat/credit-403", {"error": None}),
    "other data": ("chat/plain-structured", {"data": {"harbour": "Slite", "berths": 42}}),
    "an alternative less": ("chat/plain-alternatives", {"alternatives": []}),
    "another search": ("responses/plain-search", {"searches": ["last ferry summer timetable"]}),
    "sources of an odd form": ("chat/plain-live-search", {"citations": [{"url": ["https://a.example"]}]}),
    "calls of an odd form": ("chat/plain-tool-call", {"tool_calls": ["read_file"]}),
    "code of an odd form": ("responses/code-runs", {"code_runs": ["print(1)"]}),
    "counts of an odd form": ("chat/plain-stream", {"usage": [18, 9]}),
    "other code": ("responses/code-runs", {"code_runs": [{"code": "print(1)", "output": "1300"}]}),
}


@pytest.mark.parametrize(("name", "lie"), LIES.values(), ids=LIES)
def test_no_field_is_compared_too_loosely(name: str, lie: dict[str, Any]) -> None:
    case = case_of(name)
    truth = {**case.data["expect"]}
    hello = Hello("a test", "1", {case.dialect: list(SCHEMA["$defs"]["reading"]["properties"])})
    assert judge(case, truth, hello).verdict == "right"
    assert judge(case, {**truth, **lie}, hello).verdict == "wrong"


def test_what_is_accepted_too_counts_for_clients_that_offer_it() -> None:
    case = case_of("chat/answer-among-the-thoughts")
    handed_on = {"text": "", "complete": True, "reasoning_text": case.data["accept"][0]["text"]}
    for offers, verdict in (
        (["text", "complete", "reasoning_text"], "right"),
        (["text", "complete"], "wrong"),
    ):
        assert judge(case, handed_on, Hello("a test", "1", {"chat": offers})).verdict == verdict


def test_an_adapter_that_hangs_crashes_or_writes_no_json_is_named_and_started_again() -> None:
    read = f"""
    if task["case"].endswith("crlf"): time.sleep(60)
    elif task["case"].endswith("comments"): sys.exit("the battery is empty")
    elif task["case"].endswith("no-done"): print("Hello", flush=True)
    else: {written(**RIGHT)}
    """
    names = ("crlf", "comments", "no-done", "byte-order-mark")
    outcomes = outcomes_of(read, [case_of(f"chat/{name}") for name in names], timeout_s=1)
    assert [one.verdict for one in outcomes] == ["wrong", "wrong", "wrong", "right"]
    hung, crashed, odd, _ = (one.problem for one in outcomes)
    assert hung == "no reading: the adapter hung: no line within 1 s"
    assert crashed == (
        'no reading: the adapter ended with exit code 1; its last words: "the battery is empty"'
    )
    assert odd == 'no reading: the adapter wrote a line that is no JSON object: "Hello"'


def test_an_adapter_that_asks_nothing_is_told_where_to_ask() -> None:
    script = script_of(written(**RIGHT)).replace('urllib.request.urlopen(task["base_url"]', 'str(("")')
    (outcome,) = run(FEW[:1], Adapter([sys.executable, "-c", script.replace(', b"{}").read()', ")")]))
    assert outcome.verdict == "wrong" and outcome.problem.startswith("no request came to http://127.0.0.1:")


def test_an_adapter_that_never_answers_ends_the_run_soon() -> None:
    cases = [case for case in CASES if case.dialect == "chat"]
    with pytest.raises(UnusableError, match="failed 5 times in a row"):
        outcomes_of("os._exit(3)", cases)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("no-such-program", "can't be started"),
        ([sys.executable, "-c", "print('Hello')"], "did not begin with a line"),
        ([sys.executable, "-c", "print('{}')"], "did not begin with a line"),
        ([sys.executable, "-c", "raise SystemExit(4)"], "exit code 4"),
        (
            [sys.executable, "-c", """print('{"client": "a", "version": "1", "offers": {"chat": 5}}')"""],
            "did not begin with a line",
        ),
        ("'node adapter.mjs", "can't be read"),
        (" ", "is empty"),
    ],
    ids=["missing", "no JSON", "no hello", "ended", "no list", "half a quotation", "nothing"],
)
def test_an_adapter_that_does_not_begin_is_unusable(command: Any, words: str) -> None:
    with pytest.raises(UnusableError, match=words):
        run(FEW, Adapter(command))


def test_a_line_too_many_is_not_taken_for_the_next_case() -> None:
    twice = json.dumps(RIGHT) + "\n{}\n"
    read = f"""
    if task["case"].endswith("comments"): os.write(1, {twice.encode()!r})
    else: {written(**RIGHT)}
    """
    cases = [case_of(f"chat/{name}") for name in ("comments", "crlf", "byte-order-mark")]
    outcomes = outcomes_of(read, cases)
    assert [one.verdict for one in outcomes] == ["right", "wrong", "right"]
    assert outcomes[1].problem == "no reading: the adapter wrote more than one line for the case before"


def test_numbers_that_no_float_reaches_are_read_wrong() -> None:
    huge = {"input_tokens": 10**400, "output_tokens": -(10**400)}
    case = next(case for case in CASES if "input_tokens" in (case.data["expect"].get("usage") or ()))
    outcome = judge(case, {"usage": huge}, Hello("a test", "1", {case.dialect: ["usage.input_tokens"]}))
    assert [one.field for one in outcome.differences] == ["usage.input_tokens"]


def ends(pid: int) -> bool:
    """Whether a process is gone within a few seconds, or waits for nothing but being noticed."""
    for _ in range(100):
        told = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False).stdout
        if not told.strip() or told.startswith(b"Z"):
            return True
        time.sleep(0.03)
    return False


@pytest.mark.skipif(sys.platform == "win32", reason="processes have no groups there")
def test_what_an_adapter_has_started_ends_with_it(tmp_path: Path) -> None:
    left = tmp_path / "pid"
    read = f"""
    import subprocess
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    open({str(left)!r}, "w").write(str(child.pid))
    time.sleep(60)
    """
    (outcome,) = outcomes_of(read, [case_of("chat/crlf")], timeout_s=1)
    assert "hung" in outcome.problem
    assert ends(int(left.read_text(encoding="utf-8")))


@pytest.mark.parametrize("seconds", ["-1", "0", "nan", "inf", "soon"])
def test_a_time_that_is_none_is_refused(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--adapter", "x", "--timeout", seconds])
    assert "--timeout" in capsys.readouterr().err


def test_a_file_of_known_differences_that_is_no_text_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = tmp_path / "known"
    known.write_bytes(b"chat/\xff")
    assert main(["--adapter", "x", "--known", str(known)]) == 2
    assert "can't be read" in capsys.readouterr().err


def test_a_name_among_the_known_differences_that_no_case_has_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = tmp_path / "known"
    known.write_text("chat/crlf\nchat/renamed  # once\n")
    assert main(["--adapter", "x", "--known", str(known)]) == 2
    assert "names no case by chat/renamed." in capsys.readouterr().err


def test_the_command_fails_for_what_is_wrong_unless_it_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = f'"{sys.executable}" "{CORPUS / "adapters" / "raw.py"}"'
    asked = ["--adapter", raw, "--only", "chat/crlf", "--only", "chat/message-holds-pieces"]
    known = tmp_path / "known"
    known.write_text("chat/message-holds-pieces  # there is no delta\nchat/crlf\n")
    assert main(asked) == 1
    told = capsys.readouterr().out
    assert "chat/message-holds-pieces\n" in told and "text: expected" in told
    assert main([*asked, "--known", str(known)]) == 0
    told = capsys.readouterr().out
    assert "chat/message-holds-pieces (known)" in told and "and is right." in told
    assert main([*asked, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["kinds"]["framing"]["right"] == 1
    assert main(["--list", "--kind", "usage"]) == 0
    assert "chat/zeros  usage: All counts are zero" in capsys.readouterr().out
    assert main(["--only", "nothing"]) == main(["--only", "chat/crlf"]) == 2
    assert "--adapter" in capsys.readouterr().err


# ------------------------------------------------------------------------------------ clients


@pytest.fixture(scope="module")
def ours() -> list[Outcome]:
    return run(CASES, corpus_table.ours())


def test_our_own_client_reads_every_case_right(ours: list[Outcome]) -> None:
    assert {one.case.name: str(one) for one in ours if one.verdict == "wrong"} == {}
    not_offered = [one.case for one in ours if one.verdict == "not offered"]
    assert all("reasoning_text" in case.data["focus"] for case in not_offered)


def test_what_our_adapter_writes_fits_the_schema(ours: list[Outcome]) -> None:
    validator = jsonschema_rs.validator_for({**SCHEMA["$defs"]["reading"], "$defs": SCHEMA["$defs"]})
    assert [one.case.name for one in ours if not validator.is_valid(one.reading)] == []


def test_the_table_of_results_is_about_these_cases(ours: list[Outcome]) -> None:
    page = corpus_table.RESULTS.read_text(encoding="utf-8")
    for title, (counts,) in corpus_table.rows([ours]):
        cell = " / ".join(str(count) for count in counts.values())
        assert f"| {title} | {sum(counts.values())} | {cell} | " in page, "run `make corpus`"


PLAIN = (
    "chat/plain-stream",
    "chat/plain-tool-calls-in-pieces",
    "responses/plain-stream",
    "responses/plain-tool-calls",
)


@pytest.mark.parametrize(
    "client",
    [
        corpus_table.openai_python,
        lambda: corpus_table.openai_python("--helper"),
        corpus_table.ai_sdk,
        corpus_table.raw,
    ],
    ids=["openai-python", "its helper", "the AI SDK", "raw"],
)
def test_the_adapters_of_other_clients_read_what_is_documented(client: Any) -> None:
    adapter = available(client)
    outcomes = run([case_of(name) for name in PLAIN], adapter)
    assert jsonschema_rs.validator_for(SCHEMA["$defs"]["hello"]).is_valid(vars(adapter.hello))
    assert {str(one) for one in outcomes if one.verdict == "wrong"} == set()
    assert {one.verdict for one in outcomes if one.case.dialect == "chat"} == {"right"}


def test_a_report_for_programs_has_the_same_verdicts(ours: list[Outcome]) -> None:
    told = as_json(corpus_table.ours().hello, ours)
    assert {one["name"]: one["verdict"] for one in told["cases"]} == {
        one.case.name: one.verdict for one in ours
    }
