"""The super-resolved profile along a line, with its interval band, of a result of test.py.

    python test.py --test_data data/cristae/raw.tif --save_path results/cristae
    python -m figures.profile --result results/cristae --line 30 28 96 120 \
        --raw data/cristae/raw.tif

Without `--line`, click the two ends in the window that opens. The picture goes beside the result,
as `Profile.png`; `--raw`, the stack of the result, adds its wide field.
"""

from bayesdl_sim.commands.profile import main, parse_args
from bayesdl_sim.utils.errors import run_script

__all__ = ["main", "parse_args"]

if __name__ == "__main__":
    run_script(main)
