"""Whose a run's directory is, and files that are whole or not there."""

import os

import pytest

from hierjax.errors import ConfigError
from hierjax.experiment.run_directory import RunDirectory, require_directory_name

CONFIG = {"name": "rats", "seed": 1, "methods": [{"method": "moments"}]}
DATA = {"units": 2, "sha256": "ab"}
BEGUN = {"state": "unfinished", "data": DATA}
FINISHED = {"state": "finished", "data": DATA}


@pytest.fixture
def begun(tmp_path):
    directory = RunDirectory(tmp_path / "a" / "run")
    assert not directory.claim(CONFIG, DATA, resume=False)
    directory.begin(CONFIG, BEGUN)
    directory.release()
    return directory


def refused(path, config=CONFIG, data=DATA, resume=False):
    with pytest.raises(ConfigError) as caught:
        RunDirectory(path).claim(config, data, resume)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_claim_writes_nothing(tmp_path):
    assert not RunDirectory(tmp_path / "run").claim(CONFIG, DATA, resume=False)
    assert not RunDirectory(tmp_path / "run").claim(CONFIG, DATA, resume=True)
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_run_is_gone_on_with_only_when_asked(begun):
    assert "found this one begun, not finished; --resume" in refused(begun.path)
    assert not RunDirectory(begun.path).claim(CONFIG, DATA, resume=True)


def test_a_finished_run_is_not_written_again(begun):
    begun.finish(FINISHED)
    assert "found this one finished" in refused(begun.path)
    assert RunDirectory(begun.path).claim(CONFIG, DATA, resume=True)


@pytest.mark.parametrize("resume", [False, True])
def test_another_configuration_is_refused(begun, resume):
    message = refused(begun.path, {**CONFIG, "seed": 2, "level": 0.5}, resume=resume)
    assert "found 'rats' with another seed, level" in message


@pytest.mark.parametrize("resume", [False, True])
def test_other_data_are_refused(begun, resume):
    assert "expected the data" in refused(begun.path, data={**DATA, "sha256": "cd"}, resume=resume)


def test_files_of_others_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert not RunDirectory(tmp_path).claim(CONFIG, DATA, resume=False)
    (tmp_path / "report.html").write_text("mine")
    assert "found report.html without a configuration" in refused(tmp_path)


@pytest.mark.parametrize("path", ["file", "file/run"])
def test_a_file_is_no_directory(tmp_path, path):
    (tmp_path / "file").write_text("")
    assert "expected a directory to write, found a file at" in refused(tmp_path / path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    assert "read-only" in refused(tmp_path / "run")
    tmp_path.chmod(0o700)


def test_files_appear_whole_and_together(begun):
    begun.stage("figures/a.png", "a")
    begun.stage("hyper.csv", "b")
    assert not (begun.path / "hyper.csv").exists()
    assert begun.publish() == ["figures/a.png", "hyper.csv"]
    assert (begun.path / "figures" / "a.png").read_text() == "a"


def test_a_finished_run_keeps_nothing_unfinished(begun):
    begun.checkpoint("gibbs").write_bytes(b"")
    begun.finish(FINISHED)
    assert sorted(path.name for path in begun.path.iterdir()) == ["config.yaml", "manifest.json"]
    assert begun.manifest() == FINISHED


def test_leftovers_of_a_killed_process_do_not_matter(begun):
    (begun.staging / "hyper.csv").write_text("half of a ta")
    begun.begin(CONFIG, BEGUN)
    assert list(begun.staging.iterdir()) == []
    begun.release()


def test_two_processes_do_not_write_one_run(begun):
    begun.begin(CONFIG, BEGUN)
    with pytest.raises(ConfigError, match="no other process"):
        RunDirectory(begun.path).begin(CONFIG, BEGUN)
    begun.release()
    other = RunDirectory(begun.path)
    other.begin(CONFIG, BEGUN)
    other.release()


def test_an_unreadable_manifest_is_that_of_an_unfinished_run(begun):
    (begun.path / "manifest.json").write_text("{")
    assert not RunDirectory(begun.path).claim(CONFIG, DATA, resume=True)


@pytest.mark.parametrize("name", ["x.xlsx", "runs/a.csv", "b.JSON"])
def test_a_file_s_name_makes_no_directory(tmp_path, name):
    out = tmp_path / name
    with pytest.raises(ConfigError, match=f"{name}: expected a directory, found the name of a "):
        require_directory_name(out)
    # One that is there already was wanted so, and its run may be gone on with.
    out.mkdir(parents=True)
    require_directory_name(out)
    require_directory_name(tmp_path / "rates v1.2")
