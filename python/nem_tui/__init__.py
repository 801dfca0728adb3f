"""Starts nem-tui: a build that uses the libraries of this environment's PyTorch, or else the pure-Rust one.

PyTorch is found where `import torch` would find it, but is not imported. `nem-tui --version` says which build runs and
why; NEM_TUI_BACKEND=flex or libtorch chooses one. The reason reaches the program as NEM_TUI_NO_LIBTORCH.
"""

import importlib.util
import os
import sys

# The builds with libtorch, each with the first and last version of PyTorch that it was tested with. Between those of
# different builds, PyTorch's C++ structures change.
BUILDS = {"libtorch-2.9": ((2, 9), (2, 12)), "libtorch-2.13": ((2, 13), (2, 15))}


class Unusable(Exception):
    """Why PyTorch's libraries cannot be used."""


def program(build):
    """The path of a build's program."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), build, "nem-tui")


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


def build_for(torch, untested):
    """The build for this version of PyTorch. With `untested`, versions that none was tested with get the nearest."""
    path = os.path.join(torch, "version.py")
    try:
        with open(path, encoding="utf-8") as file:
            line = next(line for line in file if line.startswith("__version__"))
        version = line.split("=")[1].strip(" '\"\n")
        minor = tuple(int(part) for part in version.split(".")[:2])
    except (OSError, ValueError, IndexError, StopIteration):
        raise Unusable(f"the version of PyTorch cannot be read from {path}") from None
    (oldest, _), (_, newest) = min(BUILDS.values()), max(BUILDS.values())
    if not oldest <= minor <= newest and not untested:
        tested = f"{oldest[0]}.{oldest[1]} to {newest[0]}.{newest[1]}"
        raise Unusable(f"PyTorch {version} in {torch} is not one of {tested}, which nem-tui was tested with")
    near = min(max(minor, oldest), newest)
    build = next(build for build, (first, last) in BUILDS.items() if first <= near <= last)
    if not os.path.exists(program(build)):
        raise Unusable(f"this nem-tui was packed without a build for PyTorch {version}")
    return build


def chosen(environment):
    """The build to start, and its environment."""
    environment = dict(environment)
    environment.pop("NEM_TUI_NO_LIBTORCH", None)
    wish = environment.get("NEM_TUI_BACKEND", "")
    try:
        if wish == "flex":
            raise Unusable("NEM_TUI_BACKEND is flex")
        torch = pytorch()
        build = build_for(torch, untested=wish == "libtorch")
        folder = libraries(torch)
    except Unusable as reason:
        environment["NEM_TUI_NO_LIBTORCH"] = str(reason)
        return "flex", environment
    others = environment.get("LD_LIBRARY_PATH")
    environment["LD_LIBRARY_PATH"] = f"{folder}:{others}" if others else folder
    return build, environment


def main():
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
