"""The command line: list, init, check, run, compare, apply, audit, export, report, data."""

import argparse
import logging
import os
import re
import shlex
import sys
from collections.abc import Sequence
from difflib import get_close_matches
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
    "export": "write what a run has taught as a Fortran or C module, or as ONNX",
    "report": "write a run's report again",
    "data": "list, fetch or verify data sets",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command: 0 when done, 2 for a request that cannot be carried out, 1 for a run that failed."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] not in VERBS and not given[0].startswith("-"):
        near = get_close_matches(given[0], VERBS, n=1)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        return _complain(f"mechlearn: there is no verb {given[0]!r}{meant}; there are: {', '.join(VERBS)}", 2)
    try:
        options = _parser().parse_args(given)
    except SystemExit as done:
        return int(done.code or 0)
    if not options.verb:
        _parser().print_help()
        return 2
    options.command = shlex.join(["mechlearn", *given])
    _prepare()
    return _carry_out(options)


def _carry_out(options: argparse.Namespace) -> int:
    from . import verbs

    width = None if sys.stdout.isatty() else 140
    try:
        return getattr(verbs, f"{options.verb}_")(options, Console(soft_wrap=True, width=width)) or 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        how = "the same command" if options.verb == "apply" else "--resume"
        return _complain(f"mechlearn: stopped; what was done is kept, go on with {how}", 1)
    except (ValueError, TypeError, FileNotFoundError) as error:
        _with_traceback()
        return _complain(f"mechlearn {options.verb}: {_told(error)}", 2)
    except Exception as error:
        _with_traceback()
        kept = "; what was done is kept, go on with --resume" if options.verb in ("run", "compare") else ""
        told = f"mechlearn {options.verb} failed: {type(error).__name__}: {_told(error)}"
        return _complain(f"{told}\nset MECHLEARN_TRACEBACK=1 to see where{kept}", 1)


def _complain(told: str, code: int) -> int:
    Console(stderr=True, soft_wrap=True).print(told, markup=False, highlight=False)
    return code


def _with_traceback() -> None:
    if os.environ.get("MECHLEARN_TRACEBACK"):
        raise


def _told(error: Exception) -> str:
    """What an error says, on one screen: of a traceback inside it, as JAX reports black boxes, the last line."""
    text = str(error) or "no reason given"
    if "Traceback (most recent call last)" in text:
        named = [line for line in text.splitlines() if re.match(r"[A-Za-z_][\w.]*: ", line)]
        text = named[-1] if named else text.splitlines()[0]
    return text[:1500]


def _prepare() -> None:
    """Quiet logs, compiled functions kept between commands, the user's own files found where they are.

    What the user has set is left as it is: JAX_PLATFORMS=cuda runs on a GPU.
    """
    cache = Path(os.environ.get("MECHLEARN_CACHE", Path.home() / ".cache" / "mechlearn"))
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache / "compiled"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("jax._src.callback").setLevel(logging.CRITICAL)
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


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
    made["compare"].add_argument("--metric", default="", help="the score to rank by (the run's own)")
    told = "find which sub-process of the experiment's mechanism to give to which learner"
    made["compare"].add_argument("--joints", action="store_true", help=told)
    told = "with --joints, how long to teach and measure (600)"
    made["compare"].add_argument("--budget", type=float, metavar="SECONDS", help=told)
    _declare_apply(made["apply"])
    made["audit"].add_argument("run", type=Path)
    made["audit"].add_argument("--site", help="the site whose forcing the probes use")
    _declare_export(made["export"])
    made["report"].add_argument("run", type=Path)
    made["data"].add_argument("what", choices=("list", "fetch", "verify"))
    made["data"].add_argument("name", nargs="?", help="a data set; verify without one looks at all that are here")
    return parser


def _declare_apply(verb: argparse.ArgumentParser) -> None:
    verb.usage = """mechlearn apply RUN OUT.nc [--set data.KEY=VALUE] [--coupling NAME] [--force]
       mechlearn apply RUN SCENE OUT.zarr [--coupling NAME] [--scheduler WHERE] [--workers N] [--set ...] [--force]"""
    verb.description = (
        "Predict another record of the run's data (OUT.nc), or retrieve at every pixel of an archive of scenes, a Zarr "
        "store or NetCDF file along any axes, block by block (SCENE OUT.zarr). The same command goes on where it was "
        "stopped."
    )
    verb.add_argument("run", type=Path, help="the folder of a finished run")
    verb.add_argument("places", type=Path, nargs="+", metavar="OUT", help="the file to write, after the scene if any")
    told = "the other data; of a scene, data.names.INPUT=NAME and data.units.INPUT=UNITS"
    verb.add_argument("--set", action="append", default=[], metavar="data.KEY=VALUE", help=told)
    verb.add_argument("--coupling", action="append", help="which (default: all; of a scene, the one the run chose)")
    where = "threads or processes of this machine, or the address of a dask scheduler (default: threads)"
    verb.add_argument("--scheduler", default="threads", metavar="WHERE", help=where)
    verb.add_argument("--workers", type=int, metavar="N", help="how many of this machine (default: its cores)")
    verb.add_argument("--force", action="store_true", help="replace what is there")


def _declare_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path)
    parser.add_argument("--to", required=True, choices=("fortran", "c", "onnx"))
    parser.add_argument("--out", type=Path, required=True, help="the folder of the files")
    parser.add_argument("--coupling", help="which coupling, where the run has several")
    parser.add_argument("--seed", type=int, default=0, help="which of its seeds, counted from 0")
    parser.add_argument("--learner", help="the dotted path of the learner, where a coupling has several")
    parser.add_argument("--site", help="which site, where each was taught alone")
    parser.add_argument("--name", help="the name of the module (the coupling's)")
    parser.add_argument("--force", action="store_true", help="replace existing files")


if __name__ == "__main__":
    sys.exit(main())
