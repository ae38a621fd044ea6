import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pytest

from localaws.runtimes import environments
from localaws.runtimes.container import ContainerSpec, ImageError
from localaws.runtimes.images import Images
from localaws.runtimes.process import INHERITED, ProcessContainer, ProcessRuntime

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/team/tiny:latest"
TIMEOUT = 120.0  # seconds
Run = Callable[..., ProcessContainer]


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("environments")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images" / "tiny"
    folder.mkdir(parents=True)
    (folder / "requirements.txt").write_text("")
    return folder


@pytest.fixture
def runtime(folder: Path, cache_dir: Path) -> ProcessRuntime:
    return ProcessRuntime(Images(folder.parent), cache_dir)


@pytest.fixture
def base_dir(tmp_path: Path) -> Path:
    base_dir = tmp_path / "opt-ml"
    base_dir.mkdir()
    return base_dir


@pytest.fixture
def output() -> list[str]:
    return []


@pytest.fixture
def run(runtime: ProcessRuntime, folder: Path, base_dir: Path, output: list[str]) -> Run:
    def start(
        code: str, *arguments: str, environment: Mapping[str, str] | None = None, shebang: str = "python3"
    ) -> ProcessContainer:
        script = folder / "work"
        script.write_text(f"#!/usr/bin/env {shebang}\n{code}\n")
        script.chmod(0o755)
        return runtime.start(
            ContainerSpec(IMAGE, ("work", *arguments), base_dir, environment or {}, output.append)
        )

    return start


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "timeout"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_script_of_the_folder_runs_with_the_environment_s_python(
    run: Run, folder: Path, cache_dir: Path, output: list[str]
) -> None:
    container = run("import os, sys; print(sys.prefix); print(os.getcwd()); sys.exit(3)")
    assert container.wait(TIMEOUT) == 3
    assert Path(output[0]).parent == cache_dir.resolve()
    assert output[1] == str(folder.resolve())


def test_stdout_and_stderr_are_merged_and_split_into_lines(run: Run, output: list[str]) -> None:
    code = (
        "import os\nos.write(1, b'out\\n'); os.write(2, b'err\\n')\n"
        "os.write(1, b'10%\\r50%\\r100%\\n'); os.write(1, b'bad \\xff byte\\r\\nlast')"
    )
    assert run(code).wait(TIMEOUT) == 0
    assert output == ["out", "err", "100%", "bad \ufffd byte", "last"]


def test_a_long_line_is_split(run: Run, output: list[str]) -> None:
    assert run("import sys; sys.stdout.write('x' * 100_000)").wait(TIMEOUT) == 0
    assert "".join(output) == "x" * 100_000
    assert max(map(len, output)) <= 32_768


def test_the_environment_is_clean_and_paths_are_translated(
    run: Run, base_dir: Path, output: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "root's own")
    monkeypatch.setenv("PYTHONPATH", "/server")
    for name in INHERITED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    container = run(
        "import os, sys; print(*sorted(os.environ)); print(*sys.argv[1:])\n"
        "print(os.environ['DATA'], os.environ['SAGEMAKER_BASE_DIR'], os.environ['NO_PROXY'])",
        "/opt/ml/processing/input",
        "--to=/opt/ml/model",
        "/opt/mlx",
        "s3://b/opt/ml/x",
        environment={"DATA": "/opt/ml/input/data/train"},
    )
    assert container.wait(TIMEOUT) == 0
    names = set(output[0].split()) - {"LC_CTYPE"}
    assert names == {
        "DATA", "HOME", "HTTPS_PROXY", "LANG", "LOCALAWS_CONTAINER", "NO_PROXY", "PATH",
        "PYTHONPYCACHEPREFIX", "PYTHONUNBUFFERED", "SAGEMAKER_BASE_DIR", "TMPDIR", "no_proxy",
    }  # fmt: skip
    assert output[1] == f"{base_dir}/processing/input --to={base_dir}/model /opt/mlx s3://b/opt/ml/x"
    assert output[2] == f"{base_dir}/input/data/train {base_dir} 127.0.0.1,localhost"


def test_bytecode_is_kept_in_the_environment_and_not_in_the_image(
    run: Run, folder: Path, output: list[str]
) -> None:
    (folder / "part.py").write_text("VALUE = 1\n")
    code = "import part; print(part.__cached__)"
    assert [run(code).wait(TIMEOUT), run(code).wait(TIMEOUT)] == [0, 0]
    [cached] = set(output)
    assert Path(cached).is_file()
    assert not Path(cached).is_relative_to(folder)
    assert not list(folder.rglob("__pycache__"))


def test_the_exit_code_of_a_killed_process_is_128_plus_the_signal(run: Run, output: list[str]) -> None:
    container = run("import os, time; print(os.getpid()); time.sleep(600)")
    until(lambda: bool(output))
    assert container.wait(0.05) is None
    os.kill(int(output[0]), signal.SIGKILL)
    assert container.wait(TIMEOUT) == 137


