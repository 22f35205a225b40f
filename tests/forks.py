"""Code in processes of its own, forked from one that has imported what it needs: torch alone takes seconds."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SERVER = """
import importlib, json, os, sys, traceback
sys.path.insert(0, sys.argv[1])
for line in sys.stdin:
    imports, code = json.loads(line)
    for name in imports:
        importlib.import_module(name)
    child = os.fork()
    if child == 0:
        try:
            exec(code, {})
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


class Forks:
    """Runs one piece of code at a time."""

    def __init__(self, process: subprocess.Popen):
        self._process, self._child = process, 0

    def start(self, code: str, *imports: str) -> int:
        """Id of a new process that runs the code, once these modules are imported where it is forked from."""
        if self._child:  # of a test that failed
            with suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
            self.wait()
        self._process.stdin.write(json.dumps([imports, code]) + "\n")
        self._child = int(self._process.stdout.readline())
        return self._child

    def wait(self) -> int:
        """How it ended: its exit code, or the negative number of the signal."""
        self._child = 0
        return os.waitstatus_to_exitcode(int(self._process.stdout.readline()))

    def run(self, code: str, *imports: str) -> int:
        """How a process that runs the code ended."""
        self.start(code, *imports)
        return self.wait()


@contextmanager
def serving() -> Iterator[Forks]:
    """A process to fork from, without threads."""
    command = [sys.executable, "-c", SERVER, str(Path(__file__).parents[1])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        yield Forks(process)
        process.stdin.close()
