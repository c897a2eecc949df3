"""The demo: real commits become attempts, jobs, runs and verdicts that nobody can change."""
