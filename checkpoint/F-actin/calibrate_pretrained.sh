#!/bin/sh
# How calibration.json and gate.json of pretrained_G/ are made; again after any change of the members,
# of the first guess or of the raw checks.
#
#     sh checkpoint/F-actin/calibrate_pretrained.sh WORK_FOLDER
#
# Run it from the project folder with the environment active: a quarter of an hour on one core.
set -eu

work=${1:?"name a folder for the simulated set (0.5 GB)"}
export OMP_NUM_THREADS=1
[ -f "$work/eval_many/dataset.json" ] || python -m DatasetGenerate.from_simulation --sample mixed \
    --save_path "$work/eval_many" --cells 300 --levels 2 --size 96 --seed 78
python calibrate.py --root_dir "$work/eval_many" --cells 1-150 --pixels 8192 --precision fp32 \
    --pretrained_G checkpoint/F-actin/pretrained_G
