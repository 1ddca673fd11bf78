"""How figures become lines: medians with their spread, ratios, verdicts, the record."""

import statistics

from rows import UPPER

HEADS = {"cpu": "CPU ×", "rate": "rate ×", "p50": "p50 ×", "p99": "p99 ×", "sent": "p99 from sending ×",
         "rss": "RSS ×", "created": "created ×", "time": "time ×"}


def figure(result, path):
    for key in path.split("."):
        result = result.get(key) if isinstance(result, dict) else None
    return result if isinstance(result, (int, float)) else None


def table_lines(table, rows, results, quick=False):
    """The table of these rows, as Markdown."""
    heads = ["workload", *table.sides, *(HEADS[kind] for kind in table.ratios), "must", ""]
    lines = ["| " + " | ".join(heads).rstrip() + " |", "|---" * len(heads) + "|"]
    return lines + [row_line(table, row, [r for r in results if r["what"] == row.name], quick) for row in rows]


def row_line(table, row, runs, quick=False):
    medians, cells = medians_of(table, row, runs)
    # Ratios by kind and side compared with; several figures of a kind give several.
    ratios = {}
    for (kind, _), by_side in medians.items():
        for side, median in by_side.items():
            if side != "ours" and median > 0 and "ours" in by_side:
                ratios.setdefault(kind, {}).setdefault(side, []).append(by_side["ours"] / median)
    counted = {kind: by_side["ours"] for (kind, _), by_side in medians.items() if "ours" in by_side}
    errors = sum(r.get("errors") or 0 for r in runs)
    disturbed = sum(bool(r["disturbed"]) for r in runs)
    against = {kind: by_side.get(row.against, []) for kind, by_side in ratios.items()}
    notes = ["failed" if errors else judge(row.musts, against, row.least, counted)]
    notes += [f"{n} {what}" for n, what in ((disturbed, "disturbed"), (errors, "errors")) if n]
    if quick and row.quick_options:
        notes.append(f"only {row.quick_options}")
    shown = [ratio_cell(ratios.get(kind, {})) for kind in table.ratios]
    return "| " + " | ".join([row.name, *cells, *shown, must_cell(row, table), ", ".join(notes)]) + " |"


def medians_of(table, row, runs):
    """Medians by figure and side, and a cell of text for each side."""
    medians, texts = {}, {side: [] for side in table.sides}
    for kind, path in row.figures():
        for side in table.sides:
            values = sorted(v for r in runs if r["side"] == side and (v := figure(r, path)) is not None)
            if values:
                median = statistics.median(values)
                medians.setdefault((kind, path), {})[side] = median
                texts[side].append(quantity(row.unit(kind), median, values[0], values[-1]))
    return medians, [", ".join(texts[side]) or "–" for side in table.sides]


def ratio_cell(by_side):
    """`0.61`, or `2.31 lazy, 8.40 always` where there are several to compare with."""
    shown = {side: " / ".join(f"{x:.2f}" for x in values) for side, values in by_side.items()}
    if len(shown) < 2:
        return "".join(shown.values()) or "–"
    return ", ".join(f"{text} {side}" for side, text in shown.items())


def must_cell(row, table):
    sign = {True: "≤", False: "≥"}
    bounds = [f"{name(kind)} {sign[kind in UPPER]} {bound}" for kind, bound in row.musts.items()]
    if bounds and len(table.sides) > 2:
        bounds[-1] += f" {row.against}"
    return ", ".join(bounds + [f"{kind} ≥ {bound:,}/s" for kind, bound in row.least.items()])


def name(kind):
    return {"cpu": "CPU", "rss": "RSS"}.get(kind, kind)


def number(x):
    if x is None:
        return "–"
    for limit, unit in ((1e6, " M"), (1e4, " k")):
        if abs(x) >= limit:
            return f"{x / (1e6 if unit == ' M' else 1e3):.3g}{unit}"
    return f"{x:.0f}" if abs(x) >= 100 else f"{x:.3g}"


def quantity(unit, median, least, most):
    """A figure with its spread and unit: `1.06 M (0.98 M–1.1 M) /s`."""
    spread = "" if least == most else f" ({number(least)}–{number(most)})"
    return f"{number(median)}{spread} {unit}"


def judge(musts, ratios, least=(), counted=()):
    """`pass`, or which bounds are missed; a bound without a figure is missed too.

    `musts` bound `ratios`, of which the worst counts; `least` bounds our own figures."""
    missed = []
    for kind, bound in musts.items():
        values = ratios.get(kind)
        if not values:
            missed.append(f"{name(kind)} not measured")
        elif (max(values) > bound) if kind in UPPER else (min(values) < bound):
            missed.append(name(kind))
    for kind, bound in dict(least).items():
        if kind not in counted:
            missed.append(f"{name(kind)} not measured")
        elif counted[kind] < bound:
            missed.append(name(kind))
    return "miss: " + ", ".join(missed) if missed else "pass"


def mark(section):
    """The line of the history below which entries of a section begin."""
    return f"<!-- {section}, newest first -->"


def insert_newest(history, section, entry):
    """The history with `entry` before all others of its section."""
    line = mark(section)
    if line not in history:
        raise SystemExit(f"the history has no line {line}")
    head, rest = history.split(line, 1)
    rest = rest.strip()
    return f"{head}{line}\n\n{entry.strip()}\n" + (f"\n{rest}\n" if rest else "")
