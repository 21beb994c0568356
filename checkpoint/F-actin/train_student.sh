#!/bin/sh
# How the student in pretrained_G/student/ is made: the one network of `test.py --fast`, distilled
# from the posterior predictive of the members, then calibrated and given a gate of its own.
#
#     sh checkpoint/F-actin/train_student.sh WORK_FOLDER
#
# Run it from the project folder with the environment active: about three hours on one core,
# most of it for the teacher's predictions and the fit. Interrupted, run it again: it goes on.
set -eu

work=${1:?"name a folder for the data sets and the teacher's predictions (4 GB)"}
members=checkpoint/F-actin/pretrained_G
export OMP_NUM_THREADS=1

simulate() { # folder, sample, cells, levels, seed
    [ -f "$1/dataset.json" ] || python -m DatasetGenerate.from_simulation --sample "$2" \
        --save_path "$1" --cells "$3" --levels "$4" --size 128 --seed "$5" --softest_nm 150
}

simulate "$work/set" mixed 200 3 3
simulate "$work/outliers" outliers 60 2 5
python -m bayesdl_sim.commands.distil --pretrained_G "$members" --root_dir "$work/set" \
    "$work/outliers" --patches 1560 160 --held_out 40 --patch_size 80 --start_from 4 8 \
    --batch_size 3 --steps 6000 --lr 5e-4 --work "$work/student" --save_path "$work/first"
python -m bayesdl_sim.commands.distil --pretrained_G "$members" --root_dir "$work/set" \
    "$work/outliers" --patches 1560 160 --held_out 40 --patch_size 80 --init_from "$work/first" \
    --batch_size 3 --steps 2400 --lr 3e-4 --work "$work/further" --save_path "$work/second"
simulate "$work/set_2" mixed 400 3 6
simulate "$work/outliers_2" outliers 60 2 7
python -m bayesdl_sim.commands.distil --pretrained_G "$members" --root_dir "$work/set_2" \
    "$work/outliers_2" --patches 2400 160 --held_out 40 --patch_size 80 \
    --init_from "$work/second" --batch_size 3 --steps 9000 --lr 4e-4 --work "$work/third" \
    --save_path "$work/third_student"
# For the weights that ship, the members were shown all fields upright until here.
simulate "$work/set_3" mixed 480 3 8
simulate "$work/outliers_3" outliers 60 2 9
python -m bayesdl_sim.commands.distil --pretrained_G "$members" --root_dir "$work/set_3" \
    "$work/outliers_3" --patches 3200 200 --held_out 40 --patch_size 80 \
    --init_from "$work/third_student" --batch_size 3 --steps 11000 --lr 4e-4 --work "$work/fourth"
[ -f "$work/eval_many/dataset.json" ] || python -m DatasetGenerate.from_simulation --sample mixed \
    --save_path "$work/eval_many" --cells 300 --levels 2 --size 96 --seed 78
python calibrate.py --root_dir "$work/eval_many" --cells 1-150 --gate_cells 100 --pixels 8192 --precision fp32 \
    --pretrained_G "$members/student"
