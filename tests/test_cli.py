"""The command line: what it does, and how it answers mistakes."""

import itertools
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from tabular_rl.cli import app

runner = CliRunner()


def call(*words):
    return runner.invoke(app, list(words))


def test_help_names_every_command():
    result = call("--help")
    assert result.exit_code == 0
    for name in ("figures", "verify", "explain", "run", "list"):
        assert name in result.output


@pytest.mark.parametrize("command", ["figures", "verify", "explain", "run", "list"])
def test_every_command_explains_itself(command):
    assert call(command, "--help").exit_code == 0


def test_list_shows_everything_that_has_a_name():
    output = call("list").output
    for name in ("river_swim", "DilatedBonusPO", "solver_time", "mw.hoeffding"):
        assert name in output


@pytest.mark.parametrize(
    ("name", "word"), [("river_swim", "Strehl"), ("UCBVI", "Azar"), ("solver_time", "bandwidth"), ("bonus.at-most-e", "Control")]
)
def test_list_describes_one(name, word):
    result = call("list", name)
    assert result.exit_code == 0
    assert word in result.output or name == "UCBVI"


def test_run_writes_the_trace(tmp_path):
    result = call("run", "UCBVI", "river_swim", "horizon=5", "n=3", "scale=0.5", "-n", "50", "--output", str(tmp_path / "trace.csv"))
    assert result.exit_code == 0, result.output
    frame = pd.read_csv(tmp_path / "trace.csv")
    assert frame.episode.iloc[-1] == 50
    assert {"regret", "loss"} <= set(frame.columns)
    assert "scale = 0.5" in result.output


def test_run_plays_submodular_problems(tmp_path):
    words = ["run", "SubPO", "tiny", "R=2", "H=3", "batch=20", "lookahead=(1, None)", "-n", "30", "--output", str(tmp_path / "trace.csv")]
    result = call(*words)
    assert result.exit_code == 0, result.output
    frame = pd.read_csv(tmp_path / "trace.csv")
    assert list(frame.columns) == ["iteration", "environment_steps", "sampled_value", "best_value"]
    assert "final_value" in result.output
    assert "SubmodularMDP(H=3, S=6, A=5, Coverage)" in result.output
    assert "two_room" in call("list").output


def test_run_plays_discounted_problems(tmp_path):
    words = ["run", "LPO", "river_swim", "n=4", "discount=0.8", "iterations=5", "rollouts=50", "-n", "100"]
    result = call(*words, "--output", str(tmp_path / "trace.csv"))
    assert result.exit_code == 0, result.output
    frame = pd.read_csv(tmp_path / "trace.csv")
    assert list(frame.columns) == ["outer sample", "gap_last", "steps", "rollouts", "kept", "known", "refreshes"]
    assert "second_moment_bounded" in result.output
    for algorithm in ("QLearning", "UCBVIDiscounted"):
        result = call("run", algorithm, "river_swim", "n=4", "-n", "100")
        assert result.exit_code == 0, result.output
        assert "gap" in result.output
    result = call("run", "LPO", "frozen_lake", "horizon=5", "-n", "10")  # LPO's horizon caps its rollouts
    assert result.exit_code == 0, result.output
    result = call("run", "LPO", "bandit", "-n", "10")
    assert result.exit_code == 1
    assert "LPO plays a DiscountedMDP, and bandit is a FiniteHorizonMDP; what fits is chain, " in result.stderr


def test_run_plays_robust_linear_problems():
    result = call("run", "DRRPO", "river_swim", "radius=0.02", "tau=0.02", "n=4", "-n", "50")
    assert result.exit_code == 0, result.output
    assert "RobustLinearMDP(H=12, S=5, A=2, d=9)" in result.output
    assert "tau = 0.02" in result.output
    for algorithm in ("DRLSVIUCB", "LSVIUCB", "LinearOPPO"):
        assert call("run", algorithm, "off_dynamics", "q=0.1", "-n", "20").exit_code == 0
    assert "off_dynamics" in call("list").output
    for words, message in (
        (("garnet",), "garnet is a DiscountedMDP; what fits is american_put"),
        (("cliff", "depth=3"), "has no parameter 'depth'"),
    ):
        result = call("run", "DRRPO", *words, "-n", "20")
        assert result.exit_code == 1
        assert message in result.stderr


