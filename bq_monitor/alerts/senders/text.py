"""What people read of a message, within a service's limits. User text is text: nothing in it breaks a line or turns it around."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from bq_monitor.alerts.messages import Item, Message, headline, worst_first
from bq_monitor.alerts.senders.base import Undelivered

MAX_ITEMS = 10
"""So many are named one by one where people chat; the rest is counted."""
MAX_DETAILED = 3
"""Of so many there is more to read."""
_KEPT_FORMATS = {"\u200c", "\u200d"}
"""Joiners that scripts and emoji need; all other invisible characters go."""
_STEPS = ((MAX_ITEMS, 400), (MAX_ITEMS, 160), (5, 160), (3, 80), (1, 40))
"""Items and characters of each text, less and less until the request fits."""


@dataclass(frozen=True)
class Part:
    """One item in words: a short line, the sentence of what moved, and named details."""

    line: str
    sentence: str
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Wording:
    """A message in words, worst first; `more` says how many items are left out, `facts` are the owner and such."""

    title: str
    parts: tuple[Part, ...]
    more: str | None
    facts: tuple[tuple[str, str], ...]
    runbook: str | None
    report: str | None

    @property
    def lines(self) -> list[str]:
        """A short line an item, and how many more there are."""
        return [part.line for part in self.parts] + ([self.more] if self.more else [])

    @property
    def detailed(self) -> tuple[Part, ...]:
        """The worst, of which there is more to read."""
        return self.parts[:MAX_DETAILED]

    @property
    def links(self) -> list[tuple[str, str]]:
        """What can be opened: a name and a URL each."""
        return [(name, url) for name, url in (("Runbook", self.runbook), ("Report", self.report)) if url]


def clean(text: str, limit: int | None = None) -> str:
    """One line of visible characters: white space is a space, control characters, bidi marks and half surrogates go."""
    kept = (" " if c.isspace() else c for c in text)
    visible = "".join(c for c in kept if c in _KEPT_FORMATS or not unicodedata.category(c).startswith("C"))
    line = " ".join(visible.split())
    return line if limit is None else cut(line, limit)


def cut(text: str, limit: int) -> str:
    """At most `limit` characters as services count them (UTF-16 units), the last one `…` when some are left out."""
    if _units(text) <= limit:
        return text
    room = limit - 1
    kept = []
    for c in text:
        room -= _units(c)
        if room < 0:
            break
        kept.append(c)
    return "".join(kept).rstrip() + "…"


def wording(message: Message, n_items: int = MAX_ITEMS, width: int = 400) -> Wording:
    """A message in words: at most `n_items` of it, each text at most `width` characters."""
    items = worst_first(message.items)
    n_more = len(items) - n_items
    return Wording(
        title=clean(message.title, min(width, 300)),
        parts=tuple(_part(item, width) for item in items[:n_items]),
        more=f"and {n_more} more" if n_more > 0 else None,
        facts=(("Owner", clean(message.owner, width)),) if message.owner else (),
        runbook=_link(message.runbook),
        report=_link(message.report),
    )


def plain(words: Wording) -> str:
    """All of it as plain text: title, a line an item, then the details."""
    blocks = ["\n".join([words.title, *(f"- {line}" for line in words.lines)])]
    blocks += ["\n".join([part.line, f"  {part.sentence}", *(f"  {name}: {text}" for name, text in part.details)])
               for part in words.parts]  # fmt: skip
    foot = [f"{name}: {text}" for name, text in (*words.facts, *words.links)]
    return "\n\n".join([*blocks, *(["\n".join(foot)] if foot else [])]) + "\n"


def fitting(place: str, message: Message, build: Callable[[Wording], Any], limit_bytes: int) -> bytes:
    """The JSON that `build` makes of as many words as fit `limit_bytes`; raises `Undelivered` when not even the fewest do."""
    for n_items, width in _STEPS:
        body = encode(build(wording(message, n_items, width)))
        if len(body) <= limit_bytes:
            return body
    raise Undelivered(f"{place}: the message is longer than {limit_bytes:,} bytes even when cut", retry="never")


def data_within(place: str, message: Message, limit_bytes: int) -> bytes:
    """JSON of `message.to_dict()`; what is too much is left out from its end and counted in `n_items_left_out`."""
    items = message.items
    while True:
        left_out = len(message.items) - len(items)
        body = encode(
            {**replace(message, items=items).to_dict(), **({"n_items_left_out": left_out} if left_out else {})}
        )
        if len(body) <= limit_bytes:
            return body
        if not items:
            raise Undelivered(f"{place}: the message is longer than {limit_bytes:,} bytes", retry="never")
        items = items[: min(len(items) - 1, len(items) * limit_bytes // len(body))]


def encode(data: Any) -> bytes:
    """JSON in UTF-8, as short as it gets."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _part(item: Item, width: int) -> Part:
    return Part(clean(headline(item), width), clean(item.message, width), tuple(_details(item, width)))


def _details(item: Item, width: int) -> Iterator[tuple[str, str]]:
    named = {"How sure": item.sure, "Since": f"{item.since:%Y-%m-%d %H:%M %Z}".strip(), "Rows": item.rows,
             "Likely carrier": item.carrier, "Next step": None if item.is_resolved else item.recommendation}  # fmt: skip
    return ((name, clean(text, width)) for name, text in named.items() if text)


def _link(url: str | None) -> str | None:
    """A URL that services accept; one that is too long to be a link is none."""
    return url if url and len(url) <= 2000 else None


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
