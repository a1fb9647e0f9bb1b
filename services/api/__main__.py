"""The API service: one uvicorn server in this process, ended by SIGTERM or SIGINT."""

import asyncio
import gc
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from services.api.listen import BACKLOG, bind, is_loopback, listen
from shared.errors import EXIT_INTERNAL, EXIT_OK, UserError
from shared.service import Stop, run_service
from shared.settings import Settings, host_port


def main(settings: Settings, stop: Stop) -> int:
    """Serve until told to stop. UserError for an address that cannot be listened on."""
    if not settings.run_dir:
        raise UserError("no --run-dir: give the folder where the other services of the run meet")
    with bind(settings) as listener:
        return asyncio.run(serve(settings, stop, listener))


async def serve(settings: Settings, stop: Stop, listener: socket.socket) -> int:
    """Run the server in this loop until `stop`."""
    import uvicorn  # with the app half a second of imports: a bad address need not wait for it

    from services.api.app import create_app, layered
    from services.api.auth import names_of
    from services.api.connection import Connection
    from shared.metrics import serve as serve_metrics

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Signals are `Stop`'s."""
            yield

    app = create_app(settings)
    serve_metrics(settings.metrics_listen, app.state.metrics.registry)
    host, _ = host_port(settings.api_listen, "api_listen")
    names = names_of(host) if is_loopback(listener.getsockname()[0]) else None
    server = Server(
        uvicorn.Config(
            layered(app, names),
            loop="asyncio",
            http=Connection,
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=1,
        )
    )

    # The app stays, with what it imported: to look through its 83,000 objects for garbage takes
    # 0.19 s while the machine is busy, in which nobody is answered.
    gc.freeze()

    def on_signal() -> None:
        """End: first what waits, or the server would wait for it."""
        stop.drain()
        if stop.requested:
            server.should_exit = True
            if server.started:
                app.state.feed.close()
                app.state.backend.give_up()

    loop = asyncio.get_running_loop()
    loop.add_reader(stop.descriptor, on_signal)
    try:
        on_signal()
        listen(listener, settings)
        await server.serve(sockets=[listener])
    finally:
        loop.remove_reader(stop.descriptor)
    return EXIT_OK if server.started else EXIT_INTERNAL


if __name__ == "__main__":
    sys.exit(run_service("api", main))
