"""The rules of the house, as far as a program can see them."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import VERSION, settings_docs
from shared.settings import Settings, variable
from tests.conftest import ROOT

SERVICES = ("capture", "shard", "coordinator", "api")
COMPILER = ("numba", "llvmlite")
LONG_FILE_LINES = 400
SET_BY_COMPOSE = {"run_dir", "api_listen", "output", "shard_index"}
OF_SEVERAL_MACHINES = {"coordinator", "curve_keys", "bus_listen", "bus_port", "advertise"}
NOT_OF_A_STACK = {"metrics_listen"}  # services of one machine share its ports


def python_files(*folders: str) -> list[Path]:
    return [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]


def imports(file: Path) -> Iterator[str]:
    """Dotted names of the modules that a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported(file: Path, *prefixes: str) -> list[str]:
    return [
        name
        for name in imports(file)
        if any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)
    ]


@pytest.mark.parametrize("file", python_files("shared"), ids=lambda file: file.name)
def test_what_is_shared_imports_no_service(file: Path) -> None:
    assert imported(file, "services") == []


@pytest.mark.parametrize("service", SERVICES)
def test_services_do_not_import_each_other(service: str) -> None:
    others = [f"services.{other}" for other in SERVICES if other != service]
    found = {
        str(file.relative_to(ROOT)): names
        for file in python_files(f"services/{service}")
        if (names := imported(file, *others))
    }
    assert found == {}


def test_the_api_needs_no_compiler() -> None:
    kernels = [f"services.{service}.kernels" for service in SERVICES]
    for file in python_files("services/api"):
        assert imported(file, *COMPILER, "shared.kernels", *kernels) == [], file


def test_the_compiler_stays_in_packages_named_kernels() -> None:
    for file in python_files("shared", "services"):
        if file.parent.name != "kernels":
            assert imported(file, *COMPILER) == [], file


def kernels() -> list[str]:
    """Names of all compiled entry points."""
    files = [file for file in python_files("shared", "services") if file.parent.name == "kernels"]
    return [
        node.name
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(mark, ast.Name) and mark.id == "kernel" for mark in node.decorator_list)
    ]


@pytest.mark.parametrize("name", kernels())
def test_every_kernel_has_a_twin(name: str) -> None:
    """Its name stands in tests/reference: as a function, or in what a twin says it is of."""
    twins = "\n".join(file.read_text() for file in python_files("tests/reference"))
    assert re.search(rf"\b{name}\b", twins), f"{name} has no twin in tests/reference"


def test_every_setting_is_documented() -> None:
    written = (ROOT / "docs" / "settings.md").read_text()
    assert written == "\n".join(settings_docs.pages()), "docs/settings.md is old: make docs"


def test_compose_hands_every_setting_on() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    for name in Settings.model_fields.keys() - SET_BY_COMPOSE - OF_SEVERAL_MACHINES:
        assert re.search(rf"^  {variable(name)}:", compose, re.M), f"{name}: not in compose"


def test_the_stack_hands_every_setting_on() -> None:
    stack = (ROOT / "deploy" / "stack.yml").read_text()
    for name in Settings.model_fields.keys() - {"shard_index"} - NOT_OF_A_STACK:
        assert re.search(rf"^ +{variable(name)}:", stack, re.M), f"{name}: not in the stack file"


def test_compose_knows_the_choices_of_the_example() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    choices = re.findall(r"^# ([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M)
    assert len(choices) > 20
    for name in set(choices) - {"COMPOSE_PROFILES"}:
        assert re.search(rf"\b{name}:", compose) or f"${{{name}:-" in compose, name


def test_the_lock_has_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    run = [*project["dependencies"], *(word for name in SERVICES for word in extras[name])]
    for lock, wanted in (
        ("requirements.lock", run),
        ("requirements-dev.lock", [*run, *extras["dev"]]),
    ):
        locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / lock).read_text(), re.M))
        names = {re.split(r"[^A-Za-z0-9_-]", word)[0].replace("_", "-").lower() for word in wanted}
        assert names - locked - {"flowmate"} == set(), f"{lock} is old: make lock"


def test_the_changelog_knows_this_version() -> None:
    assert f"## {VERSION}" in (ROOT / "CHANGELOG.md").read_text()


def test_long_files_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Told, not judged: past 400 lines there is often a second idea in a file."""
    sizes = {
        file.relative_to(ROOT): len(file.read_text().splitlines())
        for file in python_files("shared", "services", "tests", "bench")
    }
    with capsys.disabled():
        for file, lines in sizes.items():
            if lines > LONG_FILE_LINES:
                print(f"\n{file}: {lines} lines", end="")
