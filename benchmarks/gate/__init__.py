"""The gate: what a policy must show in simulation and on the twin before it may move an arm."""
