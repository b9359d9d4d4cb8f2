"""Teleoperation through a web browser: a person demonstrates, the recorder records."""
