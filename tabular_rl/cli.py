"""The ``tabular-rl`` command."""

import ast
import difflib
import inspect
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from proofs_check.__main__ import explain, verify
from tabular_rl.gallery import make_figures
from tabular_rl.terminal import command, number_table, paragraph

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""The theory of reinforcement learning, made executable.

    [bold]tabular-rl figures[/bold]   regenerate the regret plots
    [bold]tabular-rl verify[/bold]    execute the proofs
    [bold]tabular-rl run UCBVI river_swim horizon=20[/bold]   one algorithm on one problem
    [bold]tabular-rl list[/bold]      what there is
    """,
)
app.command("figures")(make_figures)
app.command("verify")(verify)
app.command("explain")(explain)

WORLDS = ("stochastic", "anti_greedy")
ROBUST = ("BestResponses", "ContaminationGradient", "DRPG", "GradientDescentAscent", "IWOCS", "RobustMirrorDescent")
DISCOUNTED = ("LPO", "QLearning", "RAVIUCB", "UCBVIDiscounted")  # play discounted problems: outer samples, steps or rollouts
FACTORED = ("DRLSVIUCB", "DRRPO", "LSVIUCB", "LinearOPPO")  # play the problems of instances.robust_linear
COLLECTORS = ("HistoryGreedy", "RandomWalk", "SubPO")  # play the problems of instances.submodular


@app.command("list")
@command
def list_everything(name: Annotated[str | None, typer.Argument(help="One of them, in full.")] = None):
    """List the instances, algorithms, figures and claims, or describe one."""
    from rich.console import Console

    console, shelves = Console(), _shelves()
    if name is not None:
        found = [text for shelf in shelves.values() for key, (_, text) in shelf.items() if key == name]
        if not found:
            near = difflib.get_close_matches(name, [key for shelf in shelves.values() for key in shelf], n=3, cutoff=0.4)
            raise ValueError(f"there is no {name!r} here" + (f"; the nearest are {', '.join(near)}" if near else ""))
        console.print("\n\n".join(found), markup=False, highlight=False, soft_wrap=True)
        return
    for heading, shelf in shelves.items():
        console.print(f"[bold]{heading}[/bold]")
        widest = max(map(len, shelf)) + 2
        for key, (line, _) in shelf.items():
            paragraph(console, escape(line), key, hang=widest if 2 * widest <= console.width else 4)


def _shelves():
    """Everything that has a name: {heading: {name: (one line, the whole text)}}."""
    from proofs_check.registry import find_claims
    from tabular_rl import gallery, instances

    return {
        "Instances": {entry.name: (entry.description, _signed(entry.function)) for entry in instances.catalogue()},
        "Submodular instances": {
            name: ((inspect.getdoc(maker) or "").split("\n")[0], _signed(maker))
            for name in instances.submodular.PROBLEMS
            if (maker := getattr(instances.submodular, name))
        },
        "Robust linear instances": {
            name: ((inspect.getdoc(maker) or "").split("\n")[0], _signed(maker))
            for name in instances.robust_linear.PROBLEMS
            if (maker := getattr(instances.robust_linear, name))
        },
        "Algorithms": {name: ((inspect.getdoc(kind) or "").split("\n")[0], _signed(kind)) for name, kind in _algorithms().items()},
        "Figures": {
            name: ((text := gallery.docstring(name)).splitlines()[0], f"{text}\n\nScript: {path}")
            for name, path in gallery.scripts().items()
        },
        "Claims": {
            claim.id: (claim.statement, f"{claim.id} ({claim.provenance}; {claim.source})\n\n{inspect.getdoc(claim.sides)}")
            for claim in find_claims()
        },
    }


def _signed(thing):
    return f"{thing.__name__}{inspect.signature(thing)}\n\n{inspect.getdoc(thing)}"


@app.command("run")
@command
def run(
    algorithm: Annotated[str, typer.Argument(help="An algorithm of `tabular-rl list`.")],
    instance: Annotated[str, typer.Argument(help="An instance of `tabular-rl list`; a regret algorithm needs one with a horizon.")],
    parameters: Annotated[
        list[str] | None,
        typer.Argument(help="name=value, for the instance, or for the algorithm if it has that name; for robust problems also ambiguity."),
    ] = None,
    episodes: Annotated[int, typer.Option("--episodes", "-n", min=1, help="Length of the run: episodes, or iterations.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the run.")] = 0,
    world: Annotated[str, typer.Option(help="Losses: stochastic (1 - reward) or anti_greedy (an adaptive adversary).")] = "stochastic",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the trace as CSV to this file.")] = None,
):
    """Run one algorithm on one instance and show its regret (of robust problems: the worst case).

    Examples: tabular-rl run DilatedBonusPO river_swim horizon=10 n=4 preset=practical -n 100000;
    tabular-rl run SubPO gp30 "lookahead=(3, None)" -n 400; tabular-rl run DRPG garnet_robust -n 200;
    tabular-rl run DRPG garnet "ambiguity=KL(0.1)" -n 200; tabular-rl run LPO river_swim n=4 discount=0.8 rollouts=200 -n 1000;
    tabular-rl run DRRPO off_dynamics radius=0.3 tau=0.02
    """
    import numpy as np
    from rich.console import Console

    from tabular_rl import instances, losses
    from tabular_rl.models import validation as check

    kind = _algorithms().get(algorithm)
    if kind is None:
        near = difflib.get_close_matches(algorithm, _algorithms(), n=1, cutoff=0.4)
        guess = f", did you mean {near[0]}?" if near else ";"
        raise ValueError(f"there is no algorithm {algorithm!r}{guess} there are {', '.join(_algorithms())}")
    given = dict(_assignment(text) for text in parameters or ())
    mdp = problem = _factored(instance, given) if algorithm in FACTORED else None  # first: a radius is the instance's
    of_algorithm = {name: given.pop(name) for name in list(given) if name in inspect.signature(kind).parameters}
    check.choice("world", world, WORLDS)
    played = ""
    if algorithm in FACTORED:
        if given:
            raise ValueError(
                f"neither {algorithm} nor {instance} has a parameter {', '.join(map(repr, given))}; "
                f"{instance} has {_parameters(getattr(instances.robust_linear, instance))}, {algorithm} has {_parameters(kind)}"
            )
    elif algorithm in COLLECTORS:
        mdp = problem = _made(kind, instances.submodular.make, instance, given)
    elif algorithm in ROBUST:
        mdp = problem = _robust(kind, instance, given)
    else:
        mdp = problem = _made(kind, instances.make, instance, given)
    if algorithm not in (*FACTORED, *COLLECTORS, *ROBUST, *DISCOUNTED) and mdp is not None:
        if hasattr(mdp, "ambiguity"):
            raise ValueError(f"{algorithm} does not know an adversary, and {instance} has one; those that do are {', '.join(ROBUST)}")
        if len(mdp.shape) != 3:
            raise ValueError(f"{algorithm} plays episodes, and {instance} is discounted: give a horizon, as in horizon=20")
        problem, played = getattr(losses, world)(mdp), f" {world} losses,"
    trace = kind(**of_algorithm).run(problem, episodes, seed=seed)
    if output is not None:
        trace.to_frame().to_csv(output, index=False)
    rows = []
    tens = [10**power for power in range(len(str(episodes))) if 10**power < episodes]
    last = len(trace.index) - 1  # before the end where an algorithm stops by itself
    for row in sorted({min(int(trace.index.searchsorted(k)), last) for k in tens} | {last}):
        rows.append((str(trace.index[row]), *(f"{series[row]:.6g}" for series in trace.series.values())))
    console = Console()
    title = f"{algorithm} on {instance}, {mdp!r},{played} seed {seed}"
    number_table(console, (trace.index_name, *trace.series), rows, title=escape(title))
    shown = {name: value for name, value in trace.parameters.items() if np.ndim(value) == 0}  # a path is too long for a line
    texts = (f"{name} = {value:.4g}" if isinstance(value, float) else f"{name} = {value}" for name, value in shown.items())
    paragraph(console, escape(", ".join(texts)))


def _factored(instance, given):
    """The robust linear problem called ``instance``; its parameters leave ``given``."""
    from tabular_rl.instances import robust_linear
    from tabular_rl.models import validation as check

    maker = getattr(robust_linear, check.choice("instance", instance, robust_linear.PROBLEMS))
    return maker(**{name: given.pop(name) for name in list(given) if name in inspect.signature(maker).parameters})


def _parameters(maker):
    """The parameters of a class or function, with their defaults."""
    from tabular_rl.models import validation as check

    parameters = inspect.signature(maker).parameters.values()
    texts = [x.name if x.default is x.empty else f"{x.name}={check.short(x.default)}" for x in parameters]
    return ", ".join(texts) or "none"


def _made(kind, make, instance, given):
    """The instance, or an error that knows the parameters of the algorithm ``kind`` as well."""
    try:
        return make(instance, **given)
    except TypeError as error:
        if "has no parameter" not in str(error):
            raise
        raise TypeError(f"{error}; {kind.__name__} has {_parameters(kind)}") from None


def _robust(kind, instance, given):
    """A robust problem: an instance that is one, or any discounted one with an ``ambiguity`` such as KL(0.1) around it."""
    from tabular_rl import instances
    from tabular_rl.models import DiscountedMDP, RobustMDP

    given = dict(given)
    uncertain = _set(given.pop("ambiguity")) if "ambiguity" in given else None
    mdp = _made(kind, instances.make, instance, given)
    if isinstance(mdp, DiscountedMDP) and uncertain is not None:
        return RobustMDP.from_mdp(mdp, uncertain)
    if not isinstance(mdp, RobustMDP):
        robust = ", ".join(entry.name for entry in instances.catalogue() if entry.robust)
        raise ValueError(f'{instance} has no adversary: choose one of {robust}, or a discounted one with "ambiguity=L1(0.2)"')
    return mdp if uncertain is None else RobustMDP(mdp.nominal, mdp.cost, mdp.discount, mdp.initial, uncertain)


def _set(text):
    """The ambiguity set that ``text`` calls by name, with literal arguments."""
    from tabular_rl import ambiguity

    try:
        call = ast.parse(str(text), mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ambiguity.__all__):
            raise TypeError
        kind = getattr(ambiguity, call.func.id)
        if not issubclass(kind, ambiguity.AmbiguitySet):
            raise TypeError
        arguments = [ast.literal_eval(x) for x in call.args]
        named = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    except (SyntaxError, TypeError, ValueError):
        raise ValueError(f"ambiguity must be a set of tabular_rl.ambiguity with its numbers, as in L1(0.2), got {text!r}") from None
    return kind(*arguments, **named)


def _algorithms():
    """Every class of ``tabular_rl.algorithms`` with a ``run``, by name."""
    from tabular_rl import algorithms

    return {name: kind for name in sorted(algorithms.__all__) if hasattr(kind := getattr(algorithms, name), "run")}


def _assignment(text):
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise ValueError(f"expected a parameter as name=value, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


if __name__ == "__main__":
    app()
