"""Settings of the whole test run."""

import signal

from hypothesis import settings

# No test passes or fails by the clock or by luck: the machine may be busy, the examples are fixed.
settings.register_profile("armtrials", deadline=None, derandomize=True)
settings.load_profile("armtrials")

# A shell has its background jobs ignore Ctrl-C, and children inherit that; here Ctrl-C is tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
