#!/bin/sh
# Trains the shipped posterior for blinking movies: scenes, Adam, four draws, calibration.
#
#     sh checkpoint/blinking/train_pretrained.sh WORK_FOLDER
set -eu

work=${1:?"a folder for scenes and members"}
python=${BAYESDL_PYTHON:-python}
cd -- "$(dirname -- "$0")/../.."

"$python" -m dlbi.train --save_path "$work/members" --set_dir "$work/scenes" --scenes 480 \
    --held_out 24 --steps 4500 --cooldown 1500 --draws 4 --member_steps 40 --device cpu --seed 0
