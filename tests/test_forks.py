"""The processes that other tests kill, or join."""

import os
import signal
from pathlib import Path

from tests.training import processes


def test_how_a_process_ended_is_told(forks):
    assert forks.run("import sys; assert 'torch' in sys.modules") == 0
    assert forks.run("raise ValueError") == 1
    left_over = forks.start("import time; time.sleep(100)")
    os.kill(forks.start("import time; time.sleep(100)"), signal.SIGKILL)
    assert forks.wait() == -signal.SIGKILL
    assert not Path(f"/proc/{left_over}").exists()


def failing_where_it_is_the_second(rank: int, world: int) -> None:
    assert rank == 0


def test_one_of_several_that_fails_is_a_failure(forks):
    assert processes.run_distributed(forks, failing_where_it_is_the_second) == 1
