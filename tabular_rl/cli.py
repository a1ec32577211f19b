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


# --- list


@app.command("list")
@command
def list_everything(
    name: Annotated[
        str | None, typer.Argument(help="One of them, in full; or a section, such as algorithms, theorems, discounted, delayed.")
    ] = None,
):
    """List the instances, algorithms, theorems, figures and claims, or describe one."""
    from rich.console import Console

    console, shelves = Console(), _shelves()
    if name is not None:
        found = [text for shelf in shelves.values() for key, (_, text) in shelf.items() if key == name]
        if found:
            console.print("\n\n".join(found), markup=False, highlight=False, soft_wrap=True)
            return
        words = {word for heading in shelves for word in _words(heading)}
        if name.lower() not in words:
            near = difflib.get_close_matches(name, [*words, *(key for shelf in shelves.values() for key in shelf)], n=3, cutoff=0.4)
            raise ValueError(f"there is no {name!r} here" + (f"; the nearest are {', '.join(near)}" if near else ""))
        shelves = {heading: shelf for heading, shelf in shelves.items() if name.lower() in _words(heading)}
    for heading, shelf in shelves.items():
        console.print(f"[bold]{heading}[/bold]")
        widest = max(map(len, shelf)) + 2
        for key, (line, _) in shelf.items():
            paragraph(console, escape(line), key, hang=widest if 2 * widest <= console.width else 4)


def _words(heading):
    return heading.lower().split(": ")


def _shelves():
    """Everything that has a name, by what it is and by family: {heading: {name: (one line, the whole text)}}."""
    from proofs_check.registry import all_claims, all_theorems
    from tabular_rl import algorithms, gallery, instances

    claims, theorems = all_claims(), all_theorems()
    shelves: dict[str, dict[str, tuple[str, str]]] = {}

    def put(heading, name, line, text):
        shelves.setdefault(heading, {})[name] = line, text

    for kind in instances.registry.KINDS:
        for entry in instances.catalogue(kind):
            put(f"Instances: {entry.kind}", entry.short_name, entry.description, _signed(entry.function, entry.name))
    for name, kind in algorithms.catalogue().items():
        text = f"{_signed(kind, name)}\n\nPlays: {kind.plays.__name__}, by the {kind.unit}; `tabular-rl run {name}` shows what fits."
        put(f"Algorithms: {_family(kind.__module__)}", name, _first_line(kind), text)
    for id, theorem in sorted(theorems.items(), key=lambda item: _family(item[1].module)):
        text = f"{id} ({theorem.provenance}; {theorem.source})\n\n{theorem.statement}\n\nClaims: {', '.join(theorem.claims)}"
        put(f"Theorems: {_family(theorem.module)}", id, f"{theorem.source} ({theorem.provenance}, {len(theorem.claims)} claims)", text)
    for name, path in sorted(gallery.scripts().items(), key=lambda script: script[1].parent.name):
        text = gallery.docstring(name)
        put(f"Figures: {path.parent.name}", name, text.splitlines()[0], f"{text}\n\nScript: {path}")
    for id, claim in sorted(claims.items(), key=lambda item: _family(item[1].module)):
        text = f"{id} ({claim.provenance}; {claim.source})\n\n{inspect.getdoc(claim.sides)}"
        put(f"Claims: {_family(claim.module)}", id, claim.statement, text)
    return shelves


def _family(module):
    """The family of an algorithm's or a claim's module: ``tabular_rl.algorithms.delayed.dapo`` -> "delayed"."""
    return module.split(".")[2]


def _first_line(thing):
    return (inspect.getdoc(thing) or "").split("\n")[0]


def _signed(thing, name):
    return f"{name}{inspect.signature(thing)}\n\n{inspect.getdoc(thing)}"


# --- run


