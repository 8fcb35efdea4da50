import hmac
import json
import threading
import unittest
import unittest.mock
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import server


class Quotes(BaseHTTPRequestHandler):
    """Stands in for the quotes service."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"quote": "Hello"}')

    def log_message(self, *_args: object) -> None:
        pass


class ServerTest(unittest.TestCase):
    def start(self, started: HTTPServer) -> str:
        threading.Thread(target=started.serve_forever, kwargs={"poll_interval": 0.01}).start()
        self.addCleanup(started.server_close)
        self.addCleanup(started.shutdown)
        return f"http://127.0.0.1:{started.server_port}/"

    def setUp(self) -> None:
        self.url = self.start(server.Server(("127.0.0.1", 0), server.Handler))

    def get(self, path: str) -> dict[str, object]:
        with urllib.request.urlopen(self.url + path) as response:
            return json.load(response)

    def test_status_does_not_depend_on_others(self) -> None:
        self.assertEqual(self.get("status"), {"status": "ok"})

    def test_the_page_has_a_quote(self) -> None:
        with unittest.mock.patch.object(server, "QUOTES_URL", self.start(HTTPServer(("127.0.0.1", 0), Quotes))):
            self.assertEqual(self.get("")["quotes"], {"quote": "Hello"})

    def test_answers_are_signed_with_the_secret(self) -> None:
        with (
            unittest.mock.patch.object(server, "SIGNING_KEY", "hunter2"),
            urllib.request.urlopen(self.url + "status") as response,
        ):
            expected = hmac.new(b"hunter2", response.read(), "sha256").hexdigest()
            self.assertEqual(response.headers["X-Signature"], expected)

    def test_the_page_does_without_a_quote(self) -> None:
        with unittest.mock.patch.object(server, "QUOTES_URL", "http://127.0.0.1:1/"):
            answer = self.get("")
        self.assertIsNone(answer["quotes"])
        self.assertIn("refused", answer["error"])


if __name__ == "__main__":
    unittest.main()