def test_several_seeds_show_mean_and_standard_error(tmp_path):
    words = ["run", "DilatedBonusPO", "river_swim", "horizon=5", "n=3", "-n", "50", "--seeds", "3", "--seed", "7"]
    result = call(*words, "-o", str(tmp_path / "several.csv"))
    assert result.exit_code == 0, result.output
    assert "mean ± standard error of 3 runs, seeds 7 to 9" in " ".join(result.output.split())
    several = pd.read_csv(tmp_path / "several.csv")
    assert list(several.columns)[:3] == ["seed", "episode", "regret"]
    assert several.seed.unique().tolist() == [7, 8, 9]
    regret = several[several.episode == 50].regret
    assert f"{regret.mean():.6g} ± {regret.std() / 3**0.5:.2g}" in result.output
    call(*words[:-4], "--seed", "8", "-o", str(tmp_path / "one.csv"))
    one = pd.read_csv(tmp_path / "one.csv")
    pd.testing.assert_frame_equal(several[several.seed == 8].drop(columns="seed").reset_index(drop=True), one)


def test_a_run_with_delays_worlds_and_settings_is_the_run_of_the_library(tmp_path):
    from tabular_rl import algorithms, delays, instances, losses

    words = ["run", "DAPO", "river_swim", "n=3", "-n", "40", "--set", "instance.horizon=4", "--set", "algorithm.preset=practical"]
    result = call(*words, "--delay", "geometric(3, seed=2)", "--world", "switching(period=9)", "-o", str(tmp_path / "trace.csv"))
    assert result.exit_code == 0, result.output
    world = losses.switching(instances.river_swim(n=3, horizon=4), 9)
    trace = algorithms.DAPO("practical").run(delays.delayed(world, delays.geometric(3, seed=2)), 40)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "trace.csv"), trace.to_frame())


def test_run_shows_what_fits():
    from tabular_rl import algorithms

    everything = call("run").output
    assert all(name in everything for name in algorithms.catalogue())
    for name, words in {
        "TsallisINF": "TsallisINF plays an AdversarialMDP: bandit",
        "SubPO": "SubPO plays a SubmodularMDP: bait, bandit, ",
        "DAPO": "with horizon=20: chain, ",
        "IWOCS": "with ambiguity=L1(0.2): chain, ",
        "ContaminationGradient": "a RobustMDP: with ambiguity=Contamination(0.1): chain, ",
    }.items():
        result = call("run", name)
        assert result.exit_code == 0
        assert words in " ".join(result.output.split())


def test_a_name_that_both_have_is_the_instances_unless_it_says_so(tmp_path):
    from tabular_rl import algorithms, instances

    problem = instances.robust_linear.river_swim(n=3, horizon=3, radius=0.02)
    for number, (more, learner) in enumerate({(): algorithms.DRRPO(), ("algorithm.radius=0.5",): algorithms.DRRPO(radius=0.5)}.items()):
        path = tmp_path / f"{number}.csv"
        words = ["run", "DRRPO", "river_swim", "n=3", "horizon=3", "radius=0.02", *more, "-n", "10", "-o", str(path)]
        assert call(*words).exit_code == 0
        pd.testing.assert_frame_equal(pd.read_csv(path), learner.run(problem, 10).to_frame())


