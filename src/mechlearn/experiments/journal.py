"""Which blocks of a long retrieval have been done: one line a block, so that what was broken off goes on."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..data.scenes import removed, swept
from .config import RequestError
from .storage import write_text


class Journal:
    """The blocks of one store that are done, written down one by one beside it.

    The first line says what was asked for. A last line that was cut off is left out; its block is done again.
    """

    def __init__(self, out: Path):
        self.path = out.with_name(f"{out.name}.journal.jsonl")
        self.out = out
        self.done: dict[int, dict[str, Any]] = {}

    def claim(self, request: dict[str, Any], *, blocks: int, force: bool) -> bool:
        """Find the blocks that are done; say whether the store has still to be made.

        Blocks of which some input could not be read are asked for again. Raises `RequestError` for a store that is
        finished, or of another request, unless `force` replaces it.
        """
        if force:
            self._clear()
        before = self._read() if self.out.exists() else None
        if before is None and self.out.exists():
            raise RequestError(
                f"{self.out} already exists and is no retrieval that was broken off; replace it with --force"
            )
        if before is None:
            return True
        changed = [name for name in request if before.get(name) != request[name]]
        if changed:
            raise RequestError(
                f"{self.out} was begun with another {', '.join(changed)}; "
                "repeat the command it was begun with, replace it with --force, or choose another name"
            )
        if len(self.done) == blocks:
            raise RequestError(f"{self.out} is there already, all {blocks} blocks; replace it with --force")
        swept(self.out)
        return False

    def begin(self, request: dict[str, Any]) -> None:
        """Write down what was asked for, before the first block of a new store."""
        self.path.write_text(json.dumps(request) + "\n", encoding="utf-8")

    def add(self, told: dict[str, Any]) -> None:
        """Write down that a block is done."""
        self.done[told["block"]] = told
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")

    def _read(self) -> dict[str, Any] | None:
        lines = [*_parsed(self.path.read_text("utf-8").split("\n"))] if self.path.is_file() else []
        self.done = {one["block"]: one for one in lines[1:] if not one["trouble"]}
        # What was cut off has no end of line, which the next block would be written behind.
        if lines:
            write_text(self.path, "".join(json.dumps(one) + "\n" for one in lines))
        return lines[0] if lines else None

    def _clear(self) -> None:
        removed(self.out)
        self.path.unlink(missing_ok=True)


def _parsed(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            continue
