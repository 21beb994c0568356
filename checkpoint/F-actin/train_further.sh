#!/bin/sh
# How the shipped posterior in pretrained_G/ got its weights: the two chains of train_pretrained.sh
# are trained further, with version 4 of the first guess and with optics given for half of the stacks.
# From each of them comes another chain with a prior on functions. Then their draws and tails.
#
#     sh checkpoint/F-actin/train_further.sh WORK_FOLDER
#
# Run it from the project folder with the environment active, after train_pretrained.sh with the same
# work folder. Each chain takes one core; the machine and the times are in ../README.md.
# Interrupted, run it again: it resumes.
set -eu

work=${1:?"name the folder that train_pretrained.sh worked in (10 GB more)"}
common="--sample F-actin --save_model_dir $work --patches_per_stack 1 --val_stacks 24 --resume"
common="$common --patch_size 96 --batch_size 4 --tell_optics True"
prior="" # on functions: none at first
export OMP_NUM_THREADS=1 # one chain per core is faster than one chain on two cores

simulate() { # folder, sample, cells, size, seed
    [ -f "$1/dataset.json" ] || python -m DatasetGenerate.from_simulation --sample "$2" \
        --save_path "$1" --cells "$3" --levels 2 --size "$4" --seed "$5" --softest_nm 150
}

draw() { # name of the run, seed, set, run that it starts from
    python train.py $common --exp_name "$1" --seed "$2" --root_dir "$3" --SGLD True \
        --init_from "$work/F-actin/$4-SIM" $prior --burn_in 0 --epoch 1 --cycles 2 \
        --members_per_cycle 1 --explore 0.5 --lr_sgld 1e-4 --temperature 100
    python train.py $common --exp_name "$1" --seed "$2" --root_dir "$3" \
        --train_type uncertainty_tail --likehood gauss --SGLD False --epoch 2
}

chains() { # name, seed, run that it starts from; name, seed, gain of the prior function
    set="$work/set$2"
    simulate "$set" mixed 1200 160 "$2"
    python train.py $common --exp_name "further-$1" --seed "$2" --root_dir "$set" \
        --SGLD False --init_from "$work/F-actin/$3-SIM/member_01.pth" --first_guess True \
        --epoch 26 --lr 4e-4
    draw "$1" "$2" "$set" "further-$1"
    simulate "$work/outliers$5" outliers 240 128 "$5"
    prior="--outlier_dir $work/outliers$5 --outlier_gain $6"
    python train.py $common --exp_name "unlike-$4" --seed "$5" --root_dir "$set" --SGLD False \
        --init_from "$work/F-actin/further-$1-SIM" $prior --epoch 3 --lr 4e-4
    draw "$4" "$5" "$set" "unlike-$4"
}

chains first 31 chain-1 brighter 35 0.15 &
chains second 32 chain-2 darker 36 -0.15 &
wait

# Two draws of each chain, which take turns, so that the first few members are of several.
folder=checkpoint/F-actin/pretrained_G
mkdir -p "$folder"
number=0
for member in 1 2; do
    for name in first brighter darker second; do
        number=$((number + 1))
        cp "$work/F-actin/$name-SIM/member_0$member.pth" "$folder/member_0$number.pth"
    done
done
