"""How commands end: a user's mistake in one line without a traceback, Ctrl-C with a word about what is kept."""

import functools
import re
import sys


def command(function):
    """Decorator of a command: a ValueError, TypeError, OSError or a library that is missing becomes ``error: ...`` and exit code 1.

    Ctrl-C ends with code 130.
    """

    @functools.wraps(function)
    def run(*arguments, **keywords):
        try:
            return function(*arguments, **keywords)
        except (ValueError, TypeError, OSError, ModuleNotFoundError) as error:
            print(f"error: {error}", *getattr(error, "__notes__", ()), sep="\n  ", file=sys.stderr)
            raise SystemExit(1) from None
        except KeyboardInterrupt:
            print("interrupted: what is finished is kept, and the next call goes on from there", file=sys.stderr)
            raise SystemExit(130) from None

    return run


def number_table(console, names, rows, title=""):
    """Print ``rows`` of cells (Rich markup) under ``names``; no cell is ever cut or wrapped.

    As many columns stand side by side as the console is wide, the others below, each time beside the first; where that would take more
    than three tables, a row is a line of text.
    """
    from rich.table import Table
    from rich.text import Text

    if title:
        paragraph(console, title)
    width = lambda cell: Text.from_markup(cell).cell_len
    needs = [max(map(width, column)) + 2 for column in zip(names, *rows, strict=True)]
    groups: list[list[int]] = [[]]
    for column in range(1, len(names)):
        if needs[0] + sum(needs[i] for i in groups[-1]) + needs[column] > console.width:
            groups.append([])
        groups[-1].append(column)
    if len(groups) > 3 or any(needs[0] + sum(needs[i] for i in group) > console.width for group in groups):
        for first, *cells in rows:
            named = [f"{name} {cell}" for name, cell in zip(names[1:], cells, strict=True) if cell]
            paragraph(console, ", ".join(named), f"[bold]{names[0]} {first}[/bold]", hang=4)
        return
    for group in groups:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column(names[0], no_wrap=True)
        for column in group:
            table.add_column(names[column], justify="right", no_wrap=True)
        for row in rows:
            table.add_row(row[0], *(row[column] for column in group))
        console.print(table)


def _breaks(text, width):
    """Where to break a line before words, which Rich itself breaks inside as well."""
    places, used = [], 0
    for word in re.finditer(r"\S+\s*", text):
        if used and used + len(word[0].rstrip()) > width:
            places.append(word.start())
            used = 0
        used += len(word[0])
    return places


def paragraph(console, markup, label="", hang=0):
    """Print text moved in by ``hang`` blanks and broken between words only; a word wider than the console stays whole.

    ``label`` stands in the blanks of the first line, or on a line before where they are too few.
    """
    from rich.text import Text

    text, head = Text.from_markup(markup), Text.from_markup(label)
    lines = [part for line in text.split(allow_blank=True) for part in line.divide(_breaks(line.plain, console.width - hang))]
    if head.cell_len >= hang and head:
        console.print(head, soft_wrap=True, highlight=False)
        head = Text()
    for line in lines:
        line.rstrip()
        console.print(head + Text(" " * (hang - head.cell_len)) + line, soft_wrap=True, highlight=False)
        head = Text()
