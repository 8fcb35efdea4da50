import unittest
import unittest.mock

import report


class ReportTest(unittest.TestCase):
    def test_counts_the_answers_of_each_instance(self) -> None:
        answers = ["main", "canary"] * (report.SAMPLE // 2)
        with unittest.mock.patch.object(report, "ask", side_effect=answers):
            self.assertEqual(report.report()["answers"], {"main": 10, "canary": 10})

    def test_says_what_went_wrong(self) -> None:
        with unittest.mock.patch.object(report, "QUOTES_URL", "http://127.0.0.1:1/"):
            self.assertIn("refused", report.ask())


if __name__ == "__main__":
    unittest.main()
