"""Code in processes of its own, forked from this one as it was before its first test: torch alone takes seconds.

The process that they are forked from waits aside from the start. It has no threads and nothing of swath, no test has
changed it, and autograd, which cannot be forked once it has run, has not run there.
"""

import atexit
import importlib
import json
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TextIO


class Forks:
    """Runs one piece of code at a time."""

    def __init__(self):
        """Set a process aside to fork from: to be called once what takes long is imported, and before all else."""
        (read_requests, write_requests), (read_replies, write_replies) = os.pipe(), os.pipe()

        def serve() -> None:
            os.close(write_requests)
            os.close(read_replies)
            _serve(os.fdopen(read_requests), os.fdopen(write_replies, "w", buffering=1))

        self._aside = fork(serve)
        os.close(read_requests)
        os.close(write_replies)
        self._requests, self._replies = os.fdopen(write_requests, "w", buffering=1), os.fdopen(read_replies)
        self._child = 0
        atexit.register(self._close)

    def start(self, code: str, *imports: str) -> int:
        """Id of a new process that runs the code, once these modules are imported where it is forked from."""
        self._end_child()
        self._requests.write(json.dumps([imports, code]) + "\n")
        self._child = int(self._replies.readline())
        return self._child

    def wait(self) -> int:
        """How it ended: its exit code, or the negative number of the signal."""
        self._child = 0
        return os.waitstatus_to_exitcode(int(self._replies.readline()))

    def run(self, code: str, *imports: str) -> int:
        """How a process that runs the code ended."""
        self.start(code, *imports)
        return self.wait()

    def _end_child(self) -> None:
        if self._child:  # of a test that failed
            with suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
            self.wait()

    def _close(self) -> None:
        self._end_child()
        self._requests.close()
        self._replies.close()
        os.waitpid(self._aside, 0)


def _serve(requests: Iterable[str], replies: TextIO) -> None:
    # Ctrl-C is answered by the process that runs the tests
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.resetwarnings()
    sys.path.insert(0, str(Path(__file__).parents[1]))
    for line in requests:
        imports, code = json.loads(line)
        for name in imports:
            importlib.import_module(name)
        child = fork(lambda code=code: exec(code, {}))
        print(child, file=replies)
        print(os.waitpid(child, 0)[1], file=replies)


def fork(work: Callable[[], object]) -> int:
    """Id of a new process that does the work and ends with 0, or with 1 where it fails."""
    if child := os.fork():
        return child
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