@app.command("run")
@command
def run(
    algorithm: Annotated[str | None, typer.Argument(help="An algorithm of `tabular-rl list`. Alone: the instances that fit.")] = None,
    instance: Annotated[str | None, typer.Argument(help="An instance of `tabular-rl list`.")] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Argument(help="name=value, for the instance or the algorithm; for robust problems also ambiguity, as in ambiguity=KL(0.1)."),
    ] = None,
    episodes: Annotated[int, typer.Option("--episodes", "-n", min=1, help="Length of the run: episodes, iterations, steps ...")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the run, or the first of several.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="How many runs: mean and standard error are shown.")] = 1,
    world: Annotated[
        str, typer.Option(help="Losses of episodes: a function of losses, as in anti_greedy or 'switching(5000)'.")
    ] = "stochastic",
    delay: Annotated[str | None, typer.Option(help="Delays of feedback, for learners that know them, as in 'geometric(100)'.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="name=value as above; algorithm.name or instance.name where both have it; ambiguity.name of the set."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the trace as CSV to this file.")] = None,
):
    """Run one algorithm on one instance and show what its trace records: regret, or the worst case of robust problems.

    \b
    tabular-rl run                      which instances fit which algorithms
    tabular-rl run DAPO                 which fit this one
    tabular-rl run DilatedBonusPO river_swim horizon=10 preset=practical --seeds 16
    tabular-rl run DAPO gap_instance --delay "geometric(100)" --set preset=practical
    tabular-rl run UCBVI bandit --world "switching(5000)" -n 20000 -o trace.csv
    tabular-rl run LPO river_swim n=4 discount=0.8 rollouts=200 -n 1000
    tabular-rl run DRPG garnet "ambiguity=KL(0.1)" -n 200
    tabular-rl run DRRPO off_dynamics radius=0.3 tau=0.02
    tabular-rl run SubPO gp30 "lookahead=(3, None)" -n 400
    """
    from rich.console import Console
    from rich.progress import track

    from tabular_rl import algorithms, instances
    from tabular_rl.algorithms import fitting

    console, kinds = Console(), algorithms.catalogue()
    if algorithm is None or instance is None:
        _show_fits(console, kinds if algorithm is None else {algorithm: _algorithm(algorithm, kinds)})
        return
    kind = _algorithm(algorithm, kinds)
    entry = instances.find(instance, *fitting.takes(kind))
    given = dict(_assignment(text) for text in (*(parameters or ()), *(settings or ())))
    parts, uncertain = _divided(kind, entry, given)
    model = fitting.build(entry, uncertain, **parts["instance"])
    if not isinstance(model, fitting.takes(kind)):
        raise ValueError(_misfit(kind, entry, model))
    if parts["ambiguity"]:
        model = fitting.build(entry, _changed(model.ambiguity, parts["ambiguity"]), **parts["instance"])
    learner, (problem, played) = kind(**parts["algorithm"]), _played(kind, kinds, model, world, delay)
    progress = Console(stderr=True)
    numbers = range(seed, seed + seeds)
    shown = track(numbers, algorithm, console=progress, transient=True, disable=seeds == 1 or not progress.is_terminal)
    traces = [learner.run(problem, episodes, seed=number) for number in shown]
    if output is not None:
        _table(traces, numbers).to_csv(output, index=False)
    runs = f"seed {seed}" if seeds == 1 else f"mean ± standard error of {seeds} runs, seeds {seed} to {numbers[-1]}"
    paragraph(console, escape(f"{algorithm} on {entry.short_name}, {model!r},{played} {runs}"))
    number_table(console, (traces[0].index_name, *traces[0].series), _rows(traces, episodes))
    paragraph(console, escape(", ".join(_in_force(traces))))


def _algorithm(name, kinds):
    if name in kinds:
        return kinds[name]
    near = difflib.get_close_matches(name, kinds, n=1, cutoff=0.4)
    raise ValueError(f"there is no algorithm {name!r}{f', did you mean {near[0]}?' if near else ';'} there are {', '.join(sorted(kinds))}")


def _show_fits(console, kinds):
    """Which instances each of the algorithms plays; those that play the same are told together."""
    alike: dict[tuple, list[str]] = {}
    for name, kind in kinds.items():
        alike.setdefault((kind.plays, _fits(kind)), []).append(name)
    for (plays, text), names in alike.items():
        verb = "plays" if len(names) == 1 else "play"
        paragraph(console, f"[bold]{', '.join(names)}[/bold] {verb} {_with_article(plays)}:")
        paragraph(console, escape(text), hang=4)