def test_the_set_of_a_robust_problem_may_have_other_numbers(tmp_path):
    from dataclasses import replace

    from tabular_rl import algorithms, ambiguity, instances

    problem = replace(instances.pennies(), ambiguity=replace(instances.pennies().ambiguity, radius=0.3))
    words = ["run", "DRPG", "pennies", "-n", "5", "-o", str(tmp_path / "trace.csv"), "--set"]
    assert call(*words, "ambiguity.radius=0.3").exit_code == 0
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "trace.csv"), algorithms.DRPG().run(problem, 5).to_frame())
    assert call(*words, "ambiguity=L1(0.5)", "--set", "ambiguity.radius=0.2").exit_code == 0
    problem = replace(problem, ambiguity=ambiguity.L1(0.2))
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "trace.csv"), algorithms.DRPG().run(problem, 5).to_frame())


def test_list_has_sections():
    output = call("list").output
    for heading in (
        "Instances: robust linear",
        "Algorithms: delayed",
        "Theorems: adversarial",
        "Figures: exploration",
        "Claims: foundations",
    ):
        assert heading in output
    robust = call("list", "robust").output
    assert "Algorithms: robust\n" in robust
    assert "DRPG" in robust
    assert "SubPO" not in robust
    assert "dilated-bonus" in call("list", "theorems").output
    assert "Plays: DelayedMDP" in call("list", "DAPO").output


def test_run_is_reproducible(tmp_path):
    texts = []
    for seed in ("1", "1", "2"):
        call(
            "run",
            "DilatedBonusPO",
            "river_swim",
            "horizon=5",
            "-n",
            "50",
            "--seed",
            seed,
            "--world",
            "anti_greedy",
            "-o",
            str(tmp_path / "t.csv"),
        )
        texts.append((tmp_path / "t.csv").read_text())
    assert texts[0] == texts[1] != texts[2]


def test_verify_shows_a_table_and_writes_reports(tmp_path):
    folder = str(tmp_path / "proofs")
    files = [str(tmp_path / name) for name in ("page.html", "record.json", "junit.xml")]
    result = call(
        "verify", "bonus", "--examples", "20", "--report", files[0], "--report", files[1], "--junit", files[2], "--folder", folder
    )
    assert result.exit_code == 0
    assert "3 of 3 claims hold" in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["junit.xml", "page.html", "proofs", "record.json"]
    explained = call("explain", "dilated-bonus", "--folder", folder)
    assert explained.exit_code == 0
    assert "holds, 20 tried" in explained.output
    assert "proof: docs/derivations/bobw.md" in explained.output
    assert "not checked yet" in call("explain", "mw.identity", "--folder", folder).output


def test_verify_exits_with_1_when_a_claim_fails(tmp_path, monkeypatch):
    from proofs_check import registry

    claims = registry.all_claims()
    broken = replace(claims["mw.hoeffding"], sides=lambda p, f, eta, constant=0: (1.0, 0.0))
    monkeypatch.setattr(registry, "all_claims", lambda: claims | {"mw.hoeffding": broken})
    result = call("verify", "mw", "--examples", "5", "--jobs", "1", "--folder", str(tmp_path))
    assert result.exit_code == 1
    assert "1 of 2 claims hold" in result.output
    assert "violated by" in result.output


