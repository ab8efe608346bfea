"""Fuzzes targets: python -m tests.fuzz [target] [--seconds N], or tries one input: python -m tests.fuzz target FILE."""

import argparse
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

_INSTRUMENTED = ("weakcl_pipeline", "PIL", "tarfile", "zipfile", "gzip", "_compression", "csv", "graphlib")
"""Packages whose coverage leads the fuzzer."""
_MEGABYTES = 3000
"""Of memory, at which the fuzzer ends a try."""
_SECONDS = 30
"""After which it does; trial.py finds fault long before, once a try is over."""
_LONGEST = 1 << 14
"""Bytes of an input."""


def main() -> int:
    """Do what the command line says; return 1 if something is found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the readers of users' files.")
    parser.add_argument("target", nargs="?", help="a name in tests/fuzz/targets.py; by default all, one after another")
    parser.add_argument("input", nargs="?", type=Path, help="try this again, without atheris")
    parser.add_argument("--seconds", type=int, default=300, help="for each target")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"), help="for inputs that lead on, and findings")
    chosen = parser.parse_args()
    if chosen.target is None:
        return _fuzz_all(chosen.seconds, chosen.folder)
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        if chosen.input is None:
            _fuzz(chosen.target, chosen.seconds, chosen.folder.absolute() / chosen.target, Path(folder))
        else:
            _try(chosen.target, chosen.input, Path(folder))
    return 0


def _fuzz_all(seconds: int, folder: Path) -> int:
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - below, atheris must be there first

    command = [sys.executable, "-m", "tests.fuzz", f"--seconds={seconds}", f"--folder={folder}"]
    return int(any([subprocess.run([*command, name], check=False).returncode for name in TARGETS]))  # noqa: C419 - all


def _try(name: str, data: Path, folder: Path) -> None:
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415
    from tests.fuzz.trial import Trials  # noqa: PLC0415

    print(Trials(TARGETS[name], folder).run(data.read_bytes()))  # noqa: T201


def _fuzz(name: str, seconds: int, kept: Path, folder: Path) -> None:
    import atheris  # noqa: PLC0415 - an extra, for this alone

    with atheris.instrument_imports(include=list(_INSTRUMENTED)):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415
        from tests.fuzz.trial import Trials  # noqa: PLC0415

        trials = Trials(TARGETS[name], folder)
    corpus, seeds, dictionary = kept / "corpus", folder / "seeds", folder / "words"
    corpus.mkdir(parents=True, exist_ok=True)
    seeds.mkdir()
    for number, seed in enumerate(trials.seeds()):
        (seeds / str(number)).write_bytes(seed)
    words = ("".join(f"\\x{byte:02x}" for byte in word) for word in TARGETS[name].words)
    dictionary.write_text("".join(f'"{word}"\n' for word in words))
    options = {
        "max_total_time": seconds,
        "timeout": _SECONDS,
        "rss_limit_mb": _MEGABYTES,
        "max_len": _LONGEST,
        "artifact_prefix": f"{kept}/",
        "print_final_stats": 1,
    }
    if TARGETS[name].words:
        options["dict"] = dictionary
    arguments = [f"-{option}={value}" for option, value in options.items()]
    atheris.Setup([sys.argv[0], *arguments, str(corpus), str(seeds)], trials.run)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
