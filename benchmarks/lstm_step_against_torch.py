"""One training step of mechlearn's LSTM against torch.nn.LSTM: same weights, one core each, denormals flushed.

Claim: forward and backward of 256 series of 365 days take at most 1.3 times torch's time.
Run: python benchmarks/lstm_step_against_torch.py (needs the extra `benchmark`). Times are processor time, the best of
several rounds that take turns, so that a busy machine troubles both alike.
"""

import json
import os
import time
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["OMP_NUM_THREADS"] = "1"

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import torch

from mechlearn.core import Variable
from mechlearn.learners.lstm import LSTM

BATCH, DAYS, FEATURES, ROUNDS = 256, 365, 32, 5


def ours(network: torch.nn.LSTM, head: torch.nn.Linear) -> LSTM:
    """Our LSTM with the weights of torch's."""
    inputs = [Variable(f"x{n}", "1", ("time",)) for n in range(FEATURES)]
    model = LSTM(inputs, [Variable("y", "1", ("time",))], hidden=network.hidden_size)
    weight = np.concatenate([numpy(network.weight_ih_l0), numpy(network.weight_hh_l0)], axis=1).T
    values = weight, numpy(network.bias_ih_l0) + numpy(network.bias_hh_l0), numpy(head.weight), numpy(head.bias)
    values = [jnp.asarray(np.array(v)) for v in values]
    return eqx.tree_at(lambda m: (m.weight, m.bias, m.head.weight, m.head.bias), model, values)


def numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy()


def compare(hidden: int) -> dict:
    torch.manual_seed(0)
    network, head = torch.nn.LSTM(FEATURES, hidden, batch_first=True), torch.nn.Linear(hidden, 1)
    series = np.random.default_rng(0).normal(size=(BATCH, DAYS, FEATURES)).astype(np.float32)
    fields = {f"x{n}": jnp.asarray(series[..., n]) for n in range(FEATURES)}
    tensor, model = torch.tensor(series), ours(network, head)

    def theirs():
        network.zero_grad()
        head.zero_grad()
        loss = (head(network(tensor)[0]) ** 2).mean()
        loss.backward()
        return loss.item(), numpy(network.weight_hh_l0.grad).T

    @eqx.filter_jit
    @eqx.filter_value_and_grad
    def step(model, fields):
        return jnp.mean(jax.vmap(lambda sample: model(sample)["y"])(fields) ** 2)

    def mine():
        value, slope = jax.block_until_ready(step(model, fields))
        return float(value), np.asarray(slope.weight[FEATURES:])

    difference = agree(mine(), theirs())
    seconds = {"ours": np.inf, "torch": np.inf}
    for _ in range(ROUNDS):
        for name, run in (("ours", mine), ("torch", theirs)):
            start = time.process_time()
            run()
            seconds[name] = min(seconds[name], time.process_time() - start)
    row = {"hidden": hidden, "ours_ms": 1e3 * seconds["ours"], "torch_ms": 1e3 * seconds["torch"]}
    return {**row, "ratio": seconds["ours"] / seconds["torch"], "largest_relative_difference": difference}


def agree(mine: tuple[float, np.ndarray], theirs: tuple[float, np.ndarray]) -> float:
    """The largest relative difference of loss and gradient; refused when it is not rounding."""
    loss = abs(mine[0] / theirs[0] - 1)
    slope = np.max(np.abs(mine[1] - theirs[1])) / np.max(np.abs(theirs[1]))
    if max(loss, slope) > 1e-4:
        raise SystemExit(f"the two do not compute the same: loss differs by {loss:.1e}, gradient by {slope:.1e}")
    return float(max(loss, slope))


def main() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    rows = [compare(hidden) for hidden in (64, 128)]
    print(
        f"LSTM step, {BATCH} x {DAYS}, {FEATURES} features, one core, float32\nhidden   ours ms  torch ms  ours/torch"
    )
    for row in rows:
        print(f"{row['hidden']:6d} {row['ours_ms']:9.0f} {row['torch_ms']:9.0f} {row['ratio']:11.2f}")
    result = {"claim": "ours/torch <= 1.3", "jax": jax.__version__, "torch": torch.__version__, "rows": rows}
    path = Path(__file__).parent / "results" / "lstm_step_against_torch.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
