"""What an algorithm does first: make the problem that it plays of the problem that it is given."""

from tabular_rl.models import validation as check


class Playable:
    """A kind of problem that algorithms play: each names it (``plays``), and begins with ``problem = self.plays.of(problem)``.

    ``made_of``: other kinds that are converted, by ``convert``.
    """

    made_of: tuple[type, ...] = ()

    @classmethod
    def of(cls, problem, name="problem"):
        """``problem`` itself, or converted; a TypeError for what is neither: "problem must be a RobustMDP, got LinearMDP"."""
        return problem if isinstance(check.kind(name, problem, cls, *cls.made_of), cls) else cls.convert(problem)

    @classmethod
    def convert(cls, problem):
        """A problem of this kind made of one of the kinds ``made_of``; where there are none, ``of`` never asks."""
        raise NotImplementedError(f"{cls.__name__} has made_of but no convert")
