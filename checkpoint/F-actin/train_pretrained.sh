#!/bin/sh
# How the shipped posterior in pretrained_G/ was made: four simulated sets, four chains, their tails.
#
#     sh checkpoint/F-actin/train_pretrained.sh WORK_FOLDER
#
# Run it from the project folder with the environment active. Each chain takes one core; the
# machine and the times are in ../README.md. Interrupted, run it again: it resumes.
set -eu

work=${1:?"name a folder for the data sets and the runs (16 GB)"}
common="--sample F-actin --save_model_dir $work --patches_per_stack 1 --val_stacks 24 --resume"
prior="" # on functions: none at first
export OMP_NUM_THREADS=1 # one chain per core is faster than one chain on two cores

simulate() { # folder, largest width of the structures in nm, cells, seed, sample
    [ -f "$1/dataset.json" ] || python -m DatasetGenerate.from_simulation --sample "${5:-mixed}" \
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
    draw "chain-$1" "$1" "softer-$1"
}

draw() { # name of the run, seed, run that it starts from
    # SGLD samples around a mode: four cycles, one member from the end of each. The temperature is
    # the best of 1, 10 and 100 by held-out log density over chains 1 and 2 (--temperature 1 10 100).
    python train.py $common --exp_name "$1" --seed "$2" --root_dir "$work/softer" --SGLD True \
        --init_from "$work/F-actin/$3-SIM" $prior --burn_in 0 --epoch 1 --cycles 4 \
        --members_per_cycle 1 --explore 0.5 --lr_sgld 3e-4 --temperature 100 \
        --patch_size 96 --batch_size 4
    # Step 2: a tail for each member, on the frozen trunk.
    python train.py $common --exp_name "$1" --seed "$2" --root_dir "$work/softer" \
        --train_type uncertainty_tail --likehood gauss --SGLD False --epoch 2
}

unlike() { # number, gain of the prior function
    # Two more chains from the first draws of those: stacks unlike cells come out brighter in one of
    # them and darker in the other.
    prior="--outlier_dir $work/outliers --outlier_gain $2"
    python train.py $common --exp_name "unlike-$1" --seed "$1" --root_dir "$work/softer" \
        --SGLD False --init_from "$work/F-actin/chain-$1-SIM" $prior --epoch 4 --lr 4e-4 \
        --patch_size 96 --batch_size 4
    draw "posterior-$1" "$1" "unlike-$1"
}

simulate "$work/sharp" 0 1600 1
simulate "$work/soft" 90 1600 1
simulate "$work/softer" 150 1300 2
simulate "$work/outliers" 150 600 5 outliers
(mode 1 26 26 7 10 && unlike 1 0.15) &
(mode 2 16 10 7 10 && unlike 2 -0.15) &
wait

# Two draws of each chain, which take turns, so that the first few members are of several.
runs=$work/F-actin
folder=checkpoint/F-actin/pretrained_G
mkdir -p "$folder"
for draw in 1 2; do
    first=$((4 * draw - 3))
    cp "$runs/chain-1-SIM/member_0$draw.pth" "$folder/member_0$first.pth"
    cp "$runs/posterior-1-SIM/member_0$draw.pth" "$folder/member_0$((first + 1)).pth"
    cp "$runs/posterior-2-SIM/member_0$draw.pth" "$folder/member_0$((first + 2)).pth"
    cp "$runs/chain-2-SIM/member_0$draw.pth" "$folder/member_0$((first + 3)).pth"
done
