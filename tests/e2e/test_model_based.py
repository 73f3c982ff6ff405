# SPDX-License-Identifier: Apache-2.0
"""
Random operations against a simple model of what they mean. BATCHFS_SEED=N plays one game again,
BATCHFS_STEPS=N a longer one.
"""
import pytest

from lib.dice import SEEDS, make_dice, steps
from lib.fault import Fault
from lib.mount import Mount
from lib.wait import SLOWER
from oracle import graph
from oracle.moves import move
from oracle.storm import Storm
from oracle.world import World

STEPS, STORMS = steps(36 // SLOWER), steps(8 // SLOWER)
MOVES = 80  # of a step, at most


@pytest.fixture(**SEEDS)
def dice(request):
    return make_dice(request.param)


@pytest.fixture
def world(dice, project, mount, fault_binary, tmp_path):
    graph.add_to(project)
    world = World(dice, project, mount, Fault(tmp_path / "fault"), fault_binary)
    world.inputs.first()
    world.join()
    # A model whose inputs have never been built waits for them.
    world.hold()
    world.build_all()
    world.check()
    yield world
    world.fault.clear()


def come_and_go(world):
    """Of the mounts one may go or come before a step; nothing is queued."""
    m, luck = world.dice.choice(world.mounts), world.dice.random()
    if luck < 0.1:
        world.leave(m, world.dice.choice((Mount.unmount, Mount.terminate, Mount.kill)))
        if not world.mounts or world.dice.random() < 0.5:
            world.join(m.path)
    elif luck < 0.2 and world.shared and len(world.mounts) == 1:
        world.join()
    world.check()


def test_what_is_asked_for_is_what_comes(world):
    for step in range(STEPS):
        print(f"step {step}: {len(world.mounts)} mounts")
        world.hold()
        for _ in range(world.dice.randint(1, MOVES)):
            print(" ", move(world))
        for m in world.mounts:
            world.wait_equal(m)
        world.wait_clocks()
        killed = world.dice.random() < 0.1 and world.dice.choice(world.mounts)
        if killed:
            print("  kill")
            if world.atomic and world.dice.random() < 0.5:
                world.kill_refreshing(killed)
            else:
                world.leave(killed, Mount.kill)
        world.release()
        if killed and (not world.mounts or world.dice.random() < 0.5):
            world.join(killed.path)
        world.settle()
        world.check()
        come_and_go(world)
    # What was built is there, once: nobody else has written to it. (Inputs have changed since, and some rows lie outside.)
    found = world.validated()
    assert not found["count"] and not found["duplicate"] and not found["expect"], found


def test_whatever_comes_first(world):
    for step in range(STORMS):
        print(f"storm {step}")
        if world.shared and step == STORMS // 2:
            world.join()
        storm = Storm(world)
        storm.blow(kill=step % 2 == 1)
        world.settle()
        # rm returns when the cancel is handed over: it must not come behind what is asked for next.
        for m in world.mounts:
            world.wait_recorded(m)
        world.settle()
        storm.check()
        world.inputs.repair()
        world.build_all()
        world.learn_attempts()
        world.check()
    assert not world.validated()
