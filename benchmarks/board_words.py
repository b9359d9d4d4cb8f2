"""What a table says, in sentences: only what its intervals and tests support."""

from collections import Counter
from collections.abc import Mapping, Sequence

from benchmarks.board_cells import NOMINAL
from benchmarks.board_model import Row
from benchmarks.board_tables import ALPHA, STATUSES, Family, Pair, Table

MOST = 3  # rows that are named in a sentence
FEW = 10  # successes or failures below which nothing is said about them


def pretty(condition: str) -> str:
    """Write a condition for people: ``camera_pose/L2`` becomes ``camera pose L2``."""
    return condition.replace("_", " ").replace("/", " ")


def share(value: float) -> str:
    """Write a share in percent with one digit."""
    return f"{100 * value:.1f}\u00a0%"


def signed(value: float) -> str:
    """Write a difference in points with one digit and its sign."""
    text = f"{100 * value:+.1f}".replace("-", "\u2212")
    return "0.0" if text[1:] == "0.0" else text


def limits(low: float, high: float) -> str:
    """Write an interval of differences in points, kept on one line."""
    return f"[{signed(low)},\u00a0{signed(high)}]"


def p_value(p: float) -> str:
    """Write a p-value with two digits, never as zero."""
    return "p\u00a0<\u00a00.001" if p < 0.001 else f"p\u00a0=\u00a0{p:.2g}"


def joined(names: Sequence[str]) -> str:
    """Write a list: ``a``, ``a and b``, ``a, b and c``."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def findings(table: Table) -> tuple[str, ...]:
    """Return what the table says, most important first."""
    labels = {row.id: row.label for row in table.rows}
    nominal = [f for f in table.families if f.condition == NOMINAL]
    said = [text for f in nominal for text in _order(f, labels, len(nominal) > 1)]
    ranked = [row for row in table.rows if row.status != STATUSES[-1] and row.nominal]
    if not nominal and ranked:
        said.append(_alone(ranked[0], len(ranked)))
    said += [text for text in (_robustness(ranked[:MOST]), _failures(ranked[:MOST])) if text]
    said += _floors(table, labels)
    said += _partial([*table.rows, *table.floors])
    waiting = sum(row.status == STATUSES[-1] for row in table.rows)
    if waiting:
        verb = "row is" if waiting == 1 else "rows are"
        said.append(f"{waiting} {verb} preliminary: shown with the reason, not ranked.")
    return tuple(said)


def _partial(rows: Sequence[Row]) -> list[str]:
    """Say which rows cover a part of the protocol only, and which part."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        if row.status == "partial":
            groups.setdefault(row.short, []).append(row.label)
    return [
        f"Partial, {' and '.join(short)} of the protocol: "
        f"{'all rows' if len(who) == len(rows) > 1 else joined(who)}. "
        "Ranked only among rows with the same starts."
        for short, who in groups.items()
    ]


def _alone(row: Row, rows: int) -> str:
    assert row.nominal is not None
    n = row.nominal
    return (
        f"{row.label} succeeds in {share(n.value)} of nominal trials "
        f"[{share(n.low)}, {share(n.high)}]; there is no other "
        + ("valid row to compare it with." if rows == 1 else "row with the same starts.")
    )


def _order(found: Family, labels: dict[str, str], several: bool) -> list[str]:
    """Say who leads, who cannot be told from the leader, and who trails.

    With ``several`` families there are rows with other numbers of starts: say which these are.
    """
    where = f"On the first {found.starts} nominal starts" if several else "On nominal starts"
    leader = found.order[0]
    pairs = [p for p in found.pairs if p.a == leader]
    tied = [p for p in pairs if p.p_holm > ALPHA]
    behind = [p for p in pairs if p.p_holm <= ALPHA]
    said = []
    if tied:
        names = joined([labels[leader], *(labels[p.b] for p in tied)])
        said.append(
            f"{where} {names} cannot be told apart{_corrected(found)}: "
            + joined([_difference(p, labels) for p in tied])
            + "."
        )
    elif behind:
        said.append(f"{where} {labels[leader]} leads all others.")
    if behind:
        listed = joined([_difference(p, labels) for p in behind])
        said.append(f"Ahead beyond chance{'' if tied else _corrected(found)}: {listed}.")
    return said


