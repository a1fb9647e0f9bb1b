"""The command line of the settings: flags beside the environment, and what is wrong in one line."""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from pydantic import ValidationError

from shared import VERSION
from shared.errors import UserError
from shared.settings import (
    GROUPS,
    Service,
    Settings,
    choices,
    default,
    extra,
    flag,
    group,
    is_list,
    variable,
)

LIST_INTERFACES = "--list-interfaces"
COMMANDS = """\
commands:
  flowmate capture|shard|coordinator|api
                        one service alone, as a container runs it
  flowmate sample [-o FILE]
                        write a capture to try things with
  flowmate warm         compile the kernels now rather than at the first run
  flowmate doctor [--json] [--flag value ...]
                        whether this machine will do for a run with these settings
  flowmate keys DIR     make the keys that services on several machines need
  flowmate healthcheck SERVICE
                        exit 0 when that service answers
"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; {self.prog} --help lists what there is")


def resolve(
    argv: Sequence[str],
    service: Service | None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings of one service (None: of all). UserError says which value is wrong and why."""
    prog = "flowmate" if service is None else f"flowmate {service}"
    given = vars(parser(prog, service).parse_args(argv))
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for name, field in Settings.model_fields.items():
        if given.get(name) is not None:
            values[name], origin[name] = given[name], flag(name)
        elif environ.get(variable(name), "") != "":
            text = environ[variable(name)]
            values[name] = split(text) if is_list(field) else text
            origin[name] = variable(name)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise UserError(f"{origin[name]} {first['input']}: {first['msg'].lower()}") from None


def parser(prog: str, service: Service | None) -> Parser:
    """One flag a setting; values stay text until the model checks them."""
    result = Parser(
        prog=prog,
        allow_abbrev=False,
        usage=f"{prog} [--flag value ...]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=COMMANDS if service is None else None,
    )
    result.add_argument("--version", action="version", version=f"flowmate {VERSION}")
    if service in (None, "capture"):
        result.add_argument(
            LIST_INTERFACES, action="store_true", help="list what --iface can name, and exit"
        )
    groups = {key: result.add_argument_group(title) for key, title in GROUPS.items()}
    for name, field in Settings.model_fields.items():
        if service is not None and service not in extra(field)["services"]:
            continue
        names = [flag(name), *extra(field)["flags"]]
        to = groups[group(field)]
        if field.annotation is bool:
            to.add_argument(*names, dest=name, action="store_const", const=True, help=text(name))
        else:
            to.add_argument(
                *names,
                dest=name,
                action="append" if is_list(field) else "store",
                metavar=extra(field)["metavar"] or choices(field) or "N",
                help=text(name),
            )
    return result


def text(name: str) -> str:
    """Help of one setting: sentence, unit, default, variable."""
    field = Settings.model_fields[name]
    unit = f" [{extra(field)['unit']}]" if extra(field)["unit"] else ""
    words = f"{field.description}{unit} (default {default(field)}; {variable(name)})"
    return words.replace("%", "%%")


def split(text: str) -> list[str]:
    """A list from the environment."""
    try:
        items = json.loads(text)
    except ValueError:
        items = None  # a file may be called [1].pcap
    return [str(item) for item in items] if isinstance(items, list) else text.split(",")
