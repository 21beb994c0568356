"""What is loaded for good is not searched for garbage; what comes later is."""

import subprocess
import sys
import textwrap


def run(code):
    """What a fresh process prints, in which PyTorch is not loaded."""
    begin = (
        "import gc, sys, weakref\nfrom bayesdl_sim.utils.console.loading import loaded_for_good\n"
    )
    command = [sys.executable, "-c", begin + textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_objects_made_within_are_left_out_and_later_garbage_is_found():
    code = """
        class Ring:
            def __init__(self):
                self.itself = self
        with loaded_for_good():
            print(gc.isenabled())
            early = weakref.ref(Ring())
        print(gc.isenabled(), gc.get_freeze_count() > 0)
        later = weakref.ref(Ring())
        gc.collect()
        print(early() is None, later() is None)
    """
    assert run(code) == ["False", "True", "True", "False", "True"]


def test_garbage_is_searched_again_after_a_failed_import():
    code = """
        try:
            with loaded_for_good():
                import a_module_that_nobody_has
        except ImportError:
            print(gc.isenabled())
    """
    assert run(code) == ["True"]


def test_nothing_changes_where_pytorch_is_loaded_or_garbage_is_not_searched():
    code = """
        sys.modules["torch"] = object()
        with loaded_for_good():
            print(gc.isenabled())
        del sys.modules["torch"]
        gc.disable()
        with loaded_for_good():
            pass
        print(gc.isenabled(), gc.get_freeze_count())
    """
    assert run(code) == ["True", "False", "0"]
