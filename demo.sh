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
    --pretrained_G checkpoint/F-actin/pretrained_G --save_path data/F-actin/BayesDL-results "$@"

echo "cristae: a real stack of mitochondria"
"$python" test.py --test_data data/cristae/raw.tif \
    --pretrained_G checkpoint/F-actin/pretrained_G --save_path data/cristae/BayesDL-results "$@"

echo "a wrong stack: the frames of the cristae in the order of phases; it has to be refused"
wrong=$(mktemp -d)
trap 'rm -rf "$wrong"' EXIT
shuffle='import sys, tifffile as t; t.imwrite(sys.argv[2], t.imread(sys.argv[1])[[0,3,6,1,4,7,2,5,8]])'
"$python" -c "$shuffle" data/cristae/raw.tif "$wrong/shuffled.tif"
if "$python" test.py --test_data "$wrong/shuffled.tif" --pixel_size_nm 65 \
    --pretrained_G checkpoint/F-actin/pretrained_G --save_path "$wrong/results" "$@"
then
    echo "error: the shuffled stack was not refused" >&2
    exit 1
fi

echo
echo "Pictures to look at: Overview.png (wide field | SR | aleatoric | epistemic), and SR.png,"
echo "Aleatoric.png and Epistemic.png one by one, in"
echo "    data/F-actin/BayesDL-results/"
echo "    data/cristae/BayesDL-results/"
