"""The leaderboard as CSV (a line a row and condition) and as Markdown."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.board_words import pretty, share, signed

Board = Mapping[str, Any]

COLUMNS = (
    *("world", "task", "track", "protocol", "protocol_hash", "model", "renderer"),
    *("row", "algorithm", "preset"),
    *("floor", "status", "claim", "seeds", "rank_low", "rank_high", "letters", "condition"),
    *("k", "n", "success", "success_low", "success_high", "interval", "success_any"),
    *("success_final", "invalid", "progress", "gap", "gap_low", "gap_high", "retention"),
    *("sparc", "latency_p50_ms", "latency_p99_ms", "training_s", "parameters", "demonstrations"),
)


def ranking(table: Board) -> dict[str, tuple[str, str]]:
    """Return rank set and letters by row id, from the nominal comparisons."""
    found: dict[str, tuple[str, str]] = {}
    for family in table["families"]:
        if family["condition"] == "nominal":
            letters = dict(family["letters"])
            found |= {i: (rank_set(low, high), letters[i]) for i, low, high in family["ranks"]}
    return found


def rank_set(low: int, high: int) -> str:
    """Write a rank set: ``1`` or ``1-2`` with a dash."""
    return str(low) if low == high else f"{low}\u2013{high}"


def board_csv(board: Board) -> str:
    """Return a line a row and condition, with the nominal comparison's ranks on each."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for table in board["tables"]:
        writer.writerows(_lines(table))
    return stream.getvalue()


def _lines(table: Board) -> Iterator[dict[str, Any]]:
    ranks: dict[str, tuple[int, int]] = {}
    for family in table["families"]:
        if family["condition"] == "nominal":
            ranks |= {i: (low, high) for i, low, high in family["ranks"]}
    letters = {row_id: both[1] for row_id, both in ranking(table).items()}
    for row in (*table["rows"], *table["floors"]):
        low, high = ranks.get(row["id"], ("", ""))
        head = {key: table[key] for key in COLUMNS[:7]}
        head |= {key: row[key] for key in ("algorithm", "preset", "floor", "status", "claim")}
        head |= {"row": safe(row["label"]), "seeds": len(row["seeds"])}
        head |= {"rank_low": low, "rank_high": high, "letters": letters.get(row["id"], "")}
        head |= {"latency_p50_ms": row["p50_ms"], "latency_p99_ms": row["p99_ms"]}
        head |= {k: row[k] for k in ("sparc", "training_s", "parameters", "demonstrations")}
        for cell in row["cells"]:
            yield {**head, **_cell(cell)}


def _cell(cell: Board) -> dict[str, Any]:
    success, gap = cell["success"], cell["gap"] or {}
    kept = ("condition", "success_any", "success_final", "invalid", "progress", "retention")
    return {
        **{key: cell[key] for key in kept},
        **{"k": success["k"], "n": success["n"], "success": success["value"]},
        **{"success_low": success["low"], "success_high": success["high"]},
        **{"interval": success["method"], "gap": gap.get("diff")},
        **{"gap_low": gap.get("low"), "gap_high": gap.get("high")},
    }


def safe(text: str) -> str:
    """Return text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text


def board_markdown(board: Board) -> str:
    """Return the tables as Markdown."""
    parts = ["# Leaderboard\n"]
    for table in board["tables"]:
        parts.append(_section(table))
    if board["unreadable"]:
        lines = [f"- `{escape(u['run'])}`: {escape(u['reason'])}" for u in board["unreadable"]]
        parts.append("## Runs that could not be used\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _section(table: Board) -> str:
    title = f"## {pretty(table['task'])}, {table['track']} track, {table['world']}"
    title += f", {table['apart']}" if table["apart"] else ""
    about = f"Protocol `{table['protocol']}` (`{table['protocol_hash'][:12]}`), 95 % intervals."
    said = "\n".join(f"- {escape(text)}" for text in table["findings"])
    reasons = [
        f"- {escape(row['label'])} is preliminary: {escape(reason)}"
        for row in (*table["rows"], *table["floors"])
        for reason in row["reasons"]
    ]
    parts = (title, about, rows_markdown(table, table["floors"]), said, "\n".join(reasons))
    return "\n\n".join(part for part in parts if part) + "\n"


def rows_markdown(table: Board, floors: Sequence[Board] = ()) -> str:
    """Return the rows of a table, and these of its floors, as Markdown."""
    heads = (
        "Policy",
        "Nominal",
        "95 % interval",
        "Rank",
        "",
        "Mean gap",
        "Worst",
        "Claim",
        "Status",
    )
    lines = ["| " + " | ".join(heads) + " |", "|:--|--:|:-:|:-:|:-:|--:|:--|:--|:--|"]
    ranks = ranking(table)
    for row in (*table["rows"], *floors):
        lines.append("| " + " | ".join(_columns(row, ranks.get(row["id"], ("", "")))) + " |")
    return "\n".join(lines)


def _columns(row: Board, rank: tuple[str, str]) -> Sequence[str]:
    nominal, gap, worst = row["nominal"], row["mean_gap"], row["worst"]
    return (
        escape(row["label"]),
        f"{nominal['k']}/{nominal['n']} = {share(nominal['value'])}" if nominal else "",
        f"{share(nominal['low'])} to {share(nominal['high'])}" if nominal else "",
        *rank,
        signed(gap["diff"]) if gap else "",
        f"{pretty(worst['condition'])} {signed(worst['gap']['diff'])}" if worst else "\u2013",
        row["claim"],
        row["status"],
    )


def escape(text: str) -> str:
    """Return text that cannot break out of its place in a Markdown table."""
    for character in "\\`|<>*_[]":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
