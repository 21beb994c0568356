#!/bin/sh
# How the shipped posterior in pretrained_G/ got its weights: the two chains of train_pretrained.sh
# are trained further, twice, with the present first guess and with optics given for half of the
# stacks. From each of them comes another chain with a prior on functions. Then their draws and
# tails.
#
#     sh checkpoint/F-actin/train_further.sh WORK_FOLDER
#
# Run it from the project folder with the environment active, after train_pretrained.sh with the same
# work folder. Each chain takes one core; the machine and the times are in ../README.md.
# Interrupted, run it again: it resumes.
set -eu

work=${1:?"name the folder that train_pretrained.sh worked in (18 GB more)"}
common="--sample F-actin --save_model_dir $work --patches_per_stack 1 --val_stacks 24 --resume"
common="$common --patch_size 96 --batch_size 4 --tell_optics True"
prior="" # on functions: none at first
export OMP_NUM_THREADS=1 # one chain per core is faster than one chain on two cores

simulate() { # folder, sample, cells, size, seed
    [ -f "$1/dataset.json" ] || python -m DatasetGenerate.from_simulation --sample "$2" \
        --save_path "$1" --cells "$3" --levels 2 --size "$4" --seed "$5" --softest_nm 150
}

mode() { # name of the run, seed of its cells, how many, epochs, member that it starts from
    set="$work/set$2"
    simulate "$set" mixed "$3" 160 "$2"
    python train.py $common --exp_name "$1" --seed "$2" --root_dir "$set" --SGLD False \
        --init_from "$work/F-actin/$5" --first_guess True --epoch "$4" --lr 4e-4
}

draw() { # name of the run, seed, set, run that it starts from
    python train.py $common --exp_name "$1" --seed "$2" --root_dir "$3" --SGLD True \
        --init_from "$work/F-actin/$4-SIM" $prior --burn_in 0 --epoch 1 --cycles 2 \
        --members_per_cycle 1 --explore 0.5 --lr_sgld 1e-4 --temperature 100
    python train.py $common --exp_name "$1" --seed "$2" --root_dir "$3" \
        --train_type uncertainty_tail --likehood gauss --SGLD False --epoch 2
}

chains() { # name, seeds of its first and second cells, chain before; name, seed, gain of the prior
    mode "further-$1" "$2" 1200 26 "$4-SIM/member_01.pth"
    draw "drawn-$1" "$2" "$set" "further-$1"
    mode "longer-$1" "$3" 1000 21 "drawn-$1-SIM/member_01.pth"
    draw "$1" "$3" "$set" "longer-$1"
    simulate "$work/outliers$6" outliers 240 128 "$6"
    prior="--outlier_dir $work/outliers$6 --outlier_gain $7"
    python train.py $common --exp_name "unlike-$5" --seed "$6" --root_dir "$set" --SGLD False \
        --init_from "$work/F-actin/longer-$1-SIM" $prior --epoch 4 --lr 4e-4
    draw "$5" "$6" "$set" "unlike-$5"
}

chains first 31 41 chain-1 brighter 45 0.2 &
chains second 32 42 chain-2 darker 46 -0.2 &
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
