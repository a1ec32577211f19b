"""The tabular environments of Gymnasium, read off their own tables.

Give a ``horizon`` for an episodic model or a ``discount``; without either the discount is 0.99. Gymnasium's own time limits are
100 steps for the small lake, 200 for the large one and the taxi, none for the cliff.
"""

from tabular_rl.instances.building import one_of
from tabular_rl.instances.registry import instance
from tabular_rl.models import validation as check


@instance(shape=(16, 4), discount=0.99)
def frozen_lake(horizon=None, discount=None, map_name="4x4", is_slippery=True):
    """Gymnasium's frozen lake: to the other shore without falling into a hole; on ice the moves go sideways two times in three.

    ``map_name`` "4x4" (16 states) or "8x8" (64). Reward 1 on reaching the goal, in [0, 1] per step and per episode. Actions: left,
    down, right, up. A horizon of 20 keeps the learning curves of the small lake short and its problem interesting: V* = 0.1991 on
    ice and 1 without, against 0.7442 in the 100 steps of Gymnasium. The large lake on ice needs more: V* = 0.6407 in 100, 0.9132 in 200.

    Source: Gymnasium, FrozenLake.
    """
    map_name = check.choice("map_name", map_name, ("4x4", "8x8"))
    return _from_gymnasium("FrozenLake", horizon, discount, map_name=map_name, is_slippery=check.flag("is_slippery", is_slippery))


@instance(shape=(64, 4), discount=0.99)
def frozen_lake_8x8(horizon=None, discount=None, is_slippery=True):
    """Gymnasium's large frozen lake: ``frozen_lake(map_name="8x8")``.

    Source: Gymnasium, FrozenLake.
    """
    return frozen_lake(horizon, discount, "8x8", is_slippery)


@instance(shape=(49, 4), discount=0.99)
def cliff_walking(horizon=None, discount=None, is_slippery=False):
    """Gymnasium's cliff walk: 13 steps along the edge to the goal; a false one costs 100 and goes back to the start.

    Rewards -1 a step, -100 for the fall: outside [0, 1], for planners rather than for regret bounds. One extra state, the last, holds
    those who arrived. A horizon of 13 is the least that reaches the goal; 50 leaves room for falls. Actions: up, right, down, left.

    Source: Sutton, Barto (2018, example 6.6); Gymnasium, CliffWalking.
    """
    return _from_gymnasium("CliffWalking", horizon, discount, is_slippery=check.flag("is_slippery", is_slippery))


@instance(shape=(501, 6), discount=0.99)
def taxi(horizon=None, discount=None, is_rainy=False):
    """Gymnasium's taxi: fetch a passenger at one of four stops of a 5 x 5 town and deliver them to another.

    Rewards -1 a step, 20 for the delivery, -10 for illegal attempts: outside [0, 1]. Start uniform over the 300 states with a waiting
    passenger. One extra state, the last, holds those who arrived. A horizon of 18 suffices for every start when it does not rain.

    Source: Dietterich (2000); Gymnasium, Taxi.
    """
    arguments = {"is_rainy": True} if check.flag("is_rainy", is_rainy) else {}  # older versions have no rain
    return _from_gymnasium("Taxi", horizon, discount, **arguments)


def _from_gymnasium(name, horizon, discount, **arguments):
    import gymnasium

    from tabular_rl.models import from_gymnasium

    versions = [identifier for identifier in gymnasium.registry if identifier.rpartition("-v")[0] == name]
    newest = max(versions, key=lambda identifier: int(identifier.rpartition("-v")[2]))  # asking for an older one is an error
    return from_gymnasium(newest, horizon=horizon, discount=one_of(horizon, discount, 0.99), **arguments)
