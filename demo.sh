#!/bin/sh
# Reconstructs the demo stacks with the shipped posterior; sets up what is missing before.
#
#     sh demo.sh                   # on the GPU where there is one
#     sh demo.sh --device cpu      # options go on to test.py, paths from this folder on
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
python=$(sh "$root/setup.sh" requirements.txt)
cd -- "$root"

echo "F-actin: a stack simulated from a real structure; its ground truth is known"
"$python" test.py --test_data data/F-actin/raw.tif --target data/F-actin/gt.tif \
    --pretrained_G checkpoint/F-actin/pretrained_G --save_path data/F-actin/BayesDL-results \
    --misfit "$@"

echo "cristae: a real stack of mitochondria"
"$python" test.py --test_data data/cristae/raw.tif \
    --pretrained_G checkpoint/F-actin/pretrained_G --save_path data/cristae/BayesDL-results \
    --misfit "$@"

if [ -d dlbi ]; then
    echo "blinking: a simulated movie of a blinking fluorophore, on a grid eight times finer"
    "$python" -m dlbi.reconstruct --movie data/blinking/movie.tif \
        --save_path data/blinking/BayesDL-results
fi

echo
echo "Pictures to look at: Overview.png (wide field beside SR and its maps), SR.png,"
echo "Aleatoric.png, Epistemic.png, Contradicted.png (where the frames contradict the SR) and"
echo "Patterns.png (the fringes that were found) one by one, in"
echo "    data/F-actin/BayesDL-results/"
echo "    data/cristae/BayesDL-results/"
echo "and Overview.png (mean image | structure | probability | uncertainty) in"
echo "    data/blinking/BayesDL-results/"