def _corrected(found: Family) -> str:
    """Say that p-values are of all comparisons together, and intervals of each alone."""
    count = len(found.pairs)
    return f" (p after Holm for {count} comparisons, intervals for each alone)" if count > 1 else ""


def _difference(pair: Pair, labels: dict[str, str]) -> str:
    return (
        f"{labels[pair.a]} over {labels[pair.b]} by {signed(pair.diff).lstrip('+')} points "
        f"{limits(pair.low, pair.high)}, {p_value(pair.p_holm)}"
    )


def _robustness(rows: Sequence[Row]) -> str:
    """Say what changed scenes cost on average, and which change costs most."""
    known = [
        (row.label, row.mean_gap, row.worst)
        for row in rows
        if row.mean_gap and row.nominal and (row.nominal.k or 0) >= FEW
    ]
    if not known:
        return ""
    means = joined(
        [
            f"{label} by {signed(m.diff)} [{signed(m.low)}, {signed(m.high)}]"
            for label, m, _ in known
        ]
    )
    hardest: dict[str, list[str]] = {}
    for label, _, worst in known:
        if worst is None:
            continue
        text = f"{label} ({signed(worst.gap.diff)})"
        hardest.setdefault(pretty(worst.condition), []).append(text)
    worst_part = "; ".join(f"{name} for {joined(who)}" for name, who in hardest.items())
    hard = f" Hardest: {worst_part}." if worst_part else ""
    return f"Changed scenes move {means} points on average.{hard}"


def _floors(table: Table, labels: dict[str, str]) -> list[str]:
    """Say which rows beat the best floor beyond chance, and which do not."""
    said = []
    for row in table.floors:
        said += _floor(row, [p for p in table.above_floor if p.b == row.id], labels)
    return said


def _floor(floor: Row, pairs: Sequence[Pair], labels: dict[str, str]) -> list[str]:
    """Say what the comparisons with one floor show."""
    value = share(floor.nominal.value) if floor.nominal else "no"
    above = [p for p in pairs if p.p_holm <= ALPHA and p.diff > 0]
    below = [p for p in pairs if p not in above]
    said = []
    if above:
        who = joined([labels[p.a] for p in above])
        verb = "is" if len(above) == 1 else "are"
        said.append(f"{who} {verb} above the best floor, {floor.label} ({value}), beyond chance.")
    if below:
        who = joined([labels[p.a] for p in below])
        verb = "has" if len(below) == 1 else "have"
        said.append(f"{who} {verb} not been shown to beat the floor {floor.label} ({value}).")
    return said


def also(tags: Mapping[str, float]) -> list[str]:
    """Write the tags that accompany a label: ``99 % also stuck``."""
    return [f"{100 * part:.0f}\u00a0% also {pretty(tag)}" for tag, part in tags.items()]


def _failures(rows: Sequence[Row]) -> str:
    """Name the most frequent failure of each row that failed often enough to have one."""
    found: dict[str, list[str]] = {}
    for row in rows:
        total = Counter[str]()
        for cell in row.cells:
            total.update(cell.failures)
        if sum(total.values()) >= FEW:
            label, count = min(total.items(), key=lambda item: (-item[1], item[0]))
            part = f"{row.label}, {100 * count / sum(total.values()):.0f} %"
            part += "".join(f", {text}" for text in also(row.also.get(label, {})))
            found.setdefault(pretty(label), []).append(part)
    parts = [f"\u201c{label}\u201d ({'; '.join(who)})" for label, who in found.items()]
    return f"Most frequent failure: {joined(parts)} of their failures." if parts else ""