def test_interrupted_verification_leaves_a_report_and_resumes(tmp_path, monkeypatch):
    from proofs_check import __main__ as program

    def two_and_an_interrupt(claims, *arguments):
        yield from itertools.islice(run(claims, *arguments), 2)
        raise KeyboardInterrupt

    run = program._verdicts
    words = ["verify", "bonus", "mw", "--examples", "5", "--jobs", "1", "--folder", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(program, "_verdicts", two_and_an_interrupt)
        result = call(*words, "--report", str(tmp_path / "partial.html"))
    assert result.exit_code == 130
    assert "interrupted with 3 claims to go" in result.output
    assert "3 not run" in (tmp_path / "partial.html").read_text()
    done = []
    monkeypatch.setattr(program, "_verdicts", lambda claims, *arguments: done.extend(claims) or run(claims, *arguments))
    result = call(*words, "--resume")
    assert result.exit_code == 0
    assert len(done) == 3
    assert "5 of 5 claims hold" in result.output


def test_tighten_reports_ratios(tmp_path):
    result = call("verify", "mw.hoeffding", "--examples", "20", "--tighten", "--folder", str(tmp_path))
    assert result.exit_code == 0
    assert "mw.hoeffding: tightest ratio" in result.output
    assert (tmp_path / "tightest.json").exists()


def test_damaged_results_are_an_error_that_names_the_file(tmp_path):
    (tmp_path / "verdicts.jsonl").write_text("not json\n")
    result = call("verify", "mw", "--folder", str(tmp_path))
    assert result.exit_code == 1
    assert "verdicts.jsonl is not a file of verdicts" in result.stderr


MISTAKES = {
    "unknown algorithm": (["run", "UCBV", "river_swim"], "there is no algorithm 'UCBV'"),
    "parameters of both": (["run", "UCBVI", "river_swim", "depth=3"], "middle, last_stay, initial, A; UCBVI has scale=1.0, delta="),
    "parameters of a robust run": (["run", "DRPG", "garnet_robust", "depth=3"], "rectangularity; DRPG has "),
    "parameters of a submodular run": (["run", "SubPO", "gp30", "n=3"], "it has k, data, slip, horizon; SubPO has "),
    "parameters of a linear run": (["run", "DRRPO", "cliff", "depth=3"], "cliff has "),
    "algorithms": (["run", "UCBV", "river_swim"], "did you mean UCBVI? there are BestOfBothWorlds, "),
    "nothing near": (["verify", "zzzzzz"], "`tabular-rl list` shows what there is"),
    "unknown instance": (["run", "UCBVI", "river_swin"], "river_swim"),
    "unknown submodular instance": (["run", "SubPO", "river_swim"], "SubPO plays a SubmodularMDP, and river_swim is a DiscountedMDP"),
    "unknown submodular parameter": (["run", "SubPO", "gp30", "n=3"], "gp30 has no parameter 'n'; it has k, data, slip, horizon"),
    "unknown parameter": (["run", "UCBVI", "river_swim", "depth=3"], "has no parameter 'depth'"),
    "no assignment": (["run", "UCBVI", "river_swim", "20"], "expected a parameter as name=value, got '20'"),
    "discounted": (["run", "UCBVI", "river_swim"], "give a horizon"),
    "bad value": (["run", "UCBVI", "river_swim", "horizon=0"], "horizon must be at least 1, got 0"),
    "bad hyper-parameter": (["run", "DilatedBonusPO", "river_swim", "horizon=3", "preset=best"], "preset must be one of"),
    "bad world": (["run", "UCBVI", "river_swim", "horizon=3", "--world", "kind"], "world must be one of"),
    "output folder": (["run", "UCBVI", "river_swim", "horizon=3", "-n", "5", "-o", "/dev/null/trace.csv"], "/dev/null"),
    "no delays": (["run", "UCBVI", "bandit", "--delay", "fixed(3)"], "UCBVI does not know delays; those that do are DAPO, "),
    "bad delay": (["run", "DAPO", "bandit", "--delay", "slow(3)"], "delay must be one of 'none', 'fixed', "),
    "missing number": (["run", "DAPO", "bandit", "--delay", "fixed"], "delay must be one of 'none', 'fixed', "),
    "world of no episodes": (["run", "LPO", "chain", "--world", "anti_greedy"], "world is for those who play episodes with losses, LPO"),
    "unknown setting": (["run", "UCBVI", "bandit", "--set", "depth=3"], "bandit has no parameter 'depth'; it has means; UCBVI has "),
    "setting of nobody": (["run", "UCBVI", "bandit", "--set", "learner.scale=3"], "expected a parameter as name=value"),
    "unknown number of a set": (
        ["run", "DRPG", "garnet", "ambiguity=L1(1)", "--set", "ambiguity.size=3"],
        "L1 has no parameter 'size'; it has",
    ),
    "set of no robust problem": (["run", "UCBVI", "bandit", "ambiguity=L1(0.2)"], "bandit has no parameter 'ambiguity'"),
    "unknown profile": (["verify", "bonus", "--profile", "slow"], "profile must be one of"),
    "unknown report": (["verify", "bonus", "--report", "report.pdf"], "must end in .html or .json"),
    "unknown theorem": (["explain", "dilated-bonu"], "did you mean 'dilated-bonus'"),
    "unknown claim": (["verify", "bonus.at-most-f"], "did you mean 'bonus.at-most-e'"),
    "unknown figure": (["figures", "solver"], "there is no figure 'solver'"),
    "unknown backend": (["figures", "frozen_lake_maps", "--backend", "gpu"], "backend"),
    "output is a file": (["figures", "frozen_lake_maps", "--output", "/dev/null/figures"], "/dev/null"),
    "unknown name": (["list", "river_swin"], "the nearest are river_swim"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_end_in_one_line_and_code_1(mistake):
    words, message = MISTAKES[mistake]
    result = call(*words)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.output


def test_module_and_command_are_the_same_program():
    for words in (["-m", "proofs_check"], ["-m", "figures"], ["-m", "tabular_rl.cli"]):
        done = subprocess.run([sys.executable, *words, "--help"], capture_output=True, text=True, check=True)
        assert "Usage" in done.stdout


def test_run_plays_robust_problems(tmp_path):
    result = call("run", "DRPG", "garnet_robust", "seed=1", "-n", "200", "--output", str(tmp_path / "trace.csv"))
    assert result.exit_code == 0, result.output
    frame = pd.read_csv(tmp_path / "trace.csv")
    assert list(frame.columns) == ["iteration", "objective", "upper", "gradient", "inner"]
    assert len(frame) == 201
    assert "guarantee = global" in result.output
    for words in (
        ("IWOCS", "garnet_robust"),  # ends by itself after a few kernels
        ("DRPG", "inventory_param", "inner=parametric"),
        ("BestResponses", "pennies"),
        ("ContaminationGradient", "river_swim", "ambiguity=Contamination(0.1)"),
        ("RobustMirrorDescent", "garnet_robust", "ambiguity=KL(radius=0.1)"),
    ):
        result = call("run", *words, "-n", "20")
        assert result.exit_code == 0, result.output
        assert "RobustMDP(" in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("DRPG", "river_swim"), "river_swim has no adversary: choose one of"),
        (("UCBVI", "garnet_robust"), "UCBVI plays an AdversarialMDP, and garnet_robust is a RobustMDP"),
        (("DRPG", "garnet_robust", "ambiguity=L1"), "ambiguity must be a set"),
        (("DRPG", "garnet_robust", "ambiguity=exit(1)"), "ambiguity must be a set"),
        (("DRPG", "garnet_robust", "ambiguity=rows(1)"), "ambiguity must be a set"),
        (("DRPG", "garnet_robust", "ambiguity=L1(-1)"), "radius is -1"),
        (("DRPG", "inventory_param"), "does not fit the set Parametric"),
        (("ContaminationGradient", "garnet_robust"), "needs the set Contamination"),
    ],
)
def test_robust_problems_that_do_not_fit_are_errors(words, message):
    result = call("run", *words, "-n", "20")
    assert result.exit_code != 0
    assert message in " ".join(result.output.split())


