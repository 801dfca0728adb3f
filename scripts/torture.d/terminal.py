"""Random keys, pastes, mouse events and resizes in a pseudo-terminal. Nothing may panic, and the terminal is given back."""
import contextlib, fcntl, os, pty, random, select, signal, struct, termios, time

from harness import STOP, Violation

SECONDS = 6
KEYS = [c.encode() for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:;-_=+*/?!<>[]{}()|'\"~^$%&#@\\"]
KEYS += [b"\r", b"\t", b"\x1b[Z", b"\x7f", b"\x1b", b"\x0c", b"\x1b[A", b"\x1b[B", b"\x1b[C", b"\x1b[D", b"\x1b[H", b"\x1b[F",
         b"\x1b[5~", b"\x1b[6~", b"\x1b[3~", b"\x1bOP", b"\x1b[15~", b"\x01", b"\x05", b"\x15", b"\x17", "ä".encode(),
         "中".encode(), b"\xff", b"\x1b[I", b"\x1b[O", b"\x1b]11;rgb:ffff/ffff/ffff\x07", b"\x1b[?62;4c", b"\x1b[6;20;10t"]
PIECES = [b":set k=3\r", b":set train.batch=4\r", b"\x1b[200~kK lL\nq\n:quit\r\x1b[201~", b"\x1b[<0;10;5M", b"\x1b[<65;30;9M",
          b"\x1b[<32;7;7M", b"\x1b[M !!", b"\x1b[", b"\x1b[200~", b"\x1b[999999999999C", b"\x1b[<9999;9999;9999M"]


def tries(lab):
    for again in range(6 if lab.short else 100):
        yield f"keys {again}", keys(again)


def size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Terminal:
    """A pseudo-terminal, and what was written to it."""

    def __init__(self, rows=24, columns=80):
        self.ours, self.theirs = pty.openpty()
        size(self.theirs, rows, columns)
        self.before = termios.tcgetattr(self.theirs)
        self.written = bytearray()

    def read(self, seconds=0.0):
        """Takes what was written, for so long."""
        end = time.monotonic() + seconds
        while select.select([self.ours], [], [], max(0, end - time.monotonic()))[0]:
            with contextlib.suppress(OSError):
                self.written += os.read(self.ours, 1 << 16)

    def restored(self):
        """What of the terminal was not given back."""
        last = {name: (self.written.rfind(b"\x1b[?" + code + b"h"), self.written.rfind(b"\x1b[?" + code + b"l"))
                for name, code in [("the alternate screen", b"1049"), ("bracketed paste", b"2004"),
                                   ("the mouse", b"1000"), ("focus events", b"1004")]}
        wrong = [name for name, (on, off) in last.items() if on > off]
        if self.written.rfind(b"\x1b[?25l") > self.written.rfind(b"\x1b[?25h"):
            wrong.append("the cursor")
        if termios.tcgetattr(self.theirs)[:4] != self.before[:4]:
            wrong.append("the terminal's mode")
        return wrong

    def close(self):
        os.close(self.ours)
        os.close(self.theirs)


def workbench(attempt, terminal, *arguments):
    env = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    streams = {"stdin": terminal.theirs, "stdout": terminal.theirs, "stderr": terminal.theirs}
    return attempt.start(*arguments, env=env, **streams, preexec_fn=own_terminal)


def own_terminal():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def keys(again):
    def run(attempt):
        lab = attempt.lab
        draw = random.Random(f"{lab.seed} keys {again}")
        terminal = Terminal(draw.randrange(1, 60), draw.randrange(1, 200))
        sets = lab.train(attempt.run, epochs=1000)
        sets = [*sets[sets.index("--set"):], "--set", "train.max_epochs=1000"]
        begun = [] if draw.random() < 0.3 else ["--preset", "quickstart", *sets]
        with contextlib.closing(terminal):
            program = workbench(attempt, terminal, "--device", "flex", *begun)
            terminal.read(draw.choice([0, 0.05, 0.5]))
            end = time.monotonic() + SECONDS
            while time.monotonic() < end and program.poll() is None:
                if draw.random() < 0.05:
                    size(terminal.theirs, draw.choice([0, 1, 2, 9, 24, 60, 200]), draw.choice([0, 1, 2, 20, 80, 300]))
                    program.signal(signal.SIGWINCH)
                piece = draw.choice(PIECES) if draw.random() < 0.05 else draw.choice(KEYS)
                for part in [piece] if draw.random() < 0.8 else [piece[i:i + 1] for i in range(len(piece))]:
                    os.write(terminal.ours, part)
                    terminal.read()
                terminal.read(draw.choice([0, 0, 0.003, 0.02]))
            ended_itself = program.poll() is not None
            program.signal(signal.SIGTERM)
            asked = time.monotonic()
            while program.poll() is None and time.monotonic() < asked + 10:
                terminal.read(0.02)
            took = time.monotonic() - asked
            terminal.read(0.05)
            ended = program.end(1)
            shown = terminal.written[-1500:].decode(errors="replace")
            if b"panicked" in terminal.written or ended.code not in (0, 1, 143, -signal.SIGTERM):
                raise Violation("other", f"exit code {ended.code}: {shown!r}")
            if not ended_itself and took > STOP:
                raise Violation("other", f"SIGTERM took {took:.1f} s")
            if wrong := terminal.restored():
                raise Violation("other", f"not given back: {', '.join(wrong)}; {shown[-300:]!r}")

    return run
