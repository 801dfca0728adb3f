"""Starts nem-tui: a build that uses the libraries of this environment's PyTorch, or else the pure-Rust one.

PyTorch is found where `import torch` would find it, but is not imported. `nem-tui --version` says which build runs and
why; NEM_TUI_BACKEND=flex or libtorch chooses one. The reason reaches the program as NEM_TUI_NO_LIBTORCH.
"""

import importlib.util
import os
import subprocess
import sys

from nem_tui.glue import GLUE

HERE = os.path.dirname(os.path.abspath(__file__))


class Unusable(Exception):
    """Why PyTorch's libraries cannot be used."""


def pytorch():
    """The folder of this environment's PyTorch."""
    try:
        spec = importlib.util.find_spec("torch")
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        raise Unusable(f"the environment of {sys.executable} has no PyTorch")
    return os.path.dirname(spec.origin)


def libraries(torch):
    """The folder of PyTorch's libraries; conda-forge puts them into the environment's."""
    folders = [os.path.join(torch, "lib"), os.path.join(sys.prefix, "lib")]
    for folder in folders:
        if os.path.exists(os.path.join(folder, "libtorch_cpu.so")):
            return folder
    raise Unusable(f"{folders[0]} has no libtorch_cpu.so")


def glue(torch, untested):
    """The folder of the glue for this version of PyTorch; with `untested`, of the nearest version's."""
    path = os.path.join(torch, "version.py")
    try:
        with open(path, encoding="utf-8") as file:
            line = next(line for line in file if line.startswith("__version__"))
        version = line.split("=")[1].strip(" '\"\n")
        minor = tuple(int(part) for part in version.split(".")[:2])
    except (OSError, ValueError, IndexError, StopIteration):
        raise Unusable(f"the version of PyTorch cannot be read from {path}") from None
    oldest, newest = min(GLUE.values())[0], max(GLUE.values())[1]
    if not oldest <= minor <= newest and not untested:
        tested = " to ".join(f"{major}.{minor}" for major, minor in sorted({oldest, newest}))
        raise Unusable(f"{torch} is PyTorch {version}, and nem-tui was tested with {tested}")
    near = min(max(minor, oldest), newest)
    return next(os.path.join(HERE, folder) for folder, (_, last) in GLUE.items() if near <= last)


def check(path, torch, environment):
    """Asks the system's loader whether it would find all libraries; without this, it would end the program."""
    trace = dict(environment, LD_TRACE_LOADED_OBJECTS="1")
    try:
        traced = subprocess.run([path], env=trace, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except OSError as error:
        raise Unusable(f"{path} cannot be started: {error.strerror}") from None
    lines = traced.stdout.decode(errors="replace").split("\n")
    wrong = [line.strip() for line in lines if "not found" in line or traced.returncode]
    if wrong:
        raise Unusable(f"the libraries of {torch} cannot be loaded ({wrong[0]})")


def chosen(environment):
    """The build to start, and its environment."""
    environment = dict(environment)
    environment.pop("NEM_TUI_NO_LIBTORCH", None)
    wish = environment.get("NEM_TUI_BACKEND", "")
    try:
        if wish == "flex":
            raise Unusable("NEM_TUI_BACKEND is flex")
        if not GLUE:
            raise Unusable("this nem-tui was packed without it")
        torch = pytorch()
        folders = [glue(torch, untested=wish == "libtorch"), libraries(torch)]
        others = environment.get("LD_LIBRARY_PATH")
        found = dict(environment, LD_LIBRARY_PATH=":".join(folders + [others] * bool(others)))
        check(program("libtorch"), torch, found)
        return "libtorch", found
    except Unusable as reason:
        environment["NEM_TUI_NO_LIBTORCH"] = str(reason)
        return "flex", environment


def program(build):
    """The path of a build."""
    return os.path.join(HERE, build, "nem-tui")


def main():
    """Becomes the program."""
    wish = os.environ.get("NEM_TUI_BACKEND", "")
    if wish not in ("", "flex", "libtorch"):
        refuse(f"NEM_TUI_BACKEND is {wish}: choose flex or libtorch, or leave it out")
    build, environment = chosen(os.environ)
    if wish == "libtorch" and build == "flex":
        refuse(f"NEM_TUI_BACKEND is libtorch, but {environment['NEM_TUI_NO_LIBTORCH']}")
    try:
        os.execve(program(build), ["nem-tui", *sys.argv[1:]], environment)
    except OSError as error:
        sys.exit(f"nem-tui: cannot start {program(build)}: {error.strerror}")


def refuse(sentence):
    """Ends with a usage error."""
    print(f"nem-tui: {sentence}", file=sys.stderr)
    sys.exit(2)
