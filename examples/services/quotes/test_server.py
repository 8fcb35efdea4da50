import json
import threading
import unittest
import urllib.error
import urllib.request

import server


class ServerTest(unittest.TestCase):
    def setUp(self) -> None:
        self.server = server.Server(("127.0.0.1", 0), server.Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}).start()

    def tearDown(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def get(self, path: str) -> dict[str, str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.server.server_port}{path}") as response:
            return json.load(response)

    def test_status(self) -> None:
        self.assertEqual(self.get("/status"), {"status": "ok"})

    def test_a_quote_says_who_gave_it(self) -> None:
        answer = self.get("/")
        self.assertIn(answer["quote"], server.QUOTES)
        self.assertEqual(answer["service"], "quotes")

    def test_other_paths_are_not_found(self) -> None:
        with self.assertRaises(urllib.error.HTTPError) as caught:
            self.get("/nothing")
        self.assertEqual(caught.exception.code, 404)
        caught.exception.close()


if __name__ == "__main__":
    unittest.main()
