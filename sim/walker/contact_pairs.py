"""Explicit contact pairs: a MuJoCo model whose collision detection needs no broad phase.

A walker has a dozen geoms, of which most meet only the ground. Listing the pairs that can touch is then
cheaper than searching for them at each evaluation, which takes a fifth of a step. The same contacts are found
in the same order, with the same parameters: states stay equal to the last bit.
"""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path

import numpy as np

from sim.walker.engine import mujoco
from sim.walker.mjcf import add_foot_sensors

#: Of two geoms, what MuJoCo mixes by priority and weight where it differs.
MIXED = ("geom_priority", "geom_solref", "geom_solimp")


def read_with_pairs(path: Path, feet: tuple[str, ...] = ()) -> mujoco.MjModel:
    """Compile an MJCF file with its contact pairs listed, or as it is where MuJoCo mixes their parameters.

    The geoms `feet` get sensors, see `sim.walker.mjcf.add_foot_sensors`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of attributes in gymnasium's files that are to go
        spec = mujoco.MjSpec.from_file(str(path))
        add_foot_sensors(spec, feet, path.name)
        plain = spec.compile()
        pairs = touching_pairs(plain)
        equal = all(
            np.array_equal(getattr(plain, f)[i], getattr(plain, f)[j]) for f in MIXED for i, j in pairs
        )
        if not equal or plain.npair or plain.nexclude:
            return plain
        for i, j in pairs:
            slide, spin, roll = np.maximum(plain.geom_friction[i], plain.geom_friction[j])
            spec.add_pair(
                geomname1=plain.geom(i).name,
                geomname2=plain.geom(j).name,
                condim=max(plain.geom_condim[i], plain.geom_condim[j]),
                friction=[slide, slide, spin, roll, roll],
                solref=plain.geom_solref[i],
                solimp=plain.geom_solimp[i],
                margin=plain.geom_margin[i] + plain.geom_margin[j],
                gap=plain.geom_gap[i] + plain.geom_gap[j],
            )
        for geom in spec.geoms:
            geom.contype = geom.conaffinity = 0
        return spec.compile()


def touching_pairs(model: mujoco.MjModel) -> list[tuple[int, int]]:
    """Pairs of geoms that MuJoCo lets collide: their bits match, and no joint alone is between their bodies.

    >>> from sim.walker.simulation import load
    >>> from sim.walker.reward import BODIES
    >>> model = load(BODIES["hopper"])
    >>> touching_pairs(model), model.npair  # none is found any more: they are listed
    ([], 7)
    """
    weld = model.body_weldid[model.geom_bodyid]  # of each geom, the body that it is welded to
    above = model.body_weldid[model.body_parentid[weld]]  # the one that this hangs on

    def meet(i: int, j: int) -> bool:
        jointed = weld[i] and weld[j] and (above[i] == weld[j] or above[j] == weld[i])
        bits = (
            model.geom_contype[i] & model.geom_conaffinity[j]
            | model.geom_contype[j] & model.geom_conaffinity[i]
        )
        return bool(bits and weld[i] != weld[j] and not jointed)

    return [(i, j) for i, j in itertools.combinations(range(model.ngeom), 2) if meet(i, j)]
