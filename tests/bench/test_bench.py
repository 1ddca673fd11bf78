"""Tests of what the drivers decide; what they measure is not tested."""

import re
import types
import unittest
from pathlib import Path
from unittest import mock

import curves
import measure
import report
import rows
import servers
import soak

ALL_ROWS = [row for table in rows.TABLES.values() for row in table.rows]


class Judge(unittest.TestCase):
    def check(self, musts, ratios, expected, **more):
        self.assertEqual(report.judge(musts, ratios, **more), expected)

    def test_bounds_are_inclusive(self):
        self.check({"cpu": 0.5, "rate": 2.0}, {"cpu": [0.5], "rate": [2.0]}, "pass")

    def test_missed_bounds_are_named(self):
        self.check({"cpu": 0.5, "rate": 2.0}, {"cpu": [0.51], "rate": [1.99]}, "miss: CPU, rate")

    def test_of_several_figures_the_worst_counts(self):
        self.check({"rss": 0.3}, {"rss": [0.2, 0.4]}, "miss: RSS")

    def test_a_bound_without_a_figure_is_missed(self):
        self.check({"p99": 0.7}, {}, "miss: p99 not measured")

    def test_some_bounds_are_on_our_own_figure(self):
        for created, expected in ((2000, "pass"), (1999, "miss: created")):
            self.check({}, {}, expected, least={"created": 2000}, counted={"created": created})
        self.check({}, {}, "miss: created not measured", least={"created": 2000})


class Rows(unittest.TestCase):
    def test_every_bound_has_a_figure(self):
        for row in ALL_ROWS:
            kinds = {kind for kind, _ in row.figures()}
            self.assertLessEqual(set(row.musts) | set(row.least), kinds, row.name)

    def test_names_are_unique(self):
        self.assertEqual(len({row.name for row in ALL_ROWS}), len(ALL_ROWS))

    def test_every_row_runs_on_the_side_it_is_compared_with(self):
        for table in rows.TABLES.values():
            for row in table.rows:
                self.assertIn(row.against, table.sides_of(row), row.name)
                self.assertIn("ours", table.sides_of(row), row.name)
                self.assertLessEqual(set(row.sides), set(table.sides), row.name)

    def test_every_ratio_that_is_bound_is_shown(self):
        for table in rows.TABLES.values():
            for row in table.rows:
                self.assertLessEqual(set(row.musts), set(table.ratios), row.name)

    def test_restart_rows_come_in_pairs_of_one_fill(self):
        for table in rows.TABLES.values():
            ends = {}
            for row in table.rows:
                if row.ended:
                    ends.setdefault(row.options, set()).add(row.ended)
            self.assertTrue(all(both == {"killed", "clean"} for both in ends.values()))

    def test_curves_belong_to_tables(self):
        for curve in curves.CURVES:
            self.assertIn(curve.table, rows.TABLES)


class Turns(unittest.TestCase):
    def test_who_was_first_is_last_next_time(self):
        for sides in (["peer", "ours"], ["lazy", "always", "ours"]):
            self.assertEqual(measure.turns(sides, 0), sides)
            self.assertEqual(measure.turns(sides, 1), sides[::-1])


class Noise(unittest.TestCase):
    def runs_until_quiet(self, steal, tail):
        bench = measure.Bench(types.SimpleNamespace(secs=1, warm=0, retries=2), None, {})
        machine = {"other_cpu_pct": 0, "work_ns": 1}
        results = [{"machine": {**machine, "steal_pct": pct}} for pct in steal]
        server = types.SimpleNamespace(stores=False, name="ours")
        with mock.patch("servers.generate", side_effect=results), mock.patch("time.sleep"), \
                mock.patch("measure.log"):
            kept = bench.measure(server, "row", "mode", "", 0, tail=tail)
        return results.index(kept) + 1, bool(kept["disturbed"])

    def test_a_disturbed_run_is_repeated(self):
        self.assertEqual(self.runs_until_quiet([30, 20, 0], tail=False), (2, False))
        self.assertEqual(self.runs_until_quiet([30, 30, 30], tail=False), (3, True))

    def test_a_tail_needs_a_quieter_machine_and_gets_more_tries(self):
        self.assertEqual(self.runs_until_quiet([1, 1, 1, 1, 0.5], tail=True), (5, False))
        self.assertEqual(self.runs_until_quiet([1] * 21, tail=True), (21, True))

    def test_a_tail_is_many_runs_in_turn(self):
        table = rows.TABLES["core"]
        row = next(row for row in table.rows if row.name == rows.PACED)
        args = types.SimpleNamespace(secs=2, warm=0, retries=0, quick=False, alone=False)
        bench = measure.Bench(args, None, {})
        ran = []
        with mock.patch.object(bench, "start", side_effect=lambda _, side: mock.Mock(stores=False, side=side)), \
                mock.patch("servers.generate", side_effect=lambda _, server, __, options: ran.append((server.side, options))
                           or {"machine": {"other_cpu_pct": 0, "steal_pct": 0, "work_ns": 1}}):
            bench.shared(table, [row], 0)
        self.assertEqual([side for side, _ in ran], ["peer", "ours", "ours", "peer"] * 4)
        self.assertTrue(all("--secs 1 " in options for _, options in ran))


