# SPDX-License-Identifier: Apache-2.0
"""Random tests that can be made again: a fixed seed, or a new one that is printed; BATCHFS_SEED before either."""
import os
import random

SEEDS = {"params": (1, None), "ids": ("fixed", "random")}


def make_dice(seed):
    seed = int(os.environ.get("BATCHFS_SEED") or seed or random.randrange(1 << 32))
    print(f"BATCHFS_SEED={seed}")
    return random.Random(seed)


def steps(usual):
    """BATCHFS_STEPS, or as many as usual."""
    return int(os.environ.get("BATCHFS_STEPS") or max(1, usual))
