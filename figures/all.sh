#!/bin/sh
# Rebuilds every picture and number of the README from the shipped posterior, on a CPU.
#
#     sh figures/all.sh            # tables go to runs/benchmarks, pictures to figures/pictures
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
python=$(sh "$root/setup.sh" requirements.txt)
cd -- "$root"
tables=runs/benchmarks
pictures=figures/pictures

"$python" test.py --test_data data/F-actin/raw.tif --target data/F-actin/gt.tif \
    --save_path data/F-actin/BayesDL-results
cp data/F-actin/BayesDL-results/Overview.png "$pictures/demo_overview.png"
"$python" -m benchmarks.real --save_path "$tables"
cp "$tables/real_cristae.png" "$tables/real_hela.png" "$pictures/"
"$python" -m benchmarks.demo --save_path "$tables"
"$python" -m benchmarks.accuracy --save_path "$tables"
"$python" -m figures.levels --results "$tables" --save_path "$pictures"
"$python" -m benchmarks.uncertainty --cells 16 --kept_out 8 --levels 3 --size 112 --save_path "$tables"
"$python" -m benchmarks.input_pipeline --save_path "$tables"
"$python" -m benchmarks.speed --save_path "$tables"
