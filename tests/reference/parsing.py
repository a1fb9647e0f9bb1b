"""Twins of `assign_parsers`, `end_parsers` and `collect_messages`: who is parsed, and what is told.

A stream is parsed from the first group on that comes when its service is known, if the service has
a parser. A message is told once, when it is finished; what is open when the stream is over is
finished then, as partial.
"""

PARSER_OF = {"http": "http1", "websocket": "http1", "tls": "tls", "https": "tls", "dns": "dns"}


def assign_parsers(services: list[str], known: dict[int, str], streams: list[int]) -> None:
    """services: of the streams of TCP, by number. known: parser by stream; streams: of the groups
    of one batch, in their order."""
    for stream in streams:
        if stream not in known and services[stream] in PARSER_OF:
            known[stream] = PARSER_OF[services[stream]]


def end_parsers(open_messages: dict[int, list[int]], over: list[int]) -> list[int]:
    """Messages that are finished as partial because their streams are over."""
    return [message for stream in over for message in open_messages.pop(stream, [])]


def collect_messages(finished: list[int], newest: int, kept: int) -> list[int]:
    """Those of the finished ones that the ring still has, in the order in which they ended."""
    return [number for number in finished if newest - number <= kept]
