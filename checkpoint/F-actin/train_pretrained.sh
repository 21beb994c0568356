#!/bin/sh
# How the shipped posterior in pretrained_G/ was made: three simulated sets and two chains, which
# train_further.sh, called at the end, trains further and draws the members from.
#
#     sh checkpoint/F-actin/train_pretrained.sh WORK_FOLDER
#
# Run it from the project folder with the environment active. Each chain takes one core; the
# machine and the times are in ../README.md. Interrupted, run it again: it resumes.
set -eu

work=${1:?"name a folder for the data sets and the runs (16 GB)"}
common="--sample F-actin --save_model_dir $work --patches_per_stack 1 --val_stacks 24 --resume"
export OMP_NUM_THREADS=1 # one chain per core is faster than one chain on two cores

simulate() { # folder, largest width of the structures in nm, cells, seed
    [ -f "$1/dataset.json" ] || python -m DatasetGenerate.from_simulation --sample mixed \
        --save_path "$1" --cells "$3" --levels 3 --size 160 --seed "$4" --softest_nm "$2"
}

mode() { # number, epochs: of the burn-in, after which it ends, with the guess, on softer ones
    # Step 1: Adam finds a mode, another one in each chain, first on thin lines only, ...
    python train.py $common --exp_name "burn-in-$1" --seed "$1" --root_dir "$work/sharp" \
        --SGLD False --first_guess False --epoch "$2" --stop_after "$3"
    # ... then on structures that have a width, ...
    python train.py $common --exp_name "adapt-$1" --seed "$1" --root_dir "$work/soft" \
        --SGLD False --init_from "$work/F-actin/burn-in-$1-SIM" --epoch 2 --lr 4e-4 \
        --patch_size 96 --batch_size 4
    # ... then with a first guess beside the frames.
    python train.py $common --exp_name "guess-$1" --seed "$1" --root_dir "$work/soft" \
        --SGLD False --init_from "$work/F-actin/adapt-$1-SIM" --first_guess True --epoch "$4" \
        --lr 4e-4 --patch_size 96 --batch_size 4
    # ... then on new cells, whose structures may be half as wide again.
    python train.py $common --exp_name "softer-$1" --seed "$1" --root_dir "$work/softer" \
        --SGLD False --init_from "$work/F-actin/guess-$1-SIM" --first_guess True --epoch "$5" \
        --lr 3e-4 --patch_size 96 --batch_size 4
    # SGLD samples around that mode: four cycles, of which the first draw is trained further. The
    # temperature is the best of 1, 10 and 100 by held-out log density over both chains.
    python train.py $common --exp_name "chain-$1" --seed "$1" --root_dir "$work/softer" --SGLD True \
        --init_from "$work/F-actin/softer-$1-SIM" --burn_in 0 --epoch 1 --cycles 4 \
        --members_per_cycle 1 --explore 0.5 --lr_sgld 3e-4 --temperature 100 \
        --patch_size 96 --batch_size 4
}

simulate "$work/sharp" 0 1600 1
simulate "$work/soft" 90 1600 1
simulate "$work/softer" 150 1300 2
(mode 1 26 26 7 10) &
(mode 2 16 10 7 10) &
wait
sh checkpoint/F-actin/train_further.sh "$work"
