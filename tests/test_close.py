"""The end of a supervisor of which one part cannot be closed as it should be."""

import signal
from pathlib import Path

from conftest import is_alive
from program import program


def test_a_step_that_fails_keeps_none_of_the_others_back(tmp_path: Path) -> None:
    place = tmp_path / "place"
    with program(tmp_path) as app:
        app.write(
            '[supervisor]\nsocket = "place/control.sock"\n[jobs.web]\ncommand = "sleep 1000"\nsettle = "100ms"\n',
        )
        app.run()
        job = app.eventually_job("web", state="running")["pid"]
        helpers = [app.part("engine.forkserver"), app.part("logs.process")]
        place.rename(tmp_path / "elsewhere")
        place.write_text("no folder")  # so the control socket, closed near the end, cannot be removed
        app.supervisor.send_signal(signal.SIGTERM)  # type: ignore[union-attr]  # it runs
        app.supervisor.wait(60)  # type: ignore[union-attr]
        assert not any(map(is_alive, (job, *helpers)))
        lines = app.log.splitlines()
        assert any("NotADirectoryError" in line for line in lines)
        assert any(line.endswith("ended") for line in lines), app.log
