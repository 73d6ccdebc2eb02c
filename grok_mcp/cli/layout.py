"""Markdown as a terminal shows it: wrapped between words, by rich, and without a loss.

Addresses of links and pictures stand behind their texts, code is left as it is between its fences, and what
is no Markdown of ours (HTML, definitions of links, LaTeX), or is nested too deeply, is shown as it was
written. A word that is longer than a line is left whole, for the terminal to break: an address can be copied.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import zip_longest
from typing import Any, ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich import box, markdown
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

_LATEX = ("\\(", "\\)", "\\[", "\\]")
_DEEPEST = 20
"""The level at which the parser leaves out what is inside; a list takes two for each of its own."""
_HIGHLIGHTED_CHARACTERS = 20_000
"""Longer code is shown in one colour, at once."""


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": _DEEPEST}).enable(
        ["strikethrough", "table"]
    )
    return parser.disable(["reference", "text_join"])


def layout(text: str) -> "Layout":
    """What `Console.print(…, crop=False, end="")` shows of a piece of Markdown."""
    tokens = _parser().parse(text)
    if any(token.level >= _DEEPEST - 1 for token in tokens):
        tokens = [_as_written(text)]
    shown = Layout("")
    shown.parsed = list(_whole_tables(tokens, text.split("\n")))
    for token in shown.parsed:
        if token.children:
            token.children = list(_readable(token.children))
    return shown


def _readable(tokens: Iterable[Token]) -> Iterator[Token]:
    """Tokens of a text with the addresses in it, and with its line breaks."""
    begun: list[tuple[Token, list[str]]] = []
    for token in tokens:
        if token.type == "link_open":
            begun.append((token, []))
            continue
        if token.type == "link_close" and begun:
            link, texts = begun.pop()
            if address := _address(link, "href", "".join(texts)):
                yield _text(f" ({address})" if any(texts) else address)
            continue
        if token.type == "image":
            address = _address(token, "src", token.content)
            token = _text(f"{token.content} ({address})" if token.content else address)
        elif token.type == "softbreak":
            token = Token("hardbreak", "br", 0)
        elif token.type == "text_special":
            token = _text(token.markup if token.markup in _LATEX else token.content)
        for _, texts in begun:
            texts.append(token.content)
        yield token


def _address(token: Token, attribute: str, text: str) -> str:
    """What a link leads to, where its text does not say it; with its title."""
    address, title = str(token.attrs.get(attribute, "")), str(token.attrs.get("title", ""))
    if token.markup == "autolink" or (address.removeprefix("mailto:") == text and not title):
        return ""
    return f"{address} “{title}”" if title else address


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _as_written(source: str) -> Token:
    return Token("fence", "code", 0, content=source, markup="")


def _whole_tables(tokens: Sequence[Token], lines: Sequence[str]) -> Iterator[Token]:
    """The tokens; as text those of a table that has cells without a column, which would be lost."""
    inside = False
    for token in tokens:
        if token.type == "table_open" and token.map:
            rows = lines[token.map[0] : token.map[1]]
            inside = any(_cells(row) > _cells(rows[0]) for row in rows[2:])
            if inside:
                yield _as_written("\n".join(rows))
        if not inside:
            yield token
        inside = inside and token.type != "table_close"


def _cells(row: str) -> int:
    return len(re.findall(r"(?<!\\)\|", row.strip().strip("|")))


def _wrapped(text: Text, width: int) -> Iterator[Text]:
    """The lines of a text, broken between words; a word that does not fit on any is left to the terminal."""
    for whole in text.split("\n", allow_blank=True):
        breaks, used = [], 0
        for word in re.finditer(r"\S+\s*", whole.plain):
            wide = cell_len(word[0].rstrip())
            if used and used + wide > width:
                breaks.append(word.start())
                used = 0
            used += cell_len(word[0])
        for line in whole.divide(breaks):
            line.rstrip()
            yield _unbroken(line)


class _Paragraph(markdown.Paragraph):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from _wrapped(self.text, options.max_width)


class _Heading(markdown.Heading):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text = self.text.copy()
        text.stylize("bold underline" if self.tag == "h1" else "bold")
        yield from _wrapped(text, options.max_width)


class _Code(markdown.CodeBlock):
    """Code in lines that nothing wraps, so that they can be copied; its fence says where it ends."""

    @classmethod
    def create(cls, markdown: markdown.Markdown, token: Token) -> "_Code":
        made = cls((token.info or "").partition(" ")[0] or "text", "ansi_dark")
        made.fence, made.info = token.markup, token.info
        made.margin = " " * 4 if token.type == "code_block" else ""
        return made

    fence = info = margin = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).removesuffix("\n")
        if len(code) <= _HIGHLIGHTED_CHARACTERS:
            text = Syntax(code, self.lexer_name, theme=self.theme, background_color="default").highlight(code)
            text.rstrip()
        else:
            text = Text(code)
        if self.fence:
            yield _unbroken(Text(f"{self.fence}{self.info}", "dim"))
        for line in text.split("\n", allow_blank=True) if code else ():
            yield _unbroken(Text.assemble(self.margin, line))
        if self.fence:
            yield _unbroken(Text(self.fence, "dim"))


def _unbroken(line: Text) -> Text:
    line.no_wrap, line.overflow, line.justify = True, "ignore", "default"
    return line


class _Indented:
    """Lines of other elements behind a mark, neither cut nor filled up with blanks."""

    elements: Any
    style: Any

    def lines(
        self, console: Console, options: ConsoleOptions, first: Segment, other: Segment
    ) -> Iterator[Segment]:
        width = max(options.max_width - len(first.text), 1)
        style = console.get_style(self.style) if isinstance(self.style, str) else self.style
        rendered = Segment.apply_style(
            console.render(self.elements, options.update(width=width)), style or Style.null()
        )
        mark = first
        for line in Segment.split_lines(rendered):
            yield mark
            yield from line
            yield Segment("\n")
            mark = other


class _Quote(_Indented, markdown.BlockQuote):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        mark = Segment("▌ ", console.get_style("dim"))
        yield from self.lines(console, options, mark, mark)


class _Item(_Indented, markdown.ListItem):
    def render_bullet(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The item behind a bullet."""
        bullet = Segment(" • ", console.get_style("markdown.item.bullet", default="none"))
        yield from self.lines(console, options, bullet, Segment("   "))

    def render_number(
        self, console: Console, options: ConsoleOptions, number: int, last_number: int
    ) -> RenderResult:
        """The item behind its number."""
        width = len(str(last_number)) + 2
        style = console.get_style("markdown.item.number", default="none")
        numeral = Segment(f"{number}.".rjust(width) + " ", style)
        yield from self.lines(console, options, numeral, Segment(" " * (width + 1)))


