"""Services started one by one, as containers run them: the API can be stopped and started again."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.e2e.run import COMMAND, STOP_SECONDS, Served, environ
from tests.ports import free_port


class Apart(Served):
    """A run whose API comes and goes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.arguments = ["api", "--api-listen", f"127.0.0.1:{free_port()}"]
        super().__init__(self._start(), int(self.arguments[-1].split(":")[1]), folder / "api.log")

    def _start(self) -> "subprocess.Popen[bytes]":
        with (self.folder / "api.log").open("ab") as log:
            return subprocess.Popen(
                [COMMAND, *self.arguments],
                cwd=self.folder,
                env=environ({"FLOWMATE_RUN_DIR": "run"}),
                stdin=subprocess.DEVNULL,
                stderr=log,
            )

    def stop_api(self) -> None:
        self.stop(signal.SIGKILL)

    def start_api(self) -> None:
        self.process = self._start()
        self.wait_up()


@contextmanager
def apart(capture: Path, folder: Path) -> Iterator[Apart]:
    """A completed run over the capture."""
    (folder / "run").mkdir()
    env = environ({"FLOWMATE_RUN_DIR": "run"})
    lines = (["coordinator"], ["shard"], ["capture", "--pcap", str(capture)])
    with ExitStack() as stack:
        for line in lines:
            process = stack.enter_context(
                subprocess.Popen([COMMAND, *line], cwd=folder, env=env, stdin=subprocess.DEVNULL)
            )
            stack.callback(_end, process)
        run = Apart(folder)
        stack.callback(lambda: _end(run.process))
        run.wait_ended()
        yield run
        run.client.close()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
