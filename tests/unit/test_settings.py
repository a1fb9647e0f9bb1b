"""Settings: where a value comes from, what is refused, what a child is told."""

import os

import pytest

from shared.command_line import parser, resolve, split
from shared.errors import UserError
from shared.settings import (
    EVERY,
    Settings,
    extra,
    flag,
    host_port,
    to_environ,
    variable,
    worker_count,
)


def test_a_flag_wins_over_the_environment_and_that_over_the_default() -> None:
    environ = {"FLOWMATE_MAX_FLOWS": "7"}
    assert resolve([], None, {}).max_flows == 1_000_000
    assert resolve([], None, environ).max_flows == 7
    assert resolve(["--max-flows", "9"], None, environ).max_flows == 9


def test_an_empty_variable_is_not_set() -> None:
    assert resolve([], None, {"FLOWMATE_MAX_FLOWS": ""}).max_flows == 1_000_000


@pytest.mark.parametrize(
    ("text", "items"),
    [("a", ["a"]), ("a,b", ["a", "b"]), ('["a,b"]', ["a,b"]), ("[1].pcap", ["[1].pcap"])],
)
def test_a_list_in_the_environment(text: str, items: list[str]) -> None:
    assert split(text) == items


def test_a_flag_repeats() -> None:
    assert resolve(["--pcap", "a", "--pcap", "b"], None, {}).pcap == ("a", "b")


def test_two_names_of_one_flag() -> None:
    assert resolve(["--bpf", "tcp"], None, {}).capture_filter == "tcp"


@pytest.mark.parametrize(
    ("argv", "environ", "words"),
    [
        (["--max-flows", "0"], {}, "--max-flows 0:"),
        (["--max-flows", "many"], {}, "--max-flows many:"),
        ([], {"FLOWMATE_WORKERS": "65"}, "FLOWMATE_WORKERS 65:"),
        (["--mode", "think"], {}, "--mode think:"),
        (["--max-flow", "1"], {}, "unrecognized arguments: --max-flow"),
        (["--max-flows"], {}, "expected one argument"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_it(
    argv: list[str], environ: dict[str, str], words: str
) -> None:
    with pytest.raises(UserError, match=r"^[^\n]+$") as caught:
        resolve(argv, None, environ)
    assert words in str(caught.value)


def test_a_service_takes_only_its_own_flags() -> None:
    assert resolve(["--max-flows", "5"], "shard", {}).max_flows == 5
    with pytest.raises(UserError, match="unrecognized arguments: --max-flows"):
        resolve(["--max-flows", "5"], "api", {})


def test_a_child_reads_back_what_it_was_told() -> None:
    given = Settings(pcap=("a,b", "-"), max_flows=3, disable_stream_content=True, output="x")
    told = to_environ(given)
    assert set(told) == {
        "FLOWMATE_PCAP",
        "FLOWMATE_MAX_FLOWS",
        "FLOWMATE_DISABLE_STREAM_CONTENT",
        "FLOWMATE_OUTPUT",
    }
    assert resolve([], None, told) == given


def test_help_shows_each_setting_with_unit_default_and_variable() -> None:
    shown = " ".join(parser("flowmate", None).format_help().split())
    for name, field in Settings.model_fields.items():
        assert flag(name) in shown
        assert variable(name) in shown.replace(" ", "")
        assert field.description
    assert "sources and batches:" in shown
    assert "[packets] (default 8192; FLOWMATE_BATCH_SIZE)" in shown
    assert "(default 0;" in shown


def test_each_setting_has_a_reader() -> None:
    for name, field in Settings.model_fields.items():
        readers = extra(field)["services"]
        assert readers, name
        assert set(readers) <= {*EVERY, "launcher"}, name


def test_workers() -> None:
    cores = len(os.sched_getaffinity(0))
    assert worker_count(Settings()) == max(1, cores - 1)
    assert worker_count(Settings(workers=5)) == 5


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:33111", "127.0.0.1", 33111),
        ("[::1]:80", "::1", 80),
        ("localhost:1", "localhost", 1),
        (":65535", "127.0.0.1", 65535),
    ],
)
def test_an_address(text: str, host: str, port: int) -> None:
    assert host_port(text, "api_listen") == (host, port)


@pytest.mark.parametrize("text", ["33111", "localhost", "a:0", "a:65536", "a:http", "a:-1", "a:²"])
def test_no_address(text: str) -> None:
    with pytest.raises(UserError, match=r"--api-listen .*: give HOST:PORT"):
        host_port(text, "api_listen")
