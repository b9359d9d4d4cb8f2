"""Evaluation: protocols, trials, statistics, leaderboard."""
