"""The kernels of a run: forked from a process that has the imports done, or started plainly; none outlives it."""

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from journeybook.report import forkserver

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
"""Sums on several threads differ in the last digit from run to run; a page runs its models on one."""

ENVIRONMENT = {
    **THREADS,
    "PYTHONHASHSEED": "0",
    # Figures go into the page, whatever backend is set where the run was started.
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}
"""What is the same for every kernel, and must be there when the imports are made."""

CAN_FORK = sys.platform == "linux" and hasattr(os, "pidfd_open")


class Kernels:
    """Starts kernels, from several threads, and kills those still there when it is left.

    Attributes:
        folder: Where they keep their files, once the first of them is ready; it is removed with them.
        held: Open files that stay open as long as any kernel lives, such as the lock of a folder.
    """

    def __init__(self, imports: Sequence[str] = (), *, held: Sequence[int] = (), forking: bool = CAN_FORK) -> None:
        """Start nothing yet; `imports` are statements to make before the first kernel is forked."""
        # Short, for it holds sockets.
        self.folder = Path(tempfile.gettempdir()) / f"jb-{secrets.token_hex(4)}"
        self._imports = imports
        self.held = tuple(held)
        self._forking = forking
        self._server: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._over = False
        self._plain: list[subprocess.Popen] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Return these kernels."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill every kernel, and wait until it is gone."""
        if self._server and not self._ready:
            # Somebody may be waiting for its imports, and hold the lock.
            self._server.kill()
        with self._lock:
            self._over = True
            if self._server:
                # The end of its requests is its sign to kill what it forked.
                self._server.communicate()
            for process in self._plain:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def warm_up(self) -> None:
        """Begin the imports, so that they are done when the first page begins; for the main thread alone."""
        with self._lock:
            if self._forking and self._server is None:
                arguments = [str(self.folder), json.dumps(self._imports), str(os.getpid())]
                self._server = subprocess.Popen(
                    [sys.executable, "-P", "-m", forkserver.__name__, *arguments],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=os.environ | ENVIRONMENT,
                    pass_fds=self.held,
                    start_new_session=True,
                )

    def ready(self) -> Path:
        """Wait for the imports; returns the folder, made by whoever removes it should the run be killed."""
        with self._lock:
            self._begin()
        return self.folder

    def _begin(self) -> None:
        if self._over:
            raise RuntimeError("the run is over")
        if self._ready:
            return
        answers = self._server.stdout if self._server else None
        self._forking = answers is not None and answers.readline() == forkserver.READY
        if not self._forking:
            self.folder.mkdir(mode=0o700, exist_ok=True)
        self._ready = True

    def forked(
        self, arguments: Sequence[str], *, environment: dict[str, str], cwd: str, said: str
    ) -> "Forked | None":
        """Fork a kernel that `said` takes the words of outside cells; None where it is to be started plainly."""
        with self._lock:
            self._begin()
            if not self._forking or self._server is None:
                return None
            requests, answers = self._server.stdin, self._server.stdout
            assert requests is not None and answers is not None
            request = {"arguments": list(arguments), "environment": environment, "cwd": cwd, "said": said}
            try:
                requests.write(json.dumps(request).encode() + b"\n")
                requests.flush()
                return Forked(int(answers.readline()))
            except (OSError, ValueError):
                # The server was killed, and with it what it forked.
                self._forking = False
                return None

    def started_plainly(self, process: subprocess.Popen) -> None:
        """Take note of a kernel that was started plainly."""
        with self._lock:
            self._plain.append(process)
            if self._over:
                process.kill()


class Forked:
    """A process that is not this one's child, with what a `Popen` has of it."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        """Take hold of a process, by a handle that never stands for another one."""
        self.pid = pid
        self._handle = os.pidfd_open(pid)
        self._ends = select.poll()
        self._ends.register(self._handle, select.POLLIN)

    def poll(self) -> int | None:
        """Return 1 where it has ended, however it did."""
        return 1 if self._ends.poll(0) else None

    def wait(self) -> int:
        """Wait for its end."""
        self._ends.poll()
        os.close(self._handle)
        return 1

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)
