import re
import time

import pytest

from jobs.current_unix_time import CurrentUnixTime


def test_says_hello_with_the_current_unix_timestamp(capsys: pytest.CaptureFixture[str]) -> None:
    before = int(time.time())
    CurrentUnixTime().tick()
    said = re.fullmatch(r"Hello, the current unix timestamp is (\d+)\n", capsys.readouterr().out)
    assert said is not None
    assert before <= int(said[1]) <= int(time.time())
