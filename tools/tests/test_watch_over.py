"""What is made of a dashboard and of the samples of an alarm."""

import unittest

import watch_over


class WatchOver(unittest.TestCase):
    """The program `watch_over.py`, without Prometheus."""

    def test_a_gap_makes_two_firings(self):
        self.assertEqual(watch_over.firings([], 1), [])
        self.assertEqual(watch_over.firings([7, 8, 9], 1), [[7, 9]])
        # One sample may be missed.
        self.assertEqual(watch_over.firings([7, 9, 12, 13], 1), [[7, 9], [12, 13]])

    def test_alarms_that_did_not_fire_just_once_are_named(self):
        class Seen:
            start = 100

            def lines(self, expression, points):
                times = lambda *all: [(at, 1.0) for at in all]
                return [
                    ({"alertname": "Once", "host": "a"}, times(101, 102)),
                    ({"alertname": "Once", "host": "b"}, times(150)),
                    ({"alertname": "Twice"}, times(101, 160)),
                ], 1

        wrong = watch_over.alarms(Seen(), ["Once", "Twice", "Never"])
        self.assertEqual(wrong, ["Twice () has fired 2 times", "Never has not fired"])

    def test_variables_and_labels_are_filled_in(self):
        target = {"expr": 'rate(a{instance=~"$instance"}[$__rate_interval])'}
        self.assertEqual(watch_over.expression(target), 'rate(a{instance=~".*"}[10s])')
        self.assertEqual(watch_over.legend("{{host}} at {{instance}}", {"host": "a"}), "a at ")


if __name__ == "__main__":
    unittest.main()
