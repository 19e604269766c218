"""How a kernel of a run comes to life, in the terms of jupyter_client."""

import sys
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner

from journeybook.report.kernels import ENVIRONMENT, Kernels

SAID_OUTSIDE = "process.log"
"""What a kernel says outside cells, on its way to nowhere but the message of one that did not start."""


class Provisioner(LocalProvisioner):
    """Starts the kernel of one page."""

    kernels: Kernels
    said: Path

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Fork the kernel, or start it plainly; what it says outside cells goes to a file, not to the terminal."""
        self.said.touch()
        arguments = cmd[cmd.index("ipykernel_launcher") + 1 :]
        process = self.kernels.forked(arguments, environment=kwargs["env"], cwd=kwargs["cwd"], said=str(self.said))
        if process is None:
            with self.said.open("ab") as said:
                held = self.kernels.held
                info = await super().launch_kernel(cmd, **kwargs, stdout=said, stderr=said, pass_fds=held)
            assert self.process is not None
            self.kernels.started_plainly(self.process)
            return info
        self.process = process  # type: ignore[assignment]
        self.pid, self.pgid, self.cwd = process.pid, process.pid, kwargs["cwd"]
        return self.connection_info


def manager(folder: Path, *, notebooks: Path, kernels: Kernels) -> type[AsyncKernelManager]:
    """A manager of one kernel of this interpreter, on files in `folder` and not on the network."""
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = KernelSpec(
        argv=[*command, "--HistoryManager.enabled=False"],
        display_name="Python 3",
        language="python",
        env={
            **ENVIRONMENT,
            "IPYTHONDIR": str(folder / "ipython"),
            # Where the door reads what the page may open.
            "JOURNEYBOOK_NOTEBOOKS": str(notebooks.resolve()),
        },
    )

    class Manager(AsyncKernelManager):
        transport = "ipc"
        connection_file = str(folder / "k.json")

        @property
        def kernel_spec(self) -> KernelSpec:
            return spec

        async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
            """Start the kernel from those of the run."""
            self.provisioner = Provisioner(kernel_spec=spec, parent=self)
            self.provisioner.kernels, self.provisioner.said = kernels, folder / SAID_OUTSIDE
            # papermill would change the directory of this process, which other pages share.
            await self._async_start_kernel(**options, cwd=str(folder))

    return Manager
