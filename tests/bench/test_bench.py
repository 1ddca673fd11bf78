"""Tests of what the drivers decide; what they measure is not tested."""

import unittest

import bench
import rows
import soak


class Judge(unittest.TestCase):
    def check(self, musts, ratios, expected):
        self.assertEqual(bench.judge(musts, ratios), expected)

    def test_bounds_are_inclusive(self):
        self.check({"cpu": 0.5, "rate": 2.0}, {"cpu": [0.5], "rate": [2.0]}, "pass")

    def test_missed_bounds_are_named(self):
        self.check({"cpu": 0.5, "rate": 2.0}, {"cpu": [0.51], "rate": [1.99]}, "miss: CPU, rate")

    def test_of_several_figures_the_worst_counts(self):
        self.check({"rss": 0.3}, {"rss": [0.2, 0.4]}, "miss: RSS")

    def test_a_bound_without_a_figure_is_missed(self):
        self.check({"p99": 0.7}, {}, "miss: p99 not measured")


class Rows(unittest.TestCase):
    def test_every_bound_has_a_figure(self):
        for row in rows.ROWS:
            kinds = {kind for kind, _ in row.figures()}
            self.assertLessEqual(set(row.musts), kinds, row.name)

    def test_names_are_unique(self):
        self.assertEqual(len({row.name for row in rows.ROWS}), len(rows.ROWS))


class Text(unittest.TestCase):
    def test_numbers(self):
        for value, expected in ((None, "–"), (0.3217, "0.322"), (51.2, "51.2"), (720.4, "720"),
                                (17_000, "17 k"), (1_060_000, "1.06 M")):
            self.assertEqual(bench.number(value), expected)

    def test_newest_entry_comes_first(self):
        history = f"# Title\n\n{bench.MARK}\n\n### old\n"
        self.assertEqual(bench.insert_newest(history, "### new\n"), f"# Title\n\n{bench.MARK}\n\n### new\n\n### old\n")

    def test_thinned_samples_keep_first_last_and_largest(self):
        samples = [10, *range(20, 50), 99, *range(20, 50), 11]
        thinned = soak.thin(samples, 12)
        self.assertLessEqual(len(thinned), 12)
        self.assertEqual((thinned[0], max(thinned), thinned[-1]), (10, 99, 11))


if __name__ == "__main__":
    unittest.main()
