"""`/api/openapi.json`: what FastAPI derives from the routes, said the way this API means it.

`python -m services.api.openapi` prints it; the UI's types are made of that (`make ui-schema`).
"""

import json
from typing import Any

from fastapi import FastAPI

Schema = dict[str, Any]


class Described(FastAPI):
    """An app whose description says that an empty query parameter counts as absent."""

    def openapi(self) -> Schema:
        if self.openapi_schema is None:
            for operations in super().openapi()["paths"].values():
                for operation in operations.values():
                    for parameter in operation.get("parameters", []):
                        _describe(parameter)
        return super().openapi()


def _describe(parameter: Schema) -> None:
    """A parameter that may be left out may be empty; `null` is nothing that a query can hold."""
    if parameter["in"] == "query":
        parameter["allowEmptyValue"] = True
    choices = parameter["schema"].get("anyOf", [])
    kept = [choice for choice in choices if choice != {"type": "null"}]
    if len(kept) == 1:
        del parameter["schema"]["anyOf"]
        parameter["schema"].update(kept[0])
    elif choices:
        parameter["schema"]["anyOf"] = kept


def printed() -> str:
    """The description of this API, in one order, so that a change of it is a small difference."""
    from services.api.app import create_app
    from shared.settings import Settings

    return json.dumps(create_app(Settings()).openapi(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    print(printed(), end="")
