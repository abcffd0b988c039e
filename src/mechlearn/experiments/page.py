"""Pieces of a page: escaped text, numbers, tables and sections."""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple


class Markup(str):
    """Text that is HTML already and is not escaped again."""


class Column(NamedTuple):
    """A column of a table: its heading, and how its cells stand ("n" for numbers, "mark" for signs)."""

    heading: str
    kind: str = ""


def text(value: Any) -> Markup:
    """Any value as text that is safe inside a page.

    >>> text("<b>")
    '&lt;b&gt;'
    """
    return value if isinstance(value, Markup) else Markup(html.escape("" if value is None else str(value)))


def number(value: Any, digits: int = 3, *, signed: bool = False) -> str:
    """A number with a true minus sign; a dash where there is none.

    >>> number(-0.1234), number(None), number(0.5, 2, signed=True)
    ('−0.123', '–', '+0.50')
    """
    if not isinstance(value, int | float) or value != value:
        return "–"
    shown = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return shown.replace("-", "−")


def spanned(row: Mapping[str, Any] | None, digits: int = 3, *, signed: bool = False) -> Markup:
    """A value with its interval after it, small and a digit shorter; large values need fewer digits."""
    if row is None or row.get("value") is None:
        return Markup("–")
    digits = 1 if abs(row["value"]) >= 10 else digits
    shown = number(row["value"], digits, signed=signed)
    if row.get("low") is None or row.get("high") is None:
        return Markup(shown)
    low, high = (number(row[end], digits - 1, signed=signed) for end in ("low", "high"))
    return Markup(f"{shown} <small>[{low}, {high}]</small>")


def table(columns: Sequence[Column], rows: Iterable[Sequence[Any]], classes: Sequence[str] = ()) -> Markup:
    """A table; `classes` holds one class a row."""
    head = "".join(f'<th class="{one.kind}" scope="col">{text(one.heading)}</th>' for one in columns)
    body = []
    for place, row in enumerate(rows):
        cells = "".join(f'<td class="{one.kind}">{text(cell)}</td>' for one, cell in zip(columns, row, strict=True))
        body.append(f'<tr class="{classes[place] if classes else ""}">{cells}</tr>')
    return Markup(
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'
    )


def figure(svg: str, caption: str = "") -> Markup:
    """A drawn figure with a line below it."""
    below = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    return Markup(f"<figure>{svg}{below}</figure>")


def key(colours: Mapping[str, str]) -> Markup:
    """What the colours of a figure stand for: {name: CSS variable}."""
    items = "".join(
        f'<li><i style="background: var({colour})"></i>{text(name)}</li>' for name, colour in colours.items()
    )
    return Markup(f'<ul class="key">{items}</ul>')


def note(words: str) -> Markup:
    """A quiet paragraph."""
    return Markup(f'<p class="note">{text(words)}</p>')


def folded(summary: str, body: str) -> Markup:
    """Something to open when it is wanted."""
    return Markup(f"<details><summary>{text(summary)}</summary>{body}</details>")


def definitions(pairs: Mapping[str, Any]) -> Markup:
    """A list of names and what they are; those without a value are left out."""
    rows = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in pairs.items() if value)
    return Markup(f"<dl>{rows}</dl>" if rows else "")
