#!/bin/sh
# How the student in pretrained_G/student/ is made: the one network of `test.py --fast`, distilled
# from the posterior predictive of the members, then calibrated and given a gate of its own.
#
#     sh checkpoint/F-actin/train_student.sh WORK_FOLDER
#
# Run it from the project folder with the environment active: about a quarter of an hour on one
# core, most of it for the teacher's predictions and the fit. Interrupted, run it again: it goes on.
set -eu

work=${1:?"name a folder for the data sets and the teacher's predictions (1 GB)"}
members=checkpoint/F-actin/pretrained_G
export OMP_NUM_THREADS=1

simulate() { # folder, sample, cells, levels, size, seed, microscopes
    [ -f "$1/dataset.json" ] || python -m DatasetGenerate.from_simulation --sample "$2" \
        --save_path "$1" --cells "$3" --levels "$4" --size "$5" --seed "$6" --softest_nm 150 \
        --microscope "$7"
}

simulate "$work/set" mixed 110 3 128 3 wide
simulate "$work/outliers" outliers 40 2 128 5 random
python -m bayesdl_sim.commands.distil --pretrained_G "$members" --root_dir "$work/set" \
    "$work/outliers" --patches 336 48 --held_out 32 --patch_size 80 --start_from 4 8 \
    --batch_size 2 --steps 700 --lr 4e-4 --blend 0.7 --work "$work/student"
[ -f "$work/eval_many/dataset.json" ] || python -m DatasetGenerate.from_simulation --sample mixed \
    --save_path "$work/eval_many" --cells 300 --levels 2 --size 96 --seed 78
python calibrate.py --root_dir "$work/eval_many" --cells 1-75 --gate_cells 60 --pixels 8192 \
    --pretrained_G "$members/student"
