"""What a person sees of a run: the bar, the table, and the numbers in both."""

import io

import pytest

from shared import figures, progress, summary


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def health(**more: object) -> dict[str, object]:
    source = {"name": "/x/a.pcap", "size": 1000, "position": 250}
    return {"run_status": "running", "totals": {"packets": 5000}, "sources": [source]} | more


def test_a_bar_on_a_terminal() -> None:
    times = iter([0.0, 0.0, 2.0])
    terminal = Terminal()
    bar = progress.Progress(terminal, lambda: next(times))
    bar.update(health())
    bar.update(health())
    bar.clear()
    assert "█████░░░░░░░░░░░░░░░  25%  5,000 packets" in terminal.getvalue()
    assert "2.5 k packets/s  ETA 6.0 s" in terminal.getvalue()
    assert terminal.getvalue().endswith(progress.CLEAR)


def test_no_bar_in_a_pipe() -> None:
    pipe = io.StringIO()
    progress.Progress(pipe).update(health())
    assert pipe.getvalue() == ""


def test_a_source_without_a_size_has_no_bar() -> None:
    told = health(sources=[{"name": "-", "size": 0, "position": 9}])
    assert progress.line(told, 2.0) == "reading  5,000 packets  2.5 k packets/s"


def test_problems_are_listed_and_the_rest_is_counted() -> None:
    problems = [{"offset": 1000 * i, "reason": "record cut short"} for i in range(9)]
    source = {"name": "/x/a.pcap", "damaged": 12, "problems": problems}
    text = summary.table(health(sources=[source]), {}, {}, summary.Times(1.0, 0.5), "-")
    assert "packets   5,000 · 0 B · 10 k packets/s" in text
    assert "problems  a.pcap: record cut short" in text
    assert "a.pcap at byte 4,000" in text
    assert "a.pcap at byte 5,000" not in text
    assert text.endswith("7 more")


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (figures.size(999), "999 B"),
        (figures.size(1_234_567), "1.23 MB"),
        (figures.size(10**18), "1e+03 PB"),
        (figures.rate(12), "12"),
        (figures.rate(1_234_567), "1.23 M"),
        (figures.duration(3.21), "3.2 s"),
        (figures.duration(125), "2 min 05 s"),
        (figures.duration(7500), "2 h 05 min"),
        (figures.ranking({"a": 1, "b": 2000, "c": 0}), "b 2,000 · a 1"),
        (figures.ranking({"a": 1, "b": 2, "c": 3}, 1), "c 3 · 2 more"),
    ],
)
def test_figures(shown: str, wanted: str) -> None:
    assert shown == wanted
