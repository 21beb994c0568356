"""BayesDL-SIM: super-resolved SIM that says how far to trust every pixel.

Every module has one name, `bayesdl_sim.<room>.<module>`. In a checkout the rooms lie beside this
folder; an installed package holds them inside.
"""

from pathlib import Path

if not Path(__file__).with_name("physics").is_dir():
    __path__.append(str(Path(__file__).resolve().parents[1]))
