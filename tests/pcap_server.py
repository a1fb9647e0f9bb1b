"""A PCAP-over-IP server that is there for a while."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class PcapServer:
    """A PCAP-over-IP server on a fixed port: sends a capture to whoever connects, once."""

    def __init__(self, port: int, data: bytes, host: str) -> None:
        self.listening = socket.create_server((host, port))
        self.connection: socket.socket | None = None
        threading.Thread(target=self._serve, args=(data,), daemon=True).start()

    def _serve(self, data: bytes) -> None:
        try:
            self.connection, _ = self.listening.accept()
            self.connection.sendall(data)
        except OSError:
            return

    def close(self) -> None:
        self.listening.close()
        if self.connection is not None:
            self.connection.close()


@contextmanager
def serving(port: int, data: bytes, host: str = "127.0.0.1") -> Iterator[PcapServer]:
    server = PcapServer(port, data, host)
    try:
        yield server
    finally:
        server.close()
