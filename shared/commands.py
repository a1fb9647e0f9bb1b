"""The `flowmate` command: alone it runs all four services here; with a service's name, that one."""

import os
import runpy
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from shared import kernel_cache, local_run, sample
from shared.command_line import LIST_INTERFACES, Parser, resolve
from shared.errors import EXIT_OK, EXIT_USAGE, UserError
from shared.local_run import say
from shared.parent import die_with_launcher
from shared.settings import EVERY, variable
from shared.token import kept_token, needs_token


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the arguments say; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if LIST_INTERFACES in arguments:
            return become("services.capture.interfaces", sys.argv)
        if arguments and not arguments[0].startswith("-"):
            return command(arguments[0], arguments[1:])
        return local_run.run(resolve(arguments, None))
    except UserError as error:
        say(str(error))
        return EXIT_USAGE


def command(name: str, rest: Sequence[str]) -> int:
    """One of the commands that have a name."""
    if name in EVERY:
        return serve(name, rest)
    if name == "sample":
        return sample.main(rest)
    if name == "warm":
        return warm(rest)
    if name == "healthcheck":
        from shared import healthcheck  # numpy comes with it

        return healthcheck.main(rest)
    if name == "keys":
        from shared import curve  # ZeroMQ comes with it

        return curve.main(rest)
    if name == "doctor":
        from shared import doctor  # what a run never needs

        return doctor.main(rest)
    known = ", ".join((*EVERY, "sample", "warm", "doctor", "keys", "healthcheck"))
    hint = f"; to analyse it: flowmate --pcap {name}" if Path(name).exists() else ""
    raise UserError(f"{name} is no command{hint}; commands: {known}")


def serve(service: str, rest: Sequence[str]) -> int:
    """Become one service. Found by name, so that `shared` imports none of them."""
    if service == "api" and needs_token(settings := resolve(rest, "api")):
        os.environ[variable("api_token")] = token = kept_token(settings.run_dir)
        say(f"API token {token}  (choose your own with {variable('api_token')})")
    return become(f"services.{service}", [f"flowmate {service}", *rest])


def become(module: str, argv: Sequence[str]) -> int:
    """Run a module as this process."""
    sys.argv = list(argv)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=False)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else EXIT_OK
    return EXIT_OK


def warm(rest: Sequence[str]) -> int:
    """Compile what is not compiled yet."""
    parser = Parser(prog="flowmate warm", description="Compile the kernels.")
    about = "for any machine of this kind rather than for this one: for images"
    parser.add_argument("--portable", action="store_true", help=about)
    started = time.monotonic()
    if parser.parse_args(rest).portable:
        kernel_cache.make_portable()
    die_with_launcher()
    modules = kernel_cache.warm()
    say(f"{modules} kernel modules compiled or loaded in {time.monotonic() - started:.1f} s")
    return EXIT_OK
