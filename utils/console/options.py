"""A command line that suggests the option that a mistyped one may have meant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

__all__ = ["CommandLine"]

_NEAR = 0.6  # similarity of two names, 0..1


class CommandLine(argparse.ArgumentParser):
    """`argparse.ArgumentParser` that names the nearest option for one that does not exist.

    Unknown options are looked for first: argparse itself would rather complain about the required
    option whose name was mistyped.
    """

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        words = list(sys.argv[1:] if args is None else args)
        for word in words[: words.index("--")] if "--" in words else words:
            name = str(word).split("=")[0]
            if name.startswith("--") and name not in self._option_string_actions:
                self.error(f"no option {name}{self._meant(name)}")
        return super().parse_known_args(words, namespace)

    def _meant(self, name: str) -> str:
        known = [option for option in self._option_string_actions if option.startswith("--")]
        lower = {option.lower(): option for option in known}
        near = get_close_matches(name.lower(), lower, n=1, cutoff=_NEAR)
        return f": did you mean {lower[near[0]]}?" if near else "; --help shows them all"
