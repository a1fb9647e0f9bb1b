"""What every service process does the same."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import clean_environ

PROGRAM = """
import os, sys
from shared.service import share_with_group
os.umask(0o022)
share_with_group(sys.argv[1])
print(oct(os.umask(0)))
"""


@pytest.mark.parametrize(("mode", "umask"), [(0o2770, "0o7"), (0o700, "0o22"), (0o755, "0o22")])
def test_what_is_made_in_a_groups_folder_is_the_groups(
    tmp_path: Path, mode: int, umask: str
) -> None:
    tmp_path.chmod(mode)
    words = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(words, env=clean_environ(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == umask
