"""`python -m bayesdl_sim VERB ...` in a checkout: what `bayesdl VERB ...` is when installed."""

from bayesdl_sim.commands.bayesdl import run

if __name__ == "__main__":
    run()
