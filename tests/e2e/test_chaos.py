"""Three rounds of `make chaos`, always the same: services are killed, held up, starved."""

from pathlib import Path

import pytest

from tests.chaos.rounds import Round

pytestmark = pytest.mark.e2e

SEED = "minute"
SECONDS = 30.0


def test_files_are_read_whole_whatever_happens(tmp_path: Path) -> None:
    print(Round(tmp_path, SEED).of_files(SECONDS))


def test_a_folder_is_read_whole_whatever_happens(tmp_path: Path) -> None:
    print(Round(tmp_path, SEED).of_a_folder(SECONDS))


def test_a_pipe_is_accounted_for_whatever_happens(tmp_path: Path) -> None:
    print(Round(tmp_path, SEED).of_a_pipe(SECONDS))
