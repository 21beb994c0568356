"""Trains BayesDL-SIM in two decoupled steps (DeT).

    # Step 1: the reconstruction; its weights are sampled by SGLD, every draw is a member
    python train.py --model BayesDL --train_type '' --likehood '' --SGLD True

    # Step 2: the uncertainty tail of every member, on a frozen trunk
    python train.py --model BayesDL --train_type uncertainty_tail --likehood 'gauss' --SGLD False \
        --epoch 300

    # A small set first: a minute for both steps
    python -m DatasetGenerate.from_simulation --sample F-actin --save_path runs/small --cells 12 \
        --levels 2 --size 128
    python train.py --root_dir runs/small --epoch 12
    python train.py --root_dir runs/small --train_type uncertainty_tail --likehood gauss \
        --epoch 5

    # Another way to a posterior, at the same budget; step 2 and test.py are the same for all
    python train.py --root_dir runs/small --epoch 12 --exp_name ensemble --posterior ensemble

    # Few cells of a new structure: start from a trained member
    python train.py --root_dir runs/small --exp_name tuned --epoch 12 \
        --init_from checkpoint/F-actin/pretrained_G

    # Several GPUs: each process takes its share of every batch; any number of them may resume
    torchrun --nproc_per_node 4 train.py --root_dir runs/small --epoch 12 --batch_size 16

    # Four independent chains, one process and GPU each, members in turns
    python train.py --root_dir runs/small --epoch 12 --exp_name four --chains 4

Everything goes to `<save_model_dir>/<sample>/<exp_name>-SIM/`: member_01.pth ..., config.json,
CSVs and TensorBoard curves per step, summary.png, latest.pth for --resume.
"""

from bayesdl_sim.commands.train import main, parse_args
from bayesdl_sim.utils.errors import run_script

__all__ = ["main", "parse_args"]

if __name__ == "__main__":
    run_script(main)
