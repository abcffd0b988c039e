"""Blocks done by many workers: threads or processes of this machine, or any dask cluster."""

import math
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .config import RequestError
from .journal import Journal
from .retrieval import Retrieval, retrieved

Tell = Callable[[dict[str, Any]], None]
LOCAL = ("threads", "processes")


def carry_out(retrieval: Retrieval, journal: Journal, scheduler: str, workers: int | None, console: Console) -> None:
    """Do every block that is not done, on the workers asked for, and write each down as it is finished."""
    left = [number for number in range(retrieval.scene.blocks) if number not in journal.done]
    size = math.prod(retrieval.scene.block)
    columns = [BarColumn(), MofNCompleteColumn(), TextColumn("blocks  {task.fields[speed]}"), TimeRemainingColumn()]
    began = time.perf_counter()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=retrieval.scene.blocks, completed=len(journal.done), speed="")

        def tell(told: dict[str, Any]) -> None:
            journal.add(told)
            done = len(left) - (retrieval.scene.blocks - len(journal.done))
            rate = done * size / (time.perf_counter() - began)
            progress.update(task, advance=1, speed=f"{rate:,.0f} pixels/s")
            if not console.is_terminal and 10 * done // len(left) > 10 * (done - 1) // len(left):
                console.print(f"{len(journal.done)} of {retrieval.scene.blocks} blocks  {rate:,.0f} pixels/s")

        work = partial(retrieved, retrieval)
        if scheduler in LOCAL:
            _locally(work, left, scheduler, workers or os.cpu_count() or 1, tell)
        else:
            _on_cluster(work, left, scheduler, tell)


def _locally(work: Callable, numbers: list[int], kind: str, workers: int, tell: Tell) -> None:
    from dask import config
    from dask.base import compute
    from dask.callbacks import Callback
    from dask.delayed import delayed

    def finished(_, told: Any, *__: Any) -> None:
        if isinstance(told, dict) and "block" in told:
            tell(told)

    tasks = [delayed(work, pure=False)(number) for number in numbers]
    with Callback(posttask=finished), config.set({"multiprocessing.context": "spawn"}):
        compute(*tasks, scheduler=kind, num_workers=workers, chunksize=1)


def _on_cluster(work: Callable, numbers: list[int], address: str, tell: Tell) -> None:
    try:
        from distributed import Client, as_completed
    except ImportError as trouble:
        raise RequestError("a cluster needs dask.distributed: pip install 'mechlearn[scale]'") from trouble
    try:
        client = Client(address, timeout=10, set_as_default=False)
    except (OSError, ValueError) as trouble:
        raise RequestError(
            f"no dask scheduler answers at {address!r} ({trouble}); start one with `dask scheduler` and "
            f"`dask worker ADDRESS`, or use --scheduler {' or '.join(LOCAL)}"
        ) from trouble
    with client:
        futures = client.map(work, numbers, pure=False)
        for _, told in as_completed(futures, with_results=True, loop=client.loop):
            tell(told)
