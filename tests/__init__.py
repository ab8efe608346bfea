"""The tests run in several processes at once, so each computes with one thread; set before torch is imported."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
