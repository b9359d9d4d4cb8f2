"""Blind sessions of trials on a real arm or its twin: plan, lock, preflight, trials, close.

Everything that happens is an event in a chained log; what a session is at any moment is a function
of its lock and that log alone (`state.py`), so a crash at any point loses nothing.
"""
