"""What a container engine makes of a Dockerfile, by chroot over what is installed on this machine:
its /usr and its Python are the base image."""

import json
import os
import re
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pip

import hello_service
from tests.processes import run

CHECKOUT = Path(hello_service.__file__).parent.parent
DOCKERFILE = CHECKOUT / "deploy" / "Dockerfile"
SCRIPT = Path(__file__).with_name("containers.sh")
MINUTES = 240

ENGINE = ("unshare", "--mount", "--pid", "--fork")
OFFLINE = ("PIP_NO_INDEX=1", "PIP_FIND_LINKS=/index", "PIP_DISABLE_PIP_VERSION_CHECK=1")


class Instruction(NamedTuple):
    """An instruction of a Dockerfile, like C{WORD --flag=value rest}."""

    word: str
    flags: dict[str, str]
    rest: str

    @property
    def command(self) -> list[str]:
        """The words of a command that takes no shell, the form with brackets.

        @raises ValueError: if it has another form.
        """
        words: list[str] = json.loads(self.rest.removeprefix("CMD "))
        return words


def instructions(text: str) -> Iterator[Instruction]:
    """Read a Dockerfile."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    for line in filter(str.strip, text.splitlines()):
        found = re.fullmatch(r"(\w+)\s+((?:--\S+\s+)*)(.*)", line)
        assert found is not None, line
        yield Instruction(found[1], dict(re.findall(r"--([\w-]+)=(\S+)", found[2])), found[3])


def copy_file(source: str, target: str) -> None:
    """Copy a file as a layer of an image has it: its time is in whole seconds."""
    shutil.copy2(source, target, follow_symlinks=False)
    if not os.path.islink(target):
        os.utime(target, (int(os.stat(source).st_mtime),) * 2)


@dataclass
class Stage:
    """What a C{FROM} begins, as far as the instructions behind it have been followed.

    @ivar root: its tree.
    @ivar local: what is mounted at the tree's /usr/local.
    """

    root: Path
    local: Path
    workdir: str = "/"
    user: str = "0:0"
    ports: list[int] = field(default_factory=list)
    stop_signal: str = "SIGTERM"
    health: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Make the tree of the base image."""
        for name in ("dev", "etc", "opt", "proc", "tmp", "usr"):
            (self.root / name).mkdir(parents=True)
        for name in ("bin", "lib", "lib64", "sbin"):
            if os.path.islink(f"/{name}"):
                (self.root / name).symlink_to(f"usr/{name}")
        (self.root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (self.root / "etc" / "ld.so.conf").write_text("/usr/local/lib\n")
        self.run(["/sbin/ldconfig"])

    def over_tree(self, mode: str) -> list[str]:
        """Begin a command over the tree, which is C{rw} or C{ro}."""
        return ["sh", str(SCRIPT), mode, str(self.root), str(self.local), *self.environment]

    @property
    def environment(self) -> list[str]:
        """Begin a command within the tree."""
        return ["/usr/bin/env", "-i", f"--chdir={self.workdir}", "PATH=/usr/local/bin:/usr/bin"]

    def run(self, command: list[str]) -> None:
        """Run a command over the tree, to change it."""
        done = run(*ENGINE, *self.over_tree("rw"), *OFFLINE, *command, timeout=MINUTES)
        if done.returncode:
            raise AssertionError(f"{shlex.join(command)}\n{done.stdout}{done.stderr}")

    def copy(self, origin: Path, names: list[str]) -> None:
        """Copy files, and what is in folders."""
        target = self.root / os.path.join(self.workdir, names[-1])[1:]
        for path in (origin / name.lstrip("/") for name in names[:-1]):
            if path.is_dir():
                shutil.copytree(path, target, symlinks=True, copy_function=copy_file,
                                dirs_exist_ok=True)  # fmt: skip
            else:
                copy_file(str(path), str(target / path.name))

    def follow(self, step: Instruction, origins: dict[str, Path]) -> None:
        """Follow an instruction.

        @param origins: the trees to copy from, by the names of their stages; the context's is "".
        """
        match step.word:
            case "WORKDIR":
                self.workdir = step.rest
                (self.root / step.rest[1:]).mkdir(parents=True, exist_ok=True)
            case "COPY":
                self.copy(origins[step.flags.get("from", "")], step.rest.split())
            case "RUN":
                self.run(step.command)
            case "USER":
                self.user = step.rest
            case "EXPOSE":
                self.ports = [int(port) for port in step.rest.split()]
            case "STOPSIGNAL":
                self.stop_signal = step.rest
            case "HEALTHCHECK":
                self.health = step.command
            case "ENTRYPOINT":
                self.entrypoint = step.command
            case "CMD":
                self.command = step.command
            case unknown:
                raise AssertionError(f"{unknown} is an instruction that nobody has taught us yet")


def python_in_usr_local(folder: Path) -> Path:
    """Return what to mount at /usr/local, so that it has a C{python} with pip."""
    if sys.base_prefix != "/usr":
        return Path(sys.base_prefix)
    version = f"python{sysconfig.get_python_version()}"
    packages = folder / "lib" / version / "dist-packages"
    shutil.copytree(Path(pip.__file__).parent, packages / "pip")
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(f"/usr/bin/{version}")
    return folder


def requirements(extras: str) -> list[str]:
    """Return what is downloaded for the package with some extras, their names joined by commas."""
    metadata = ConfigParser()
    metadata.read(CHECKOUT / "setup.cfg")
    needed = [metadata["options"]["install_requires"]]
    needed += [metadata["options.extras_require"][extra] for extra in extras.split(",")]
    return ["setuptools", *filter(None, "\n".join(needed).splitlines())]


def build(folder: Path) -> Stage:
    """Build the image in a folder; return its last stage.

    The steps find packages in a folder, where they are put before, from this machine's index.
    """
    text = DOCKERFILE.read_text()
    _, _, after = text.partition(".[")
    index = folder / "index"
    done = run("python", "-m", "pip", "download", "--quiet", f"--dest={index}",
               *requirements(after.partition("]")[0]), timeout=MINUTES)  # fmt: skip
    if done.returncode:
        raise AssertionError(done.stderr)
    local = python_in_usr_local(folder / "local")
    trees = {"": CHECKOUT}
    for step in instructions(text):
        if step.word == "FROM":
            _, _, name = step.rest.partition(" AS ")
            stage = Stage(folder / (name or "image"), local)
            stage.begin()
            if name:
                shutil.copytree(index, stage.root / "index", copy_function=os.link)
            trees[name] = stage.root
        else:
            stage.follow(step, trees)
    return stage
