#!/bin/sh
# Trains the shipped posterior for blinking movies: scenes, Adam, four draws, calibration.
#
#     sh checkpoint/blinking/train_pretrained.sh WORK_FOLDER
set -eu

work=${1:?"a folder for scenes and members"}
python=${BAYESDL_PYTHON:-python}
cd -- "$(dirname -- "$0")/../.."

OMP_NUM_THREADS=1 "$python" -m dlbi.train --save_path "$work/members" --set_dir "$work/scenes" \
    --scenes 500 --dense 150 --held_out 72 --width 48 --blocks 2 --lr 1.2e-3 --steps 4000 \
    --cooldown 4000 --draws 4 --member_steps 40 --device cpu --precision bf16 --seed 200