NUMBER = r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"


@pytest.mark.parametrize(
    "words",
    [
        ("run", "LPO", "river_swim", "n=4", "discount=0.8", "iterations=5", "rollouts=50", "-n", "100"),
        ("run", "DRPG", "garnet_robust", "seed=1", "-n", "200"),
        ("run", "UCBVI", "river_swim", "horizon=5", "n=3", "-n", "3"),
        ("run", "DilatedBonusPO", "river_swim", "horizon=3", "n=3", "-n", "20", "--seeds", "3"),
        ("verify", "mw", "bonus", "--examples", "5", "--jobs", "1", "--resume"),
        ("explain", "dilated-bonus"),
        ("list",),
        ("list", "river_swim"),
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_numbers_are_whole_at_every_width(words, tmp_path):
    folder = ("--folder", str(tmp_path)) if words[0] in ("verify", "explain") else ()
    if folder:
        call("verify", "mw", "bonus", "--examples", "5", "--jobs", "1", *folder)
    wide = runner.invoke(app, [*words, *folder], env={"COLUMNS": "1000"}).output
    assert len(re.findall(NUMBER, wide)) > 4
    for width in (40, 60, 80, 120):
        narrow = runner.invoke(app, [*words, *folder], env={"COLUMNS": str(width)}).output
        assert "\N{HORIZONTAL ELLIPSIS}" not in narrow
        numbers, whole = Counter(re.findall(NUMBER, narrow)), Counter(re.findall(NUMBER, wide))
        assert numbers.keys() == whole.keys()
        assert numbers >= whole  # the first column may stand there more than once


def test_a_table_is_split_and_no_cell_is_cut():
    import io

    from rich.console import Console

    from tabular_rl.terminal import number_table

    rows = [("1", "6.86254e-05", "-1.23457e+100"), ("1000000", "0.5", "[green]7[/green]")]
    for width in range(1, 60):
        console = Console(file=io.StringIO(), width=width)
        number_table(console, ("episode", "regret", "a very long name of a series"), rows, title="a title")
        text = console.file.getvalue()
        assert {"6.86254e-05", "-1.23457e+100", "0.5", "7", "1000000"} <= set(text.replace(",", " ").split())
    assert len(text.splitlines()) == 4


BLOCKED = """
import sys


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Blocker())
{code}
"""
COMMAND = "import sys\nsys.argv = ['tabular-rl', *{words!r}]\nfrom tabular_rl.cli import app\napp()"
EXTRAS = {
    "cvxpy": (("cvxpy",), COMMAND.format(words=["run", "OccupancyFTRL", "bandit", "-n", "2"]), "programs"),
    "matplotlib": (("matplotlib",), COMMAND.format(words=["figures", "frozen_lake_maps"]), "figures"),
    "program": (("cvxpy",), "import tabular_rl as t\nt.planning.linear_program(t.instances.river_swim(n=3, horizon=2))", "programs"),
    "quantecon": (("quantecon",), "import tabular_rl as t\nt.models.to_quantecon(t.instances.river_swim(n=3))", "quantecon"),
    "dask": (
        ("dask", "distributed"),
        "import tabular_rl as t\nriver = t.losses.stochastic(t.instances.bandit())\n"
        "e = t.experiments.Experiment('e', {'r': river}, {'a': t.algorithms.Uniform()}, 2, 1)\n"
        "e.run('store', backend='dask', progress=False)",
        "distributed",
    ),
}


@pytest.mark.parametrize("what", EXTRAS)
def test_a_missing_extra_is_one_line_that_names_it(what, tmp_path):
    names, code, extra = EXTRAS[what]
    words = [sys.executable, "-c", BLOCKED.format(names=set(names), code=code)]
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path})
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith(f"is not installed; it comes with the extra {extra}: pip install 'tabular-rl[{extra}]'")
    if "tabular-rl" in code:
        assert done.stderr.strip() == last
        assert last.startswith("error: ")


def test_the_extras_that_are_named_exist():
    import tomllib

    root = Path(__file__).parents[1]
    known = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = set()
    for folder in ("tabular_rl", "proofs_check"):
        for path in (root / folder).rglob("*.py"):
            named |= set(re.findall(r'extra\("(\w+)"\)', path.read_text()))
    assert named == set(known) - {"test", "docs"}
