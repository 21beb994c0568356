"""BayesDL-SIM: super-resolved SIM that says how far to trust every pixel.

    from bayesdl_sim import Posterior, read_stack

    posterior = Posterior.shipped()
    stack = read_stack("raw.tif")
    result = posterior.reconstruct(stack)
    result.save("out")

Every module has one name, `bayesdl_sim.<room>.<module>`. In a checkout the rooms lie beside this
folder; an installed package holds them inside.
"""

from importlib import import_module
from pathlib import Path

__all__ = ["InputError", "MapSettings", "Posterior", "Reconstruction", "read_stack"]

if not Path(__file__).with_name("physics").is_dir():
    __path__.append(str(Path(__file__).resolve().parents[1]))

# Where each public name is defined; loaded when it is first used, so that an import is quick.
_PUBLIC = {
    "InputError": "utils.errors",
    "MapSettings": "inference.settings",
    "Posterior": "inference.posterior",
    "Reconstruction": "inference.reconstruction",
    "read_stack": "data.stacks",
}


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
