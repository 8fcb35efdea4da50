import os
import tempfile
import unittest
import unittest.mock
from pathlib import Path

import worker


class WorkerTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        patch = unittest.mock.patch.object(worker, "HEARTBEAT", Path(directory.name) / "heartbeat")
        self.addCleanup(patch.stop)
        self.heartbeat = patch.start()

    def test_is_not_alive_before_the_first_tick(self) -> None:
        self.assertFalse(worker.is_alive())

    def test_is_alive_after_a_tick(self) -> None:
        worker.tick()
        self.assertTrue(worker.is_alive())

    def test_is_not_alive_long_after_a_tick(self) -> None:
        worker.tick()
        os.utime(self.heartbeat, (0, 0))
        self.assertFalse(worker.is_alive())


if __name__ == "__main__":
    unittest.main()
