"""mechlearn: couple mechanism models of the Earth's surface with machine learning."""

import jax

# A numpy callback inside a compiled function can wait for itself where there is a single core.
jax.config.update("jax_cpu_enable_async_dispatch", False)
