#!/bin/sh
# How the shipped posterior in pretrained_G/ was made: two simulated sets, two chains, their tails.
#
#     sh checkpoint/F-actin/train_pretrained.sh WORK_FOLDER
#
# Run it from the project folder with the environment active. Each chain takes one core; the
# machine and the times are in ../README.md. Interrupted, run it again: it resumes.
set -eu

work=${1:?"name a folder for the data sets and the runs (9 GB)"}
common="--sample F-actin --save_model_dir $work --patches_per_stack 1 --val_stacks 24 --resume"
export OMP_NUM_THREADS=1 # one chain per core is faster than one chain on two cores

simulate() { # folder, largest width of the structures in nm
    [ -f "$1/dataset.json" ] || python -m DatasetGenerate.from_simulation --sample mixed \
        --save_path "$1" --cells 1600 --levels 3 --size 160 --seed 1 --softest_nm "$2"
}

chain() { # number, epochs of the burn-in, epoch after which it ends, with the guess, of the tails
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
    # SGLD samples around it: four cycles, one member from the end of each.
    python train.py $common --exp_name "chain-$1" --seed "$1" --root_dir "$work/soft" \
        --SGLD True --init_from "$work/F-actin/guess-$1-SIM" --burn_in 0 --epoch 1 --cycles 4 \
        --members_per_cycle 1 --explore 0.5 --lr_sgld 3e-4 --temperature 1 10 100 \
        --trial_steps 100 --patch_size 96 --batch_size 4
    # Step 2: a tail for each member, on the frozen trunk.
    python train.py $common --exp_name "chain-$1" --seed "$1" --root_dir "$work/soft" \
        --train_type uncertainty_tail --likehood gauss --SGLD False --epoch "$5"
}

simulate "$work/sharp" 0
simulate "$work/soft" 90
chain 1 26 26 7 2 &
chain 2 16 10 7 2 &
wait

# The chains take turns, so that the first few members are of both.
folder=checkpoint/F-actin/pretrained_G
mkdir -p "$folder"
for draw in 1 2 3 4; do
    cp "$work/F-actin/chain-1-SIM/member_0$draw.pth" "$folder/member_0$((2 * draw - 1)).pth"
    cp "$work/F-actin/chain-2-SIM/member_0$draw.pth" "$folder/member_0$((2 * draw)).pth"
done
