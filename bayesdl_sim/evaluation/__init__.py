"""Posteriors against truth: cases, scoring, groups, baselines, report."""
