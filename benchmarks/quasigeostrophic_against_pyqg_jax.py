"""Two-layer quasi-geostrophic flow, 128 x 128, against pyqg-jax: the same equations, filter and dtype.

pip install pyqg-jax, then: python benchmarks/quasigeostrophic_against_pyqg_jax.py [size]

pyqg-jax steps by Adams-Bashforth 3, which evaluates the tendency once; mechlearn by Runge-Kutta 4, which evaluates it
four times and is stable for steps four times as long. Both run the same time with the same number of evaluations, as
compiled scans in single precision, the best of five. One thread:
XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1". How far they are apart is printed too.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pyqg_jax

from mechlearn.mechanisms.flow.quasigeostrophic import Quasigeostrophic

SIZE, STEPS, DT = int(sys.argv[1]) if len(sys.argv) > 1 else 128, 400, 1800.0
Q = "potential_vorticity"


def seconds(run, start) -> tuple[float, object]:
    """The best of five runs after one that compiles, and what it gives."""
    jax.block_until_ready(run(start))
    best, made = np.inf, None
    for _ in range(5):
        began = time.perf_counter()
        made = jax.block_until_ready(run(start))
        best = min(best, time.perf_counter() - began)
    return best, made


def main() -> None:
    ours = Quasigeostrophic(size=SIZE, time_step=4 * DT, steps=STEPS // 4)
    draw = np.random.default_rng(0)
    angle = 2 * np.pi * np.arange(SIZE) / SIZE
    field = sum(
        np.cos(m * angle[None, :] + n * angle[:, None] + draw.uniform(0, 6)) for m in range(4, 9) for n in range(-6, 7)
    )
    start = jnp.asarray(1e-6 * np.stack([field, 0.1 * field]), jnp.float32)

    model = pyqg_jax.qg_model.QGModel(nx=SIZE, ny=SIZE, precision=pyqg_jax.state.Precision.SINGLE)
    stepper = pyqg_jax.steppers.SteppedModel(model, pyqg_jax.steppers.AB3Stepper(dt=DT))

    def theirs(vorticity):
        state = stepper.initialize_stepper_state(model.create_initial_state(jax.random.key(0)).update(q=vorticity))
        return jax.lax.scan(lambda s, _: (stepper.step_model(s), None), state, length=STEPS)[0].state.q

    own, made = seconds(jax.jit(lambda q: ours({Q: q})[Q]), start)
    other, told = seconds(jax.jit(theirs), start)
    apart = float(jnp.max(jnp.abs(made - told)) / jnp.max(jnp.abs(told)))
    days = STEPS * DT / 86400
    print(f"{SIZE} x {SIZE}, {STEPS} evaluations of the tendency, {days:.1f} days")
    own_rate, other_rate = STEPS / own, STEPS / other
    print(f"mechlearn {own_rate:.0f} evaluations/s, {own_rate / 4:.0f} steps/s; pyqg-jax {other_rate:.0f}")
    print(f"mechlearn takes {own / other:.2f} of the time; largest difference {100 * apart:.3f} % of the largest value")


if __name__ == "__main__":
    main()