def test_stop_sends_sigterm_first(run: Run, output: list[str]) -> None:
    container = run(
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: (print('bye'), sys.exit(0)))\n"
        "print('up'); time.sleep(600)"
    )
    until(lambda: output == ["up"])
    assert container.stop(grace=TIMEOUT) == 0
    assert output == ["up", "bye"]


def test_stop_kills_processes_that_ignore_sigterm(run: Run, output: list[str]) -> None:
    container = run(
        "import signal, subprocess, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "sleep = 'import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)'\n"
        "own = subprocess.Popen([sys.executable, '-c', sleep], start_new_session=True)\n"
        "group = subprocess.Popen([sys.executable, '-c', sleep])\n"
        "print(own.pid, group.pid); time.sleep(600)"
    )
    until(lambda: bool(output))
    assert container.stop(grace=0.2) == 137
    for pid in map(int, output[0].split()):
        until(lambda pid=pid: gone(pid))  # type: ignore[misc]


@pytest.mark.parametrize("session", ["False", "True"])
def test_no_process_outlives_the_first_one(run: Run, output: list[str], session: str) -> None:
    container = run(
        "import subprocess, sys\n"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        f"print(subprocess.Popen(sleep, start_new_session={session}).pid)"
    )
    assert container.wait(TIMEOUT) == 0
    until(lambda: gone(int(output[0])))


def test_an_exiting_container_does_not_affect_others(run: Run, output: list[str]) -> None:
    other = run("import time; print('up'); time.sleep(600)")
    until(lambda: output == ["up"])
    assert run("pass").wait(TIMEOUT) == 0
    assert other.wait(0.3) is None
    other.stop(grace=0)


def test_containers_die_with_their_owner(folder: Path, cache_dir: Path, tmp_path: Path) -> None:
    script = folder / "work"
    script.write_text(
        "#!/usr/bin/env python3\nimport os, pathlib, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '987'], start_new_session=True)\n"
        "pids = pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'], 'pids')\n"
        "pids.write_text(f'{os.getpid()} {child.pid}\\n'); time.sleep(600)\n"
    )
    script.chmod(0o755)
    owner = subprocess.Popen(
        [
            sys.executable, "-c",
            "import sys, time; from pathlib import Path\n"
            "from localaws.runtimes.container import ContainerSpec\n"
            "from localaws.runtimes.images import Images\n"
            "from localaws.runtimes.process import ProcessRuntime\n"
            "images, cache, base = map(Path, sys.argv[1:])\n"
            "ProcessRuntime(Images(images), cache).start(ContainerSpec('tiny', ('work',), base))\n"
            "time.sleep(600)",
            str(folder.parent), str(cache_dir), str(tmp_path),
        ],
    )  # fmt: skip
    file = tmp_path / "pids"
    until(lambda: file.exists() and file.read_text().endswith("\n"))
    pids = [int(pid) for pid in file.read_text().split()]
    assert not any(map(gone, pids))
    owner.kill()
    owner.wait()
    until(lambda: all(map(gone, pids)))


def test_the_error_for_an_unknown_command_lists_the_executables(
    run: Run, runtime: ProcessRuntime, base_dir: Path
) -> None:
    run("pass").wait(TIMEOUT)
    with pytest.raises(ImageError, match=r"no executable 'trian': .* has work"):
        runtime.start(ContainerSpec(IMAGE, ("trian",), base_dir))


def test_a_script_whose_interpreter_is_missing_is_an_image_error_or_127(run: Run) -> None:
    assert run("pass", shebang="no-such-interpreter").wait(TIMEOUT) == 127


def test_a_file_that_is_not_executable_code_is_an_image_error(
    runtime: ProcessRuntime, folder: Path, base_dir: Path
) -> None:
    (folder / "noise").write_bytes(b"\x00\x01")
    (folder / "noise").chmod(0o755)
    with pytest.raises(ImageError, match="cannot be started"):
        runtime.start(ContainerSpec(IMAGE, ("noise",), base_dir))


def test_the_error_for_an_invalid_requirement_has_uv_s_output(
    runtime: ProcessRuntime, folder: Path, cache_dir: Path
) -> None:
    (folder / "requirements.txt").write_text("this is not a requirement\n")
    with pytest.raises(ImageError, match=r"(?s)uv pip failed:.*requirement"):
        runtime.prepare(IMAGE)
    assert not [path for path in cache_dir.iterdir() if path.name.startswith(".")]


def test_concurrent_calls_create_an_environment_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    run_uv = environments._uv

    def counted(folder: Path, *arguments: str) -> None:
        calls.append(arguments[0])
        run_uv(folder, *arguments)

    monkeypatch.setattr(environments, "_uv", counted)
    fresh = ProcessRuntime(Images(folder.parent), tmp_path / "fresh")
    threads = [threading.Thread(target=fresh.prepare, args=(IMAGE,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == ["venv", "pip"]
