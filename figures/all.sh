#!/bin/sh
# Rebuilds every picture and number of the README from simulated data and the shipped posterior, on a
# CPU. Sizes are small; each program has flags for more.
#
#     sh figures/all.sh            # tables go to runs/benchmarks, pictures to figures/pictures
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
python=$(sh "$root/setup.sh" requirements.txt)
cd -- "$root"
tables=runs/benchmarks
pictures=figures/pictures

# Two lists of programs side by side, each on one core, are done sooner than one after the other on
# both cores. They take about the same time and write files of their own.
first_core() (
    export OMP_NUM_THREADS=1
    "$python" -m benchmarks.accuracy --save_path "$tables"
    "$python" -m benchmarks.uncertainty --cells 96 --kept_out 24 --levels 3 --size 112 \
        --save_path "$tables"
    "$python" evaluate.py --root_dir runs/eval --cells 1-30 --calibration_cells 31-60 \
        --save_path runs/evaluation
    "$python" -m benchmarks.misuse --cells 40 --scenes 5 --save_path "$tables"
    "$python" -m figures.acquisition --delta 0.04 --tables "$tables" --save_path "$pictures"
    "$python" -m figures.live --tables "$tables" --save_path "$pictures"
    "$python" -m figures.novelty --tables "$tables" --save_path "$pictures"
    "$python" -m figures.training_size --tables "$tables" --save_path "$pictures"
    "$python" -m figures.error_estimation --tables "$tables" --save_path "$pictures"
)
second_core() (
    export OMP_NUM_THREADS=1
    "$python" -m benchmarks.engines --epochs 24 --test_cells 6 --kept_out 1 --save_path "$tables"
    "$python" evaluate.py --root_dir runs/eval_many --cells 151-300 \
        --classical False --pixels 8192 --save_path runs/evaluation_many
    "$python" -m benchmarks.intervals.member_counts --root_dir runs/eval_many --cells 151-300 \
        --save_path "$tables"
    "$python" -m benchmarks.intervals.textures --save_path "$tables"
    "$python" -m benchmarks.fringes --save_path "$tables"
    "$python" -m benchmarks.faulty_inputs.local --fast --save_path "$tables"
    "$python" -m benchmarks.faulty_inputs.processed --members 1 --save_path "$tables"
    "$python" evaluate.py --root_dir runs/eval_fresh --cells 1-300 --calibration_cells 301-330 \
        --classical False --pixels 8192 --save_path runs/evaluation_fresh
)

"$python" test.py --test_data data/F-actin/raw.tif --target data/F-actin/gt.tif \
    --save_path data/F-actin/BayesDL-results --misfit
cp data/F-actin/BayesDL-results/Overview.png "$pictures/demo_overview.png"
cp data/F-actin/BayesDL-results/Informed.png "$pictures/demo_informed.png"
"$python" -m figures.control --save_path "$pictures"
"$python" test.py --test_data data/cristae/raw.tif --save_path data/cristae/BayesDL-results --misfit
cp data/cristae/BayesDL-results/Contradicted.png "$pictures/cristae_contradicted.png"
"$python" -m figures.profile --result data/cristae/BayesDL-results --line 30 28 96 120 \
    --raw data/cristae/raw.tif --save_path "$pictures/profile.png"
"$python" -m benchmarks.real --save_path "$tables"
cp "$tables/real_cristae.png" "$tables/real_hela.png" "$pictures/"
"$python" -m benchmarks.demo --save_path "$tables"
[ -f runs/eval/dataset.json ] || "$python" -m DatasetGenerate.from_simulation --sample mixed \
    --save_path runs/eval --cells 60 --levels 3 --size 128 --seed 77
[ -f runs/eval_many/dataset.json ] || "$python" -m DatasetGenerate.from_simulation --sample mixed \
    --save_path runs/eval_many --cells 300 --levels 2 --size 96 --seed 78
[ -f runs/eval_fresh/dataset.json ] || "$python" -m DatasetGenerate.from_simulation \
    --sample mixed --save_path runs/eval_fresh --cells 330 --levels 2 --size 96 --seed 79
second_core &
first_core
wait $!
"$python" -m figures.levels --results "$tables" --save_path "$pictures"
"$python" -m figures.signal_level --results "$tables" --save_path "$pictures"
cp runs/evaluation_many/reliability.png runs/evaluation_many/sparsification.png "$pictures/"
# Timed, and therefore alone:
"$python" -m benchmarks.fine_tuning --minutes 2 --save_path "$tables"
cp "$tables/fine_tuning.png" "$pictures/"
"$python" -m benchmarks.input_pipeline --save_path "$tables"
"$python" -m benchmarks.speed --save_path "$tables"
