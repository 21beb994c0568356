"""Reconstructs raw 2D-SIM stacks: super-resolved image, aleatoric and epistemic uncertainty.

    # One stack: a file of 9 images (9 T: a time series) in TIFF, MRC, DeltaVision, CZI or ND2, by
    # content, or a folder of nine frames
    python test.py --test_data data/F-actin/raw.tif --save_path results/F-actin

    # Files of other orders, planes between the frames, colours, or frames side by side
    python test.py --test_data raw.tif --order phase,orientation --save_path results/raw
    python test.py --test_data omx.dv --order orientation,z,phase --plane 3 --save_path results/z3
    python test.py --test_data raw.ome.tif --channel 561 --save_path results/raw_561
    python test.py --test_data nsim.tif --mosaic 3x3 --frames 1-9 --save_path results/nsim

    # A folder of stacks, with the members of your own training
    python test.py --test_data my_stacks --pretrained_G checkpoint/F-actin/BayesDL-SIM \
        --save_path results/mine

    # The checkpoints of the released code (SGLD_gauss_#1.pth ...), with its own arithmetic
    python test.py --test_data data/F-actin/raw.tif --pretrained_G released/F-actin \
        --convention released --save_path results/released

    # With the bounds of the 90 % interval of every pixel
    python test.py --test_data data/F-actin/raw.tif --interval 0.9 --save_path results/F-actin

    # Where is it brighter than 0.3 for sure, and three images that the data allow as well
    python test.py --test_data data/F-actin/raw.tif --exceed 0.3 --draws 3 \
        --save_path results/F-actin

    # Where does the result hold more light, or less, than its nine frames support
    python test.py --test_data data/F-actin/raw.tif --misfit --save_path results/F-actin

    # Time series: what has changed from one time point to the next, for sure (95 %)
    python test.py --test_data movie.tif --changes 0.95 --save_path results/movie

    # Against a known ground truth
    python test.py --test_data data/F-actin/raw.tif --target data/F-actin/gt.tif \
        --save_path results/F-actin

Written to --save_path (of several stacks: to a subfolder each):

    SR.tif              uint16: normalised SR intensity in [0, 1], times 65535
    Aleatoric.tif       float32: standard deviation of the data, in normalised SR intensity
    Epistemic.tif       float32: standard deviation between the members, same units
    Credibility.tif     float32: probability that the error is below --delta, a share of the range
                        of the structure (0.5 to 99.5 percentile); 0 where there are no data
    Lower.tif           with --interval, and Upper.tif: float32, ends of the interval of each pixel
    Contradicted.tif    with --misfit: float32, by how many standard deviations the SR is brighter
                        than the frames support, locally; negative: light that it lacks; raw pixels
    Misfit.tif          with --misfit: float32, local chi^2 of the frames re-simulated from the SR;
                        1 where it explains them; raw pixels
    Change.tif          with --changes: float32, to the next time point, normalised SR intensity
    Changed.tif         with --changes: float32, -1 or 1 where it is beyond its interval, else 0
    Channels.tif        the channels of the next one as a hyperstack of ImageJ (Fiji), each with
                        its name, colours and contrast (left out beyond 4 GB)
    Channels.ome.tif    float32: SR and its maps, their total, and what --exceed and --draws add
    *.png               each with colour bar and scale bar; Overview.png: all of them beside wide
                        field, under the verdict; Informed.png: brightness is the SR, colour is
                        the credibility; Patterns.png: the fringes in the spectra of the frames
    report.html         one file to read: overview, fringes, verdict, a profile (Profile.png), a
                        methods paragraph, versions
    prediction.json     what was made from what: members, scales, versions; written last

One affine scale turns counts into normalised SR intensity, for all time points of a stack together:
0 and 1 are the smallest and the largest value of the posterior mean. Both are in prediction.json.
Uncertainties are calibrated where a calibration.json of these very members lies beside them.

Every stack gets a verdict, accept, warn or refuse, with its reason: faults of the raw frames are
named before any network runs, and where the members have a gate.json, the result is compared with
validation cells (otherwise it is "not judged"). Of a refused stack nothing is written, unless
`--force`. In a notebook: `from bayesdl_sim import Posterior`, see examples/first_stack.ipynb.

With `--convention released`, 0 and 1 are instead the smallest and the largest raw count of each
time point, and statistics and rounding are those of the released code (see bayes/released.py).
"""

from bayesdl_sim.commands.test import main, parse_args
from bayesdl_sim.utils.errors import run_script

__all__ = ["main", "parse_args"]

if __name__ == "__main__":
    run_script(main)
