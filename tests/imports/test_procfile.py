from imported import imported


def test_each_line_is_a_long_lived_job_in_its_order() -> None:
    made = imported("# two\nweb: bin/serve --port 80\n\nworker_2: while true; do work; done\n")
    assert made.jobs == {
        "web": {"command": ["bin/serve", "--port", "80"]},
        "worker_2": {"command": "while true; do work; done", "shell": True},
    }


def test_ports_are_given_as_foreman_gives_them_where_they_are_asked_for() -> None:
    jobs = imported("web: serve -p $PORT\nclock: tick\napi: serve -p ${PORT}").jobs
    assert [job.get("env") for job in jobs.values()] == [{"PORT": "5000"}, None, {"PORT": "5200"}]


def test_an_env_file_beside_it_is_read_by_each_job() -> None:
    assert imported("web: serve", files={".env": "A=1"}).job["env_file"] == ".env"


def test_a_release_is_no_job() -> None:
    made = imported("release: migrate\nweb: serve")
    assert list(made.jobs) == ["web"]
    assert made.notes_of("line 1, release")


def test_that_one_end_no_longer_ends_all_is_told() -> None:
    assert imported("web: serve").notes_of("Foreman ends every process")


def test_a_name_that_no_job_may_have_is_made_one() -> None:
    assert list(imported("_web: serve").jobs) == ["web"]
