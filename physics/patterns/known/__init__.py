"""Patterns that are known already: do they still hold, and are they true for a large field?"""
