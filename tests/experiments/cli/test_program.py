"""The program answers where its streams or its folder are gone: one sentence or none, and the right exit status."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "corrwise"]
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone_is_no_error(unbuffered):
    read, write = os.pipe()
    os.close(read)
    environment = {**BUFFERED, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run([*COMMAND, "--help"], stdout=write, stderr=subprocess.PIPE, text=True, env=environment)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", ["--help", "mpc --help"])
def test_output_that_cannot_be_written_is_one_sentence(words, unbuffered):
    environment = {**BUFFERED, "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *words.split()], stdout=full, stderr=subprocess.PIPE, text=True, env=environment
        )
    assert done.returncode == 2
    assert done.stderr == "corrwise: standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_no_exit_status(closed, tmp_path):
    for words, code in (("--help", 0), (f"report {tmp_path}", 2)):
        done = subprocess.run(["sh", "-c", f'exec "$0" -m corrwise {words} {closed}', sys.executable], check=False)
        assert done.returncode == code, words


def test_a_file_never_gets_the_number_of_a_closed_stream(tmp_path):
    script = (
        "import os\nfrom corrwise.experiments import cli\nfrom corrwise import __main__ as program\n"
        f"def main(): return os.open({str(tmp_path / 'rows')!r}, os.O_CREAT | os.O_RDWR) <= 2\n"
        "cli.main = main\nprogram.run()"
    )
    words = ["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, script]
    assert subprocess.run(words, check=False).returncode == 0


def test_a_path_without_letters_for_it_is_printed_all_the_same(tmp_path):
    script = "from corrwise.experiments import cli\n"
    script += "from corrwise import __main__ as program\ncli.main = lambda: print('\\xfc\\udcff')\nprogram.run()"
    environment = {**BUFFERED, "PYTHONIOENCODING": "ascii:strict"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\\xfc\\udcff\n", "")


def test_a_folder_that_was_removed_is_one_sentence(tmp_path):
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$0" -m corrwise doctor'
    environment = {**BUFFERED, "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path)}
    words = ["sh", "-c", script, sys.executable]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("corrwise: the current folder cannot be used: ")


def test_logs_that_cannot_be_written_are_one_sentence(tmp_path):
    script = (
        "import sys\nfrom pathlib import Path\nfrom corrwise.experiments import cli\n"
        "from corrwise import __main__ as program\n"
        "from tensorboard.compat.tensorflow_stub.io import gfile\n"
        "def full(*words): raise OSError(28, 'No space left on device')\n"
        "gfile.LocalFileSystem._write = full\n"
        "def main():\n    from corrwise._writing import RunFolderError\n"
        "    from corrwise.predictors.training.log import Log\n"
        "    try:\n        Log(Path(sys.argv[1]) / 'logs').begin(0)\n"
        "    except RunFolderError as error:\n        print(error)\n"
        "cli.main = main\nprogram.run()"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout == f"cannot write to {tmp_path / 'logs'}: No space left on device\n"
    assert "Traceback" not in done.stderr