class Lines(unittest.TestCase):
    def line(self, name, runs):
        table = rows.TABLES["streams"]
        row = next(r for r in table.rows if r.name == name)
        runs = [{"what": name, "disturbed": None, **run} for run in runs]
        cells = report.row_line(table, row, runs).strip("| ").split(" | ")
        heads = ["name", *table.sides, *table.ratios, "must", "verdict"]
        return dict(zip(heads, cells))

    def run_of(self, side, rate, cpu, **more):
        return {"side": side, "received_per_s": rate, "server": {"cpu_us_per_msg": cpu}, **more}

    def test_ratios_are_given_against_every_peer(self):
        got = self.line("R1, 512 in flight, 128 B",
                        [self.run_of("lazy", 200, 6), self.run_of("always", 100, 12), self.run_of("ours", 400, 3)])
        self.assertEqual((got["rate"], got["cpu"]), ("2.00 lazy, 4.00 always", "0.50 lazy, 0.25 always"))
        self.assertEqual(got["must"], "rate ≥ 2.0, CPU ≤ 0.5 lazy")
        self.assertEqual(got["verdict"], "pass")

    def test_the_must_counts_against_the_side_it_names(self):
        got = self.line("R1, 1 in flight",
                        [self.run_of("lazy", 20_000, 50), self.run_of("always", 6000, 100),
                         self.run_of("ours", 9000, 50)])
        self.assertEqual(got["verdict"], "pass")

    def test_an_error_fails_the_row_whatever_the_figures(self):
        got = self.line("R1, 512 in flight, 128 B",
                        [self.run_of("lazy", 200, 6), self.run_of("ours", 900, 1, errors=2)])
        self.assertEqual(got["verdict"], "failed, 2 errors")

    def test_a_run_without_figures_is_shown_as_none(self):
        got = self.line("pull, no ack", [{"side": "ours", "errors": 1}])
        self.assertEqual((got["lazy"], got["ours"], got["verdict"]), ("–", "–", "failed, 1 errors"))


class Text(unittest.TestCase):
    def test_numbers(self):
        for value, expected in ((None, "–"), (0.3217, "0.322"), (51.2, "51.2"), (720.4, "720"),
                                (17_000, "17 k"), (1_060_000, "1.06 M")):
            self.assertEqual(report.number(value), expected)

    def test_newest_entry_comes_first_in_its_section(self):
        core, streams = report.mark("core"), report.mark("streams")
        history = f"# Title\n\n{core}\n\n### old\n\n## Streams\n\n{streams}\n"
        history = report.insert_newest(history, "core", "### new\n")
        self.assertEqual(history, f"# Title\n\n{core}\n\n### new\n\n### old\n\n## Streams\n\n{streams}\n")
        history = report.insert_newest(history, "streams", "### first\n")
        self.assertTrue(history.endswith(f"{streams}\n\n### first\n"))

    def test_the_history_has_a_place_for_every_section(self):
        history = (servers.REPO / "docs/benchmarks.md").read_text()
        for section in [*rows.TABLES, "growth"]:
            self.assertEqual(len(re.findall(re.escape(report.mark(section)), history)), 1, section)

    def test_thinned_samples_keep_first_last_and_largest(self):
        samples = [10, *range(20, 50), 99, *range(20, 50), 11]
        thinned = soak.thin(samples, 12)
        self.assertLessEqual(len(thinned), 12)
        self.assertEqual((thinned[0], max(thinned), thinned[-1]), (10, 99, 11))


class Places(unittest.TestCase):
    def test_the_file_system_of_a_path_is_that_of_its_deepest_mount(self):
        self.assertEqual(servers.filesystem(Path("/proc/self")), "proc")


if __name__ == "__main__":
    unittest.main()
