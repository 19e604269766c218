"""The process that kernels are forked from: it has made the imports of the pages, and computes nothing.

It takes a request a line and answers with a process id; without its run it kills its kernels and ends.
"""

import builtins
import contextlib
import ctypes
import gc
import json
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace

READY = b"ready\n"
# What every kernel would import when it starts, and when it asks for its first table.
_ANYWAY = ["import ipykernel.kernelapp", "import ibis.backends.duckdb.converter"]
_PR_SET_PDEATHSIG = 1


def main(folder: str, imports: str, run: str) -> None:
    """Make the imports (a JSON list of statements), then fork a kernel for each request until there are no more.

    The folder of the kernels' files is made here, for a run (its process id) that is killed cannot remove it.
    """
    # While the imports are made nobody reads: without its run this process would end too late.
    _ends_with_parent(int(run))
    # Ctrl-C reaches every process of the terminal; what becomes of the kernels is for the run to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # pandas asks when it is imported whether a notebook or a terminal will show its tables.
    builtins.get_ipython = lambda: SimpleNamespace(kernel=None)  # type: ignore[attr-defined]
    for statement in [*_ANYWAY, *json.loads(imports)]:
        # An import that fails fails again in its page, which says why.
        with contextlib.suppress(Exception):
            exec(statement, {})
    del builtins.get_ipython  # type: ignore[attr-defined]
    if not _alone():
        return
    # What is here stays: no kernel need look through all of it for what could go.
    gc.freeze()
    _signal_at_parents_end(0)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    Path(folder).mkdir(mode=0o700)
    with contextlib.suppress(BrokenPipeError):
        # The run may have been killed since; its requests end then as well.
        answers.write(READY)
    kernels: set[int] = set()
    while line := sys.stdin.buffer.readline():
        # Until it is waited for, the id of a process that ended is nobody else's.
        kernels -= {pid for pid in kernels if os.waitpid(pid, os.WNOHANG)[0]}
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            answers.close()
            _be_a_kernel(server=server, **json.loads(line))
        kernels.add(pid)
        answers.write(b"%d\n" % pid)
    for pid in kernels:
        _kill(pid)
    for pid in kernels:
        os.waitpid(pid, 0)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _be_a_kernel(*, server: int, arguments: list[str], environment: dict[str, str], cwd: str, said: str) -> None:
    """Become what `python -m ipykernel_launcher` would be, with the imports done."""
    os.setsid()
    _ends_with_parent(server)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (os.open(said, os.O_WRONLY | os.O_APPEND), 1)):
        os.dup2(source, target)
        os.close(source)
    os.dup2(1, 2)
    sys.argv = ["ipykernel_launcher", *arguments]
    from ipykernel.kernelapp import IPKernelApp

    try:
        IPKernelApp.launch_instance(argv=[*arguments, f"--IPKernelApp.parent_handle={server}"])
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        # The libraries of a copy wait at their end for threads that only the original has.
        os._exit(0)


def _ends_with_parent(parent: int) -> None:
    """Have the system kill this process when the thread that started it ends: a main thread, there and here."""
    _signal_at_parents_end(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _signal_at_parents_end(number: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def _alone() -> bool:
    """Whether no other thread runs: a lock that it holds at the fork would be held for ever in the copy."""
    threads = [path.read_text(encoding="utf-8").strip() for path in Path("/proc/self/task").glob("*/comm")]
    # jemalloc, in pyarrow, has one that it stops before a fork.
    return sum(name != "jemalloc_bg_thd" for name in threads) == 1


def _kill(pid: int) -> None:
    """Kill a kernel and what it started; before it leads a group of its own there is nothing else."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
