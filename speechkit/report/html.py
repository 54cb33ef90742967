"""Markup without templates: ``h("td", text, class_="num")`` escapes whatever is not markup already.

Everything on a page passes through :func:`h`, so no transcript, cut id or path can ever act as markup.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from typing import Any

VOID_TAGS = frozenset({"meta", "br", "hr", "img", "input", "link"})

# Control characters and halves of surrogate pairs: no valid HTML, and the latter cannot be written as UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Html(str):
    """Markup that needs no escaping."""


def escape(value: Any) -> Html:
    """Text as markup that shows it, between tags or between quotes; a value that is :class:`Html` stays as it is."""
    return value if isinstance(value, Html) else Html(html.escape(_UNPRINTABLE.sub("\ufffd", str(value))))


def h(tag: str, *children: Any, **attributes: Any) -> Html:
    """One element.

    Args:
        tag: Its name.
        children: Text (escaped), markup, lists of these; None is left out.
        attributes: ``class_`` is ``class``, ``data_x`` is ``data-x``; True is a bare attribute, None and False are none.
    """
    start = f"<{tag}{''.join(_attributes(attributes))}>"
    return Html(start) if tag in VOID_TAGS else Html(f"{start}{join(children)}</{tag}>")


def _attributes(attributes: dict[str, Any]) -> Iterator[str]:
    for key, value in attributes.items():
        name = key.rstrip("_").replace("_", "-")
        if value is True:
            yield f" {name}"
        elif value is not None and value is not False:
            yield f' {name}="{escape(str(value))}"'  # str: markup has no meaning inside quotes, where it must be escaped


def join(children: Iterable[Any], separator: str = "") -> Html:
    """Text and markup, one after the other; nested lists are flattened, None is left out."""
    parts = (join(c) if isinstance(c, (list, tuple)) else escape(c) for c in children if c is not None)
    return Html(separator.join(parts))


def table(head: Iterable[Any], rows: Iterable[Iterable[Any]], numeric: Iterable[int] = (), caption: str = "") -> Html:
    """A table that scrolls sideways by itself where the screen is narrow.

    Args:
        head: Titles of the columns.
        rows: Cells: text or markup; a ready ``td`` or ``th`` is taken as it is.
        numeric: Indices of columns that are aligned as numbers.
        caption: What the table shows, for readers who cannot see it; also the name of the scrolling region.
    """
    right = frozenset(numeric)
    titles = [h("th", title, scope="col", class_="num" if i in right else None) for i, title in enumerate(head)]
    body = [h("tr", [_cell(cell, i in right) for i, cell in enumerate(row)]) for row in rows]
    inner = h("table", h("caption", caption, class_="hidden"), h("thead", h("tr", titles)), h("tbody", body))
    return h("div", inner, class_="scroll", tabindex=0, role="region", aria_label=caption)


def _cell(cell: Any, numeric: bool) -> Html:
    if isinstance(cell, Html) and cell.startswith(("<td", "<th")):
        return cell
    return h("td", cell, class_="num" if numeric else None)


def details(summary: Any, *children: Any, open_: bool = False) -> Html:
    """A part that the reader opens."""
    return h("details", h("summary", summary), children, open=open_)
