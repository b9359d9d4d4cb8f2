"""Hardware: drivers, emulators, safety. Empty until the first driver lands."""