class _Table(markdown.TableElement):
    """A table, or its rows below each other where it does not fit."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        heads = [cell.content for cell in self.header.row.cells] if self.header and self.header.row else []
        rows = [[cell.content for cell in row.cells] for row in self.body.rows] if self.body else []
        columns = list(zip_longest(heads, *rows, fillvalue=Text()))
        widest = (max((_longest_word(cell) for cell in column), default=0) for column in columns)
        if sum(widest) + 2 * len(columns) > options.max_width and rows:
            yield from _records(heads, rows, options.max_width)
            return
        table = Table(box=box.SIMPLE, pad_edge=False, collapse_padding=True)
        for head in heads:
            title = head.copy()
            title.stylize("bold")
            table.add_column(title, overflow="fold")
        for row in rows:
            table.add_row(*row)
        yield table


def _longest_word(cell: Text) -> int:
    return max((Text(word).cell_len for word in cell.plain.split()), default=0)


def _records(heads: Sequence[Text], rows: Sequence[Sequence[Text]], width: int) -> Iterator[Text]:
    for number, row in enumerate(rows):
        if number:
            yield Text("")
        for head, cell in zip_longest(heads, row, fillvalue=Text()):
            line = Text.assemble((head.plain, "bold"), ": ", cell) if head.plain else cell.copy()
            yield from _wrapped(line, width)


class Layout(markdown.Markdown):
    """Markdown whose tokens `layout` has made."""

    elements: ClassVar[dict[str, type[markdown.MarkdownElement]]] = {
        **markdown.Markdown.elements,
        "paragraph_open": _Paragraph,
        "heading_open": _Heading,
        "fence": _Code,
        "code_block": _Code,
        "blockquote_open": _Quote,
        "list_item_open": _Item,
        "table_open": _Table,
    }

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = list(Segment.split_lines(super().__rich_console__(console, options)))  # type: ignore[arg-type]
        full = [number for number, line in enumerate(lines) if any(part.text.strip() for part in line)]
        for line in lines[full[0] : full[-1] + 1] if full else ():
            yield from line
            yield Segment.line()
