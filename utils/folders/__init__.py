"""Folders of results: one owner at a time, and sets of files that appear together."""