def _fits(kind):
    """The instances that ``kind`` plays, first as they are, then those that need a horizon or an ambiguity set for it."""
    from tabular_rl import instances
    from tabular_rl.algorithms import fitting

    ways: dict[str, list[str]] = {"": []}
    for entry in instances.catalogue():
        need = fitting.needs(kind, entry)
        if need is not None:
            ways.setdefault("".join(f"{name}={value}: " for name, value in need.items()), []).append(entry.short_name)
    return "\n".join(f"{f'with {way}' if way else ''}{', '.join(names)}" for way, names in ways.items() if names)


def _with_article(kind):
    return f"{'an' if kind.__name__[0] in 'AEIO' else 'a'} {kind.__name__}"


def _divided(kind, entry, given):
    """({"instance": {name: value}, "algorithm": ..., "ambiguity": ...}, the ambiguity set or None) of what was ``given``.

    A name that both have is the instance's, but its horizon is not asked for where nothing episodic can be played.
    """
    from tabular_rl import ambiguity
    from tabular_rl.algorithms import fitting
    from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP, RobustMDP

    episodic = FiniteHorizonMDP in fitting.takes(kind) or entry.builds is not DiscountedMDP
    theirs = {
        "instance": [name for name in entry.parameters if episodic or name != "horizon"],
        "algorithm": list(inspect.signature(kind).parameters),
    }
    uncertain, parts = None, {"instance": {}, "algorithm": {}, "ambiguity": {}}
    for name, value in given.items():
        part, _, inner = name.rpartition(".")
        part = part or next((part for part, names in theirs.items() if inner in names), "")
        if inner == "ambiguity" and kind.plays is RobustMDP and not part:
            sets = {name: each for name in ambiguity.__all__ if isinstance(each := getattr(ambiguity, name), type)}
            uncertain = _call("ambiguity", value, sets, "a set of tabular_rl.ambiguity with its numbers, as in L1(0.2)")
        elif part == "ambiguity" and kind.plays is RobustMDP:
            parts[part][inner] = value  # whether it has that is seen when it is there
        elif inner not in theirs.get(part, ()):
            known = ", ".join(theirs["instance"]) or "none"
            raise TypeError(f"{entry.short_name} has no parameter {inner!r}; it has {known}; {kind.__name__} has {_parameters(kind)}")
        else:
            parts[part][inner] = value
    return parts, uncertain


def _changed(uncertain, given):
    """The ambiguity set with other numbers."""
    from dataclasses import replace

    for name in given:
        if name not in inspect.signature(type(uncertain)).parameters:
            raise TypeError(f"{type(uncertain).__name__} has no parameter {name!r}; it has {_parameters(type(uncertain))}")
    return replace(uncertain, **given)


def _misfit(kind, entry, model):
    """Why the algorithm does not play the model of the instance, and what it plays."""
    from tabular_rl import instances
    from tabular_rl.algorithms import fitting
    from tabular_rl.models import DiscountedMDP, FiniteHorizonMDP, RobustMDP

    name, instance = kind.__name__, entry.short_name
    if isinstance(model, DiscountedMDP) and kind.plays is RobustMDP:
        robust = ", ".join(other.short_name for other in instances.catalogue(RobustMDP))
        return f'{instance} has no adversary: choose one of {robust}, or give it one, as in "ambiguity=L1(0.2)"'
    if isinstance(model, DiscountedMDP) and FiniteHorizonMDP in fitting.takes(kind) and "horizon" in entry.parameters:
        return f"{name} plays episodes, and {instance} is discounted: give a horizon, as in horizon=20"
    fits = "; ".join(_fits(kind).split("\n"))
    return f"{name} plays {_with_article(kind.plays)}, and {instance} is {_with_article(type(model))}; what fits is {fits}"


