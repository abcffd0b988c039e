"""The command line: list, init, check, run, compare, apply, audit, report, data."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

VERBS = {
    "list": "what there is: experiments, mechanisms, learners, laws, couplings, data",
    "init": "write an experiment file to start from",
    "check": "look at an experiment's data, split and parts before anything is run",
    "run": "run an experiment and write its results and report",
    "compare": "rank the couplings of runs, or of an experiment run now",
    "apply": "predict other data with the couplings a run has taught",
    "audit": "put what a run has taught to the physical probes",
    "report": "write a run's report again",
    "data": "list, fetch or verify data sets",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command: 0 when done, 2 for a request that cannot be carried out, 1 for a run that failed."""
    options = _parser().parse_args(arguments)
    if not options.verb:
        _parser().print_help()
        return 2
    _prepare()
    from . import verbs

    options.command = shlex.join(["mechlearn", *(sys.argv[1:] if arguments is None else arguments)])
    console = Console(soft_wrap=True)
    try:
        return getattr(verbs, f"{options.verb}_")(options, console) or 0
    except (ValueError, TypeError, FileNotFoundError) as error:
        if os.environ.get("MECHLEARN_TRACEBACK"):
            raise
        Console(stderr=True, soft_wrap=True).print(f"mechlearn {options.verb}: {error}", markup=False, highlight=False)
        return 2
    except KeyboardInterrupt:
        Console(stderr=True).print("mechlearn: stopped; go on with --resume", markup=False)
        return 1
    except Exception as error:
        if os.environ.get("MECHLEARN_TRACEBACK"):
            raise
        told = f"mechlearn {options.verb} failed: {type(error).__name__}: {str(error)[:1500]}"
        told += "\nset MECHLEARN_TRACEBACK=1 to see where; what was done is kept, go on with --resume"
        Console(stderr=True, soft_wrap=True).print(told, markup=False, highlight=False)
        return 1


def _prepare() -> None:
    """Quiet logs, and compiled functions kept between commands."""
    cache = Path(os.environ.get("MECHLEARN_CACHE", Path.home() / ".cache" / "mechlearn"))
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache / "compiled"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mechlearn", description="Couple mechanism models of the Earth's surface with machine learning."
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    made = {name: verbs.add_parser(name, help=text, description=text) for name, text in VERBS.items()}
    made["list"].add_argument("what", nargs="?", help="experiments, mechanisms, learners, laws, couplings or data")
    made["init"].add_argument("file", type=Path)
    made["init"].add_argument("--force", action="store_true", help="replace an existing file")
    for name in ("check", "run", "compare"):
        made[name].add_argument(
            "experiment", nargs="+" if name == "compare" else None, help="a name from `mechlearn list`, or a TOML file"
        )
        made[name].add_argument("--set", action="append", default=[], metavar="A.B=C", help="override one setting")
        made[name].add_argument("--quick", action="store_true", help="the experiment's short form")
        made[name].add_argument("--seed", type=int, help="the seed everything random derives from")
        made[name].add_argument("--seeds", type=int, help="how many times each coupling is taught")
    for name in ("run", "compare"):
        made[name].add_argument("--out", type=Path, required=name == "run", help="the folder of the results")
        made[name].add_argument("--resume", action="store_true", help="go on with a run that was stopped")
        made[name].add_argument("--force", action="store_true", help="replace the results in --out")
    made["compare"].add_argument("--metric", default="nse", help="the score to rank by")
    made["apply"].add_argument("run", type=Path)
    made["apply"].add_argument("out", type=Path, help="the NetCDF file to write")
    made["apply"].add_argument("--set", action="append", default=[], metavar="data.KEY=VALUE", help="the other data")
    made["apply"].add_argument("--coupling", action="append", help="which couplings (default: all)")
    made["apply"].add_argument("--force", action="store_true", help="replace an existing file")
    made["audit"].add_argument("run", type=Path)
    made["audit"].add_argument("--site", help="the site whose forcing the probes use")
    made["report"].add_argument("run", type=Path)
    made["data"].add_argument("what", choices=("list", "fetch", "verify"))
    made["data"].add_argument("name", nargs="?")
    return parser


if __name__ == "__main__":
    sys.exit(main())
