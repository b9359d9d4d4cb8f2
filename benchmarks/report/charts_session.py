"""Charts of a session: the path of its test, failures in two worlds, simulation against reality."""

from collections.abc import Sequence

from benchmarks.report.charts import SERIES, Spec, axis_share, pretty, scale
from benchmarks.report.charts_failures import FAILURES
from benchmarks.session.findings import SIM, Against, Findings, Shown

WORLDS = {SIM: "simulation", "twin": "digital twin", "real": "real arm"}


def path_chart(pair: Against) -> Spec | None:
    """Return wins and losses over complete blocks, and where the test stops; None: no test."""
    if not pair.looks:
        return None
    first, second = pair.looks[0].first, pair.looks[0].second
    names = [f"only {first}", f"only {second}"]
    values: list[Spec] = [{"block": 0, "who": name, "starts": 0} for name in names]
    for look in pair.looks:
        values += [
            {"block": look.block, "who": name, "starts": count}
            for name, count in zip(names, (look.wins, look.losses), strict=True)
        ]
    last = max(look.block for look in pair.looks)
    # Where too few starts differ no number of them stops the test: nothing is drawn there.
    limits: list[Spec] = [
        {"block": look.block, "starts": look.boundary}
        for look in pair.looks
        if look.boundary <= look.wins + look.losses
    ]
    x: Spec = {
        "field": "block",
        "type": "quantitative",
        "axis": {"title": "complete blocks", "tickMinStep": 1, "grid": False},
        "scale": {"domain": [0, max(last, 1)], "nice": False},
    }
    most = max([value["starts"] for value in (*values, *limits)])
    y: Spec = {
        "field": "starts",
        "type": "quantitative",
        "axis": {"title": "starts done by one policy only", "tickMinStep": 1},
        "scale": {"domain": [0, most + 1], "nice": False},
    }
    colour: Spec = {
        "field": "who",
        "type": "nominal",
        "scale": {"domain": names, "range": list(SERIES[:2])},
        "legend": {"title": None, "orient": "top", "symbolOpacity": 1, "labelLimit": 300},
    }
    return {
        "width": "container",
        "height": 210,
        "layer": [
            {
                "data": {"values": limits},
                "mark": {
                    "type": "line", "interpolate": "step-after", "strokeDash": [5, 4],
                    "strokeWidth": 1.4, "color": "var(--bad)",
                    "point": {"size": 26, "color": "var(--bad)"},
                },
                "encoding": {"x": x, "y": y},
            },
            {
                "data": {"values": values},
                "mark": {
                    "type": "line", "interpolate": "step-after", "strokeWidth": 2.2,
                    "point": {"size": 26},
                },
                "encoding": {"x": x, "y": y, "color": colour},
            },
        ],
    }  # fmt: skip


def failure_chart(policies: Sequence[Shown], world: str) -> Spec | None:
    """Return the share of trials that failed, by label and world, on the starts in both."""
    values: list[Spec] = [
        {
            "policy": policy.name,
            "world": WORLDS[where],
            "failure": pretty(label),
            "share": count / total,
            "trials": f"{count}/{total}",
            "order": list(FAILURES).index(label) if label in FAILURES else len(FAILURES),
        }
        for policy in policies
        for where, found, total in mixes(policy, world)
        for label, count in found.items()
    ]
    if not values:
        return None
    names = {pretty(label): colour for label, colour in FAILURES.items()}
    names |= {v["failure"]: "var(--f12)" for v in values if v["failure"] not in names}
    used = {v["failure"] for v in values}
    tips = [{"field": f, "type": "nominal"} for f in ("policy", "world", "failure", "trials")]
    order = [WORLDS[SIM], WORLDS[world]]
    return {
        "data": {"values": values},
        "facet": {
            "row": {
                "field": "policy", "type": "nominal", "sort": [p.name for p in policies],
                "title": None,
                "header": {"labelAngle": 0, "labelAlign": "left", "labelOrient": "top",
                           "labelFontWeight": 600},
            },
        },
        "spec": {
            "width": 520,
            "height": {"step": 24},
            "mark": {"type": "bar", "height": 16},
            "encoding": {
                "y": {
                    "field": "world", "type": "nominal", "sort": order,
                    "scale": {"domain": order},
                    "axis": {"title": None, "ticks": False, "domain": False},
                },
                "x": {
                    "field": "share", "type": "quantitative", "scale": {"domain": [0, 1]},
                    "axis": {"format": ".0%", "title": "of the trials"},
                },
                "color": {
                    "field": "failure", "type": "nominal",
                    "scale": scale(names, [n for n in names if n in used]),
                    "legend": {"title": None, "orient": "top", "columns": 4,
                               "symbolType": "square"},
                },
                "order": {"field": "order", "type": "quantitative"},
                "tooltip": tips,
            },
        },
    }  # fmt: skip


def mixes(policy: Shown, world: str) -> list[tuple[str, dict[str, int], int]]:
    """Return world, trials by failure label, and trials, on the starts that both worlds have."""
    starts = policy.paired
    if policy.simulated is None or not starts:
        return []
    here: dict[str, int] = {}
    there: dict[str, int] = {}
    for ic in starts:
        seen, labels = policy.simulated.trials[ic], policy.trials[ic].labels
        if not seen.success:
            name = seen.failure or "other"
            here[name] = here.get(name, 0) + 1
        if labels is not None and not labels.success:
            name = labels.failure or "other"
            there[name] = there.get(name, 0) + 1
    return [(SIM, here, len(starts)), (world, there, len(starts))]


def worlds_chart(findings: Findings, world: str) -> Spec | None:
    """Return success there over success in simulation, a point a policy; None without a point."""
    if not findings.rates:
        return None
    values = [{"policy": n, "simulation": s, "there": r} for n, s, r in findings.rates]
    x = {**axis_share("simulation", "success in simulation")}
    y = axis_share("there", f"success on the {WORLDS[world]}")
    line = [{"simulation": 0, "there": 0}, {"simulation": 1, "there": 1}]
    text: Spec = {"type": "text", "align": "left", "dx": 9, "dy": -7, "fontSize": 12}
    return {
        "width": 330,
        "height": 330,
        "encoding": {"x": x, "y": y},
        "layer": [
            {
                "data": {"values": line},
                "mark": {"type": "line", "strokeDash": [4, 4], "strokeWidth": 1,
                         "color": "var(--faint)"},
            },
            {
                "data": {"values": values},
                "mark": {"type": "circle", "size": 80, "opacity": 1, "color": SERIES[0]},
                "encoding": {"tooltip": [{"field": "policy", "type": "nominal"}]},
            },
            {
                "data": {"values": values},
                "mark": text,
                "encoding": {"text": {"field": "policy"}},
            },
        ],
    }  # fmt: skip
