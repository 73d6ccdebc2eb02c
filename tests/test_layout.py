"""Markdown on a terminal: blocks that end while a text comes, and what each is when it is laid out."""

import io
import re
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st
from rich.console import Console

from grok_mcp.cli.blocks import MAX_CHARACTERS, Block, Blocks
from grok_mcp.cli.console import hanging
from grok_mcp.cli.layout import layout

WORDS = st.sampled_from(
    [
        *("word ", "**bold** ", "  ", "\n", "\n\n", "`span` ", "[link](u:v) "),
        *("- item\n", "1. first\n", "```\n", "# Head\n", "> said\n", "| a | b |\n", "|---|---|\n", "| c |\n"),
    ]
)


def shown(text: str, width: int = 80) -> str:
    """What a console of this width shows, without colours."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(layout(text), crop=False, end="")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def cut(text: str, size: int = 1) -> list[Block]:
    """The blocks of a text that comes in pieces of this size."""
    blocks = Blocks()
    pieces = (text[start : start + size] for start in range(0, len(text), size))
    return [*(block for piece in pieces for block in blocks.feed(piece)), *blocks.end()]


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("One\ntwo.\n\nThree.", [("One\ntwo.", False), ("Three.", False)]),
        ("# Head\nText.", [("# Head", False), ("Text.", False)]),
        ("```py\na\n\nb\n```\nAfter.", [("```py\na\n\nb\n```", False), ("After.", False)]),
        ("~~~\n```\n\n~~~\n\nx", [("~~~\n```\n\n~~~", False), ("x", False)]),
        ("Text:\n- a\n- b\n  more\n\n  still b\n\nx", [
            ("Text:", False), ("- a", False), ("- b\n  more\n\n  still b", True), ("x", False),
        ]),
        ("- a\n\n1. b\n2. c", [("- a", False), ("1. b", False), ("2. c", True)]),
        ("born in\n1968. Yes", [("born in\n1968. Yes", False)]),
        ("- a\n\n  ```\n  code\n\n  ```\n- b", [("- a\n\n  ```\n  code\n\n  ```", False), ("- b", True)]),
        ("| a |\n|---|\n| 1 |\n\nx", [("| a |\n|---|\n| 1 |", False), ("x", False)]),
        ("Title\n=====\nx", [("Title\n=====\nx", False)]),
        ("```\nnever closed\n\nx", [("```\nnever closed\n\nx", False)]),
    ],
)  # fmt: skip
def test_a_block_ends_where_the_next_one_begins(text: str, blocks: list[tuple[str, bool]]) -> None:
    assert cut(text) == blocks
    assert cut(text, 7) == blocks


def test_a_block_is_there_as_soon_as_it_is_finished() -> None:
    blocks = Blocks()
    assert blocks.feed("First.\n") == []
    assert blocks.feed("\n") == [Block("First.")]
    assert blocks.feed("# He") == []
    assert blocks.feed("ad\n- item\n\n") == [Block("# Head")]
    assert blocks.feed("  ") == [], "it may go on below"
    assert blocks.feed("more\n\nSec") == [Block("- item\n\n  more")]
    assert blocks.feed("ond.") == []
    assert blocks.end() == [Block("Second.")]
    assert blocks.end() == []


def test_what_has_no_end_is_cut_and_code_goes_on_as_code() -> None:
    lines = [f"line {number}" for number in range(MAX_CHARACTERS // 5)]
    blocks = cut("\n".join(["```py", *lines, "```", "", "After."]), 1_000)
    assert len(blocks) > 2
    assert all(block.text.startswith("```py\n") and block.text.endswith("\n```") for block in blocks[:-1])
    assert [block.goes_on for block in blocks] == [False, *[True] * (len(blocks) - 2), False]
    code = [line for block in blocks[:-1] for line in block.text.split("\n")[1:-1]]
    assert code == lines
    one_line = "x" * (3 * MAX_CHARACTERS)
    assert "".join(block.text for block in cut(one_line, 900)) == one_line


@given(st.lists(WORDS, max_size=60).map("".join), st.integers(1, 9))
def test_no_word_is_lost_or_told_twice(text: str, size: int) -> None:
    blocks = cut(text, size)
    assert "\n".join(block.text for block in blocks).split() == text.split()
    assert blocks == cut(text, 1)
    letters = re.sub(r"[^a-z]", "", text)
    laid_out = re.sub(r"[^a-z]", "", "".join(shown(block.text, 30) for block in blocks))
    assert sorted(laid_out) == sorted(letters), (text, laid_out)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[page](https://a.example/p)", "page (https://a.example/p)"),
        ('[page](https://a.example/p "Its title")', "page (https://a.example/p “Its title”)"),
        ("<https://a.example/p>", "https://a.example/p"),
        ("[https://a.example/p](https://a.example/p)", "https://a.example/p"),
        ("![map](https://a.example/m.png)", "map (https://a.example/m.png)"),
        ("[![map](https://a.example/m.png)](https://a.example/p)", "map (https://a.example/m.png) (https://a.example/p)"),
        ("[ref]: https://a.example/p", "[ref]: https://a.example/p"),
        ("a <b>bold</b> &amp; more", "a <b>bold</b> & more"),
        (r"\(x^2\) and \[y\], 3 \* 4", r"\(x^2\) and \[y\], 3 * 4"),
        ("- [ ] open\n- [x] done", " • [ ] open\n • [x] done"),
        ("one\ntwo", "one\ntwo"),
        ("# Head", "Head"),
        ("3. third", " 3. third"),
        ("> said\n> so", "▌ said\n▌ so"),
        ("    code", "    code"),
        ("| a | b |\n|---|---|\n| 1 | 2 | lost? |", "| a | b |\n|---|---|\n| 1 | 2 | lost? |"),
        ("| a | ![p](https://a.example/m.png) |\n|---|---|\n| 1 | 2 |", "https://a.example/m.png"),
    ],
)  # fmt: skip
def test_what_is_laid_out_loses_nothing(text: str, words: str) -> None:
    assert words in shown(text)


def test_words_are_not_broken_and_an_address_stays_whole() -> None:
    address = "https://a.example/" + "long/" * 12
    text = (
        f"- A list with words that go on and on, and {address} behind them.\n\n> And a quotation of {address}"
    )
    lines = "".join(shown(block.text, 40) for block in cut(text)).split("\n")
    assert [line.strip(" ▌") for line in lines if address in line] == [address, address]
    assert max(len(line) for line in lines if address not in line) <= 40
    assert "A list with words that go on and on," in " ".join(line.strip() for line in lines)


def test_code_is_not_wrapped_and_its_fences_stay() -> None:
    code = "def f():\n\n    return 'a line that is much longer than forty columns, as lines of code are'"
    assert shown(f"```python\n{code}\n```", 40) == f"```python\n{code}\n```\n"


def test_a_table_that_does_not_fit_becomes_lines() -> None:
    table = "| name | description | measured |\n|---|---|---|\n| one | interesting | today |\n| two | b | c |"
    assert "name  description  measured" in shown(table, 60)
    assert shown(table, 24) == (
        "name: one\ndescription: interesting\nmeasured: today\n\nname: two\ndescription: b\nmeasured: c\n"
    )


def test_sources_hang_below_their_numbers() -> None:
    source = "1. A title of some length — https://a.example/p"
    assert hanging(source, 30, 3) == "1. A title of some length —\n   https://a.example/p"
    assert hanging("2. https://a.example/" + "x" * 40, 30, 3).count("\n") == 0


@pytest.mark.parametrize(
    "nest",
    [
        lambda depth: "".join(f"{'  ' * level}- level{level}.\n" for level in range(depth)),
        lambda depth: "".join(f"{'   ' * level}1. level{level}.\n" for level in range(depth)),
        lambda depth: "".join(f"{'> ' * (level + 1)}level{level}.\n>\n" for level in range(depth)),
        lambda depth: "".join(f"{'> - ' * (level + 1)}level{level}.\n" for level in range(depth)),
        lambda depth: f"{'**_' * depth}level0.{'_**' * depth}",
    ],
    ids=["bullets", "numbers", "quotes", "lists in quotes", "emphasis"],
)
def test_no_word_is_lost_however_deep_it_stands(nest: Callable[[int], str]) -> None:
    for depth in range(1, 51):
        text = nest(depth)
        assert set(re.findall(r"level\d+\.", text)) == set(re.findall(r"level\d+\.", shown(text)))