def _played(kind, kinds, model, world, delay):
    """(the problem with the losses of ``world`` and the delays, words about them)."""
    from tabular_rl import delays, losses
    from tabular_rl.algorithms import fitting
    from tabular_rl.models import AdversarialMDP, FiniteHorizonMDP

    problem, words = model, ""
    if isinstance(model, FiniteHorizonMDP) and AdversarialMDP in fitting.takes(kind):
        worlds = {name: getattr(losses, name) for name in losses.__all__}
        problem = _call("world", world, worlds, f"one of {', '.join(map(repr, worlds))}, as in 'switching(5000)'", model)
        words = f" {world} losses,"
    elif world != "stochastic":
        raise ValueError(f"world is for those who play episodes with losses, {kind.__name__} plays {_with_article(kind.plays)}")
    if delay is not None:
        if kind.plays is not delays.DelayedMDP:
            knowing = ", ".join(name for name, other in kinds.items() if other.plays is delays.DelayedMDP)
            raise ValueError(f"{kind.__name__} does not know delays; those that do are {knowing}")
        processes = {name: getattr(delays, name) for name in delays.KINDS}
        late = _call("delay", delay, processes, f"one of {', '.join(map(repr, processes))}, as in 'geometric(100)'")
        problem, words = delays.delayed(problem, late), f"{words} {delay} delays,"
    return problem, words


def _call(name, text, makers, expected, *first):
    """What ``text`` writes: one of the ``makers`` called with literal arguments, after ``first``; a bare name is a call as well."""
    try:
        tree = ast.parse(str(text), mode="eval").body
        called, arguments, keywords = (tree.func, tree.args, tree.keywords) if isinstance(tree, ast.Call) else (tree, [], [])
        maker = makers[called.id]  # type: ignore[attr-defined]
        values = [*first, *map(ast.literal_eval, arguments)]
        named = {str(word.arg): ast.literal_eval(word.value) for word in keywords}
        inspect.signature(maker).bind(*values, **named)
    except (AttributeError, KeyError, SyntaxError, TypeError, ValueError):
        raise ValueError(f"{name} must be {expected}, got {str(text)!r}") from None
    return maker(*values, **named)


def _parameters(maker):
    """The parameters of a class or function, with their defaults."""
    from tabular_rl.models import validation as check

    parameters = inspect.signature(maker).parameters.values()
    texts = [x.name if x.default is x.empty else f"{x.name}={check.short(x.default)}" for x in parameters]
    return ", ".join(texts) or "none"


def _assignment(text):
    name, equals, value = text.partition("=")
    part, dot, inner = name.rpartition(".")
    if not (equals and inner.isidentifier() and (not dot or part in ("algorithm", "instance", "ambiguity"))):
        raise ValueError(f"expected a parameter as name=value, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


# --- what a run shows


def _table(traces, numbers):
    """All rows of the traces, with a column of seeds if there are several."""
    import pandas as pd

    frames = [trace.to_frame() for trace in traces]
    if len(traces) > 1:
        for number, frame in zip(numbers, frames, strict=True):
            frame.insert(0, "seed", number)
    return pd.concat(frames)


def _rows(traces, n):
    """Rows of texts at powers of ten and at the end, which comes early where an algorithm stops by itself."""
    last = max(int(trace.index[-1]) for trace in traces)
    grid = sorted({min(10**power, last) for power in range(len(str(n)))} | {last})
    places = [[min(int(trace.index.searchsorted(k)), len(trace.index) - 1) for trace in traces] for k in grid]
    if len(traces) == 1:
        grid = [int(traces[0].index[place]) for (place,) in places]
    rows = {k: [_number([trace[name][row] for trace, row in zip(traces, places[i], strict=True)]) for name in traces[0].series]
            for i, k in enumerate(grid)}  # fmt: skip
    return [(str(k), *cells) for k, cells in rows.items()]


def _number(values, digits=6):
    """The number, or its mean and standard error over several runs."""
    import numpy as np

    if len(values) == 1:
        return f"{values[0]:.{digits}g}"
    return f"{np.mean(values):.{digits}g} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.2g}"


def _in_force(traces):
    """The parameters of the traces that fit on a line: what all runs share, and means of the numbers that differ."""
    import numpy as np

    for name, value in traces[0].parameters.items():
        values = [trace.parameters.get(name) for trace in traces]
        if any(np.ndim(each) for each in values):
            continue  # a path is too long
        if all(each == value or each is value for each in values):
            yield f"{name} = {value:.4g}" if isinstance(value, float) else f"{name} = {value}"
        elif all(isinstance(each, int | float) for each in values):
            yield f"{name} = {_number(values, 4)}"


if __name__ == "__main__":
    app()
