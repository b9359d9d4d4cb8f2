"""Hardware that is not there: emulated buses for tests, CI and other people's software."""
