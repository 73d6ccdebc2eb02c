"""A file with the key that somebody changes while the server runs, in all the ways that keys are changed."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import anyio
import pytest

from grok_mcp.endpoint import Keys
from grok_mcp.settings import Settings
from tests.support.endpoint import Endpoint, Reply, Request, body, chat
from tests.support.host import Host, host_on
from tests.support.pace import until, within

pytestmark = pytest.mark.anyio

OLD, NEW = "xai-old-key-1234567890", "xai-new-key-0987654321"
REFUSED = body({"code": "unauthenticated:bad-credentials", "error": f"The key {OLD} is no good"}, status=401)
REFUSED_BY_XAI = body({"code": "invalid-argument", "error": "Incorrect API key provided"}, status=400)


def rename(file: Path) -> None:
    """As careful programs write."""
    (file.parent / "new").write_text(f"{NEW}\n")
    os.replace(file.parent / "new", file)


def rewrite(file: Path) -> None:
    """As editors and shells write."""
    file.write_text(NEW)


def swap_link(file: Path) -> None:
    """As Kubernetes does: the file is a link through a link to a folder, which is replaced."""
    folder = file.parent / "..second"
    folder.mkdir()
    (folder / "key").write_text(NEW)
    (file.parent / "..data_tmp").symlink_to(folder.name)
    os.replace(file.parent / "..data_tmp", file.parent / "..data")


def in_folder(folder: Path) -> Path:
    """A file with the key as Kubernetes mounts it."""
    (folder / "..first").mkdir()
    (folder / "..first" / "key").write_text(OLD)
    (folder / "..data").symlink_to("..first")
    (folder / "key").symlink_to("..data/key")
    return folder / "key"


def sent(request: Request) -> str:
    return request.headers["authorization"].removeprefix("Bearer ")


def host_with(endpoint: Endpoint, file: Path, **settings: Any) -> Any:
    return host_on(endpoint, XAI_API_KEY=None, api_key_file=file, **settings)


async def until_sent(key: str, endpoint: Endpoint, host: Host) -> None:
    """Ask until the call goes out with this key: a file is looked at once a second."""
    with within(10):
        while sent(endpoint.requests[-1]) != key:
            await anyio.sleep(0.05)
            assert not (await host.ask()).raw.is_error


@pytest.mark.skipif(os.name != "posix", reason="links need rights there, and an open file is not replaced")
@pytest.mark.parametrize("change", [rename, rewrite, swap_link], ids=lambda change: change.__name__)
async def test_a_key_that_was_changed_goes_out_with_the_calls_to_come(
    change: Callable[[Path], None], tmp_path: Path
) -> None:
    file = in_folder(tmp_path)
    async with Endpoint(chat("Hi.")) as endpoint, host_with(endpoint, file) as host:
        await host.ask()
        change(file)
        await until_sent(NEW, endpoint, host)
    keys = [sent(request) for request in endpoint.requests]
    assert keys == [OLD] * (len(keys) - 1) + [NEW]


@pytest.mark.parametrize("refusal", [REFUSED, REFUSED_BY_XAI], ids=["401", "400, as xAI says it"])
async def test_a_refused_call_is_sent_once_more_with_the_key_that_the_file_has_now(
    refusal: Reply, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text(OLD)
    async with Endpoint(choose=lambda request: chat("Hi.") if sent(request) == NEW else refusal) as endpoint:
        async with host_with(endpoint, file) as host:
            rewrite(file)  # within the second in which it is not looked at
            first, second = await host.ask(), await host.ask()
    assert [sent(request) for request in endpoint.requests] == [OLD, NEW, NEW]
    assert first.text.startswith("Hi.") and second.text.startswith("Hi.")
    assert "Note:" not in first.text


@pytest.mark.parametrize(
    ("text", "keys"),
    [(OLD, [OLD]), (NEW, [OLD, NEW]), ("", [OLD]), (None, [OLD])],
    ids=["the same key", "another that is refused too", "no key", "no file"],
)
async def test_a_refused_call_is_not_sent_again_and_again(
    text: str | None, keys: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text(OLD)
    async with Endpoint(REFUSED) as endpoint, host_with(endpoint, file) as host:
        if text is None:
            file.unlink()
        else:
            file.write_text(text)
        result = await host.ask()
    assert [sent(request) for request in endpoint.requests] == keys
    assert result.error["code"] == "authentication"
    assert "Check the key in GROK_MCP_API_KEY_FILE" in result.text


async def test_a_key_in_a_variable_that_is_refused_is_not_looked_for_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(NEW)
    async with Endpoint(REFUSED) as endpoint:
        async with host_on(endpoint, XAI_API_KEY=OLD, api_key_file=file) as host:
            assert (await host.ask()).error["code"] == "authentication"
    assert [sent(request) for request in endpoint.requests] == [OLD]


async def test_an_answer_that_has_begun_is_not_asked_for_again(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(OLD)
    begun = Reply(
        (*chat("Half").pieces[:1], b'data: {"error": {"message": "no credentials", "code": 401}}\n\n')
    )
    async with Endpoint(begun, chat("Hi.")) as endpoint, host_with(endpoint, file) as host:
        file.write_text(NEW)
        result = await host.ask()
    assert result.text.startswith("Half")
    assert len(endpoint.requests) == 1


def make_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


WRONG: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_text(" \n"),
    "gone": lambda file: file.unlink(),
    "a folder": make_folder,
    "a placeholder": lambda file: file.write_text("${XAI_API_KEY}"),
    "several lines": lambda file: file.write_text("one key\nanother key\n"),
    "not text": lambda file: file.write_bytes(b"\xff\xfe\x00\xd8\xff"),
    "endless": lambda file: file.write_bytes(b"x" * 100_000),
}


@pytest.mark.parametrize("spoil", WRONG.values(), ids=list(WRONG))
async def test_what_is_no_key_keeps_the_last_one_in_use_and_is_one_warning(
    spoil: Callable[[Path], object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "key"
    file.write_text(OLD)
    keys = Keys(Settings(api_key_file=file))
    spoil(file)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert not await keys.renew(OLD)
    assert keys.key == OLD
    (line,) = caplog.messages
    assert line.startswith("GROK_MCP_API_KEY_FILE names a file that ")
    assert line.endswith("; what it held before is still used")
    if file.is_dir():
        file.rmdir()
    file.write_text(NEW)
    assert await keys.renew(OLD) and keys.key == NEW


async def test_a_server_that_began_without_a_key_takes_the_one_that_comes(tmp_path: Path) -> None:
    file = tmp_path / "key"
    async with Endpoint(chat("Hi.")) as endpoint, host_with(endpoint, file) as host:
        missing = await host.ask()
        file.write_text(NEW)
        with within(10):
            while (result := await host.ask()).raw.is_error:
                await anyio.sleep(0.05)
    assert missing.error["code"] == "configuration" and "GROK_MCP_API_KEY_FILE names a file" in missing.text
    assert result.text.startswith("Hi.") and sent(endpoint.requests[0]) == NEW


async def test_neither_the_new_key_nor_an_old_one_is_ever_shown(tmp_path: Path) -> None:
    file = tmp_path / "key"
    old, new = "plain words", "other words"  # which nothing would mask by their form
    old, new = old.replace(" ", "-"), new.replace(" ", "-")
    file.write_text(old)
    refusal = body({"error": f"Neither {old} nor {new} may do that"}, status=401)
    async with Endpoint(refusal) as endpoint, host_with(endpoint, file) as host:
        file.write_text(new)
        text = (await host.ask()).text
    assert [sent(request) for request in endpoint.requests] == [old, new]
    assert "Neither *** nor *** may do that" in text


async def test_a_call_in_flight_goes_on_with_the_key_that_it_was_sent_with(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(OLD)
    slow = Reply(chat("It is ", "blue.").pieces, hold=1)

    def choose(request: Request) -> Reply:
        return slow if sent(request) == OLD else chat("Hi.")

    async with Endpoint(choose=choose) as endpoint, host_with(endpoint, file) as host:
        results: list[str] = []

        async def ask() -> None:
            results.append((await host.ask("Slow?")).text)

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await until(lambda: bool(endpoint.requests))
            file.write_text(NEW)
            assert await host.grok.keys.renew(OLD)
            assert (await host.ask("Quick?")).text.startswith("Hi.")
            slow.release.set()
    assert results[0].startswith("It is blue.")
    assert [sent(request) for request in endpoint.requests] == [OLD, NEW]


async def test_a_file_that_does_not_answer_keeps_nobody_waiting_and_one_thread_busy(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(OLD)
    answers, looks = Event(), []

    def read(path: Path) -> tuple[tuple[str, ...], str | None]:
        looks.append(path)
        if len(looks) > 1:
            assert answers.wait(20)
        return (path.read_text(),), None

    keys = Keys(Settings(api_key_file=file), read=read)
    file.write_text(NEW)
    with anyio.fail_after(10):
        assert not await keys.renew(OLD)  # gives up
        for _ in range(3):
            await keys.settle()
        assert (keys.key, len(looks)) == (OLD, 2)
        answers.set()
        assert await keys.renew(OLD)
    assert (keys.key, len(looks)) == (NEW, 2)
