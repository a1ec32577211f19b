"""The tabular environments of Gymnasium, read off their own tables.

Without ``horizon`` and ``discount`` the discount is 0.99: Gymnasium has none of its own. Its time limits (100 steps for the small
lake, 200 for the large one and the taxi) are the horizons that leave these problems as they are.
"""

from tabular_rl.instances.building import one_of
from tabular_rl.instances.registry import instance
from tabular_rl.models import validation as check

DISCOUNT = 0.99
