"""A result is kept under the code that it came from: every edit that can reach it changes the key, and no other does."""

import importlib
import json
import logging
import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass, make_dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import tabular_rl as trl
from tabular_rl.experiments import Cell, Experiment, imports
from tabular_rl.experiments.sources import public_name, sources

PACKAGE = Path(trl.__file__).parent
RIVER = trl.losses.stochastic(trl.instances.river_swim(n=3, horizon=4))


def run(code, *folders, **environment):
    """What a fresh Python prints."""
    path = os.pathsep.join([*map(str, folders), str(PACKAGE.parent)])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=path.split(os.pathsep)[0],
        env=os.environ | {"PYTHONPATH": path} | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- the suite's own code

KEYS = """
    import json, tabular_rl as trl
    from tabular_rl.experiments import Cell
    assert trl.__file__.startswith({folder!r})
    river = trl.instances.river_swim(n=3, horizon=4)
    cells = {{
        "DAPO": (trl.losses.stochastic(river), trl.algorithms.DAPO()),
        "UCBVI": (trl.losses.stochastic(river), trl.algorithms.UCBVI()),
        "DRPG": (trl.instances.garnet_robust(), trl.algorithms.DRPG()),
        "SubPO": (trl.instances.submodular.make("tiny"), trl.algorithms.SubPO()),
    }}
    print(json.dumps({{name: Cell(("t", "p", "a", 0), *cell, 10).key for name, cell in cells.items()}}))
"""


@pytest.fixture
def copy(tmp_path):
    """A copy of the package, to be edited."""
    shutil.copytree(PACKAGE, tmp_path / "tabular_rl", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "tabular_rl"


@cache
def before():
    """The KEYS of the package where it is: they do not depend on the folder."""
    return json.loads(run(KEYS.format(folder=str(PACKAGE))))


def changed(copy, edit):
    """The names of KEYS whose keys ``edit`` of the ``copy`` changes."""
    edit()
    after = json.loads(run(KEYS.format(folder=str(copy)), copy.parent))
    return {name for name in after if before()[name] != after[name]}


def append(path, text="\n# edited\n"):
    path.write_text(path.read_text() + text)


def test_an_unrelated_file_and_its_entry_change_no_key(copy):
    def edit():
        uniform = (copy / "algorithms" / "adversarial" / "uniform.py").read_text()
        (copy / "algorithms" / "adversarial" / "another.py").write_text(uniform.replace("Uniform", "Another"))
        (copy / "models" / "another.py").write_text("import numpy as np\n")
        append(copy / "experiments" / "store.py")
        append(copy / "cli.py")

    assert changed(copy, edit) == set()


@pytest.mark.parametrize(
    ("file", "reached", "kept"),
    [
        ("kernels/episodic/episodes.py", {"DAPO", "UCBVI"}, set()),
        ("kernels/episodic/feedback.py", {"DAPO"}, {"UCBVI", "DRPG", "SubPO"}),
        ("planning/episodic.py", {"DAPO"}, {"UCBVI"}),  # imported inside a function
        ("models/submodular.py", {"SubPO"}, set()),
        ("submodular/objectives.py", {"SubPO"}, {"UCBVI"}),  # the objective is a field of the problem
        ("algorithms/robust/drpg.py", {"DRPG"}, {"DAPO", "UCBVI", "SubPO"}),
    ],
)
def test_an_edit_changes_the_keys_that_it_reaches(copy, file, reached, kept):
    found = changed(copy, lambda: append(copy / file))
    assert reached <= found
    assert not kept & found


def test_moving_a_file_keeps_the_keys(copy):
    """``git mv``, and the lines that import it."""

    def edit():
        (copy / "kernels" / "rooms").mkdir()
        (copy / "kernels" / "rooms" / "__init__.py").touch()
        (copy / "kernels" / "episodic" / "feedback.py").rename(copy / "kernels" / "rooms" / "feedback.py")
        (copy / "algorithms" / "late").mkdir()
        (copy / "algorithms" / "late" / "__init__.py").touch()
        (copy / "algorithms" / "delayed" / "dapo.py").rename(copy / "algorithms" / "late" / "dapo.py")
        for path in copy.rglob("*.py"):
            text = path.read_text()
            new = text.replace("tabular_rl.kernels.episodic.feedback", "tabular_rl.kernels.rooms.feedback")
            new = new.replace("tabular_rl.algorithms.delayed.dapo ", "tabular_rl.algorithms.late.dapo ")
            if new != text:
                path.write_text(new)

    assert changed(copy, edit) == set()


TRACED = """
    import sys, tabular_rl as trl
    from tabular_rl.experiments import Cell
    river = trl.instances.river_swim(n=3, horizon=4)
    bandit = trl.instances.bandit()
    discounted = trl.instances.river_swim(n=3, discount=0.8)
    cells = [
        (trl.losses.stochastic(river), trl.algorithms.DAPO(transition="unknown")),
        (trl.losses.stochastic(river), trl.algorithms.BestOfBothWorlds()),
        (trl.losses.anti_greedy(river), trl.algorithms.DilatedBonusPO(transition="unknown")),
        (trl.losses.stochastic(bandit), trl.algorithms.TsallisINF()),
        (discounted, trl.algorithms.LPO(iterations=2, rollouts=3)),
        (discounted, trl.algorithms.QLearning()),
        (trl.instances.pennies(), trl.algorithms.DRPG()),
        (trl.instances.submodular.make("tiny", R=2, H=3), trl.algorithms.SubPO(batch=2)),
        (trl.instances.robust_linear.river_swim(n=3, radius=0.02), trl.algorithms.DRRPO(tau=0.02)),
    ]
    for problem, algorithm in cells:
        cell, seen = Cell(("t", "p", "a", 0), problem, algorithm, 3), set()
        algorithm.run(problem, 1, seed=0)  # loads what it needs: import statements are not what is tested
        sys.setprofile(lambda frame, event, argument: seen.add(frame.f_globals.get("__name__")))
        cell.run()
        sys.setprofile(None)
        ran = {name for name in seen if name and name.startswith("tabular_rl.")} - {"tabular_rl.experiments.cells"}
        assert len(ran) > 4, ran
        print(type(algorithm).__name__, sorted(ran - set(cell.sources.files)))
"""


def test_everything_that_runs_is_in_the_key():
    """Python's own profiler, without compilation, against what the import statements say."""
    lines = run(TRACED, NUMBA_DISABLE_JIT="1").splitlines()
    assert len(lines) == 9
    assert [line for line in lines if not line.endswith(" []")] == []


# --- the user's code

ALGORITHM = """
    from dataclasses import dataclass
    import numpy as np
    from tabular_rl.experiments import Trace
    {imports}

    @dataclass(frozen=True)
    class Mine:
        def run(self, problem, n, seed):
            return Trace(np.array([n]), {{"regret": np.array([{value}])}}, np.ones((1, 1, 1)))
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes the module ``mine`` of this test and what it imports, and loads it anew."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load(**files):
        for name, text in files.items():
            path = tmp_path.joinpath(*name.split("__", 1)).with_suffix(".py")
            path.parent.mkdir(exist_ok=True)
            path.write_text(textwrap.dedent(text))
        forget()
        importlib.invalidate_caches()
        return importlib.import_module("mine")

    def forget():
        for name in [name for name, loaded in sys.modules.items() if str(tmp_path) in str(getattr(loaded, "__file__", ""))]:
            del sys.modules[name]

    yield load
    forget()


def key(algorithm, problem=RIVER):
    return Cell(("user", "river", "mine", 0), problem, algorithm, 10).key


def test_a_users_module_and_what_it_imports(module):
    text = textwrap.dedent(ALGORITHM.format(imports="from helpers import tools", value="tools.bonus(1.0)"))
    files = {
        "mine": text,
        "helpers____init__": "",
        "helpers__tools": "def bonus(x):\n    from helpers.deep import half\n    return half(x)\n",
        "helpers__deep": "def half(x):\n    return x / 2\n",
        "unrelated": "x = 1\n",
    }
    first = key(module(**files).Mine())
    assert key(module(**files).Mine()) == first
    assert key(module(unrelated="x = 2\n").Mine()) == first
    assert key(module(helpers__other="x = 2\n").Mine()) == first
    assert key(module(mine=text + "\n# edited\n").Mine()) != first
    assert key(module(**files | {"helpers__deep": "def half(x):\n    return x / 3\n"}).Mine()) != first
    assert key(module(**files | {"helpers__tools": files["helpers__tools"] + "SCALE = 1\n"}).Mine()) != first
    assert key(module(**files).Mine()) == first


def test_modules_loaded_by_computed_names_count_with_their_whole_package(module):
    loads = "import importlib\n\n    def bonus(x):\n        return importlib.import_module(f'parts.{x}').value\n"
    text = ALGORITHM.format(imports=loads, value="bonus('a')")
    first = key(module(mine=text, parts____init__="", parts__a="value = 1.0\n").Mine())
    assert key(module(parts__a="value = 2.0\n").Mine()) != first


def test_what_runs_counts_and_not_what_is_written_since(module, tmp_path):
    """An edited file that was not loaded again leaves the old code running: the old key. After a reload: the new one."""
    mine = module(mine=ALGORITHM.format(imports="", value="1.0"))
    first = key(mine.Mine())
    (tmp_path / "mine.py").write_text(textwrap.dedent(ALGORITHM.format(imports="", value="2.0")))
    assert key(mine.Mine()) == first
    old = mine.Mine()
    importlib.reload(mine)
    assert key(mine.Mine()) != first
    assert key(old) != key(mine.Mine())


def test_a_file_edited_between_its_load_and_the_first_look_is_refused(module, tmp_path):
    mine = module(mine=ALGORITHM.format(imports="", value="1.0"))
    (tmp_path / "mine.py").write_text(textwrap.dedent(ALGORITHM.format(imports="", value="2.5")))
    with pytest.raises(TypeError, match=r"mine was loaded before its file .* was edited.*importlib.reload\(mine\)"):
        key(mine.Mine())
    importlib.reload(mine)
    key(mine.Mine())


def interactive(code, **known):
    """The namespace of a notebook or prompt that ran ``code``; nothing keeps its text."""
    import types

    namespace = types.ModuleType("__main__").__dict__
    namespace.update(known)
    exec(textwrap.dedent(code), namespace)
    return namespace


NOTEBOOK = (
    ALGORITHM.replace("{imports}", "").replace("{value}", "bonus(2.0)")
    + """
    SCALE = {scale}
    TABLE = np.array([1.0, {entry}])
    OTHER = {other}

    def bonus(x):
        return half(x) + SCALE + TABLE[0]

    half = lambda x: x / {half}

    def plot():
        return OTHER
"""
)
SAME = {"scale": 0.5, "entry": 2.0, "half": 2, "other": 1}


@pytest.mark.parametrize(("change", "same"), [({"scale": 0.6}, False), ({"entry": 3.0}, False), ({"half": 3}, False), ({"other": 2}, True)])
def test_a_class_of_a_notebook_reaches_helpers_and_globals(change, same):
    first, again, other = (key(interactive(NOTEBOOK.format(**SAME | each))["Mine"]()) for each in ({}, {}, change))
    assert first == again
    assert (other == first) is same


def test_base_classes_closures_and_defaults_count():
    def made(eta):
        @dataclass(frozen=True)
        class Local:
            def run(self, problem, n, seed):
                return eta

        return Local

    assert key(made(0.1)()) == key(made(0.1)())
    assert key(made(0.1)()) != key(made(0.2)())
    bases = [interactive(f"class Base:\n    rate = {rate}\n    def step(self, x={rate}): return x\n")["Base"] for rate in (1, 1, 2)]
    keys = [key(make_dataclass("Child", [], bases=(base,), namespace={"run": lambda self, problem, n, seed: None})()) for base in bases]
    assert keys[0] == keys[1] != keys[2]


def test_modules_reached_from_a_notebook_are_followed_by_name(module):
    code = "import dataclasses, mine\n@dataclasses.dataclass\nclass A:\n    def run(self, problem, n, seed): return mine.bonus(n)\n"
    module(mine="from helpers.tools import bonus\n", helpers____init__="", helpers__tools="def bonus(n): return n\n", helpers__other="")
    first = key(interactive(code)["A"]())
    module(helpers__other="x = 1\n")
    assert key(interactive(code)["A"]()) == first
    module(helpers__tools="def bonus(n): return n + 1\n")
    assert key(interactive(code)["A"]()) != first
    inside = code.replace("return mine.bonus(n)", "from helpers.tools import bonus")
    first = key(interactive(inside)["A"]())
    module(helpers__tools="def bonus(n): return n + 2\n")
    assert key(interactive(inside)["A"]()) != first


def test_a_method_replaced_from_a_notebook_counts(module):
    mine = module(mine=ALGORITHM.format(imports="", value="1.0"))
    first = key(mine.Mine())
    mine.Mine.run = interactive("def run(self, problem, n, seed): return 2")["run"]
    second = key(mine.Mine())
    mine.Mine.run = interactive("def run(self, problem, n, seed): return 3")["run"]
    assert len({first, second, key(mine.Mine())}) == 3


@pytest.mark.parametrize("code", [
    "@functools.singledispatch\ndef bonus(x): return 0.0\n@bonus.register(float)\ndef _(x): return {x}",
    "@functools.singledispatch\ndef bonus(x): return 0.0\nbonus.register(float, lambda x: {x})",
    "def bonus(x): return bonus.rate\nbonus.rate = {x}",
    "@functools.lru_cache\ndef bonus(x): return bonus.__wrapped__.rate\nbonus.__wrapped__.rate = {x}",
])  # fmt: skip
def test_variants_and_attributes_of_functions_count(code):
    keys = [
        key(
            interactive(
                ALGORITHM.format(imports="import functools", value="bonus(2.0)") + "\n" + textwrap.indent(code.format(x=x), "    ")
            )["Mine"]()
        )
        for x in (1.0, 1.0, 2.0)
    ]
    assert keys[0] == keys[1] != keys[2]


def test_compiled_functions_of_a_notebook_count():
    code = "import numba\n@numba.njit{}\ndef f(x): return x + {}\nclass A:\n    def run(self): return f(1)\n"
    digests = [sources(interactive(code.format(*each))["A"]).digest for each in (("", 1), ("", 1), ("", 2), ("(fastmath=True)", 1))]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_attributes_that_are_no_fields_count():
    """A subclass of a dataclass that is not decorated itself keeps what its __init__ is given outside of the fields."""

    class Scaled(trl.algorithms.UCBVI):
        def __init__(self, own):
            super().__init__()
            object.__setattr__(self, "own", own)

    assert key(Scaled(1.0)) == key(Scaled(1.0)) != key(Scaled(2.0))


@dataclass(frozen=True)
class Holder:
    value: object = None

    def run(self, problem, n, seed):
        return None


def test_values_of_different_types_are_told_apart():
    values = [1, 1.0, "1", "1.0", True, None, (1, 2), (1.0, 2), {1: 2}, {"1": 2}, {1, 2}, np.ones(1), np.ones((1, 1)), b"1", 1j]
    assert len({key(Holder(value)) for value in values}) == len(values)
    assert key(Holder(np.float64(0.1))) == key(Holder(0.1))


UNREADABLE = {
    "generator": ("rng = np.random.default_rng(0)", "rng", "rng, which Mine.run reaches.*Generator"),
    "open file": ("file = open('/dev/null')", "file", "file, which Mine.run reaches"),
    "computed import": ("import importlib", "importlib.import_module('a' + 'b')", "imports by a computed name"),
    "globals": ("bonus = 1.0", "globals()['bonus']", r"Mine.run reaches what it uses through globals\(\)"),
    "eval": ("bonus = 1.0", "eval('bonus')", r"Mine.run reaches what it uses through eval\(\)"),
    "exec": ("bonus = 1.0", "exec('x = bonus')", r"Mine.run reaches what it uses through exec\(\)"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_globals_that_cannot_be_read_are_refused_by_name(what):
    line, value, message = UNREADABLE[what]
    with pytest.raises(TypeError, match=message):
        key(interactive(ALGORITHM.format(imports=line, value=value))["Mine"]())


@pytest.mark.parametrize(
    "value", [lambda x: x, object(), np.random.default_rng(0), [np.array([{}])]], ids=["function", "object", "generator", "objects"]
)
def test_fields_that_cannot_be_hashed_are_refused_by_name(value):
    with pytest.raises(TypeError, match=r"algorithm\.value.*cannot be hashed|array of objects cannot be hashed"):
        key(Holder(value))


def test_loggers_decide_nothing():
    code = ALGORITHM.format(imports="", value="log.info('x') or 1.0")
    assert key(interactive(code, log=logging.getLogger("a"))["Mine"]())


def test_an_object_that_is_no_dataclass_is_told_what_to_be():
    class Plain:
        def run(self, problem, n, seed):
            return None

    with pytest.raises(TypeError, match=r"algorithm cannot be hashed: Plain.*@dataclass\(frozen=True\)"):
        key(Plain())
    with pytest.raises(TypeError, match=r"algorithms\['plain'\] cannot be hashed.*@dataclass\(frozen=True\)"):
        Experiment("e", {"river": RIVER}, {"plain": Plain()}, 10)


def test_classes_have_their_public_names():
    assert public_name(trl.algorithms.DAPO) == "tabular_rl.algorithms.DAPO"
    assert public_name(type(RIVER)) == "tabular_rl.AdversarialMDP"
    assert public_name(trl.ambiguity.KL) == "tabular_rl.ambiguity.KL"


def test_libraries_count_by_version(monkeypatch):
    first = sources(trl.algorithms.DAPO).digest
    monkeypatch.setattr(imports, "library_version", lambda top: "another")
    imports._ANSWERS.clear()
    assert sources(trl.algorithms.DAPO).digest != first
    imports._ANSWERS.clear()


# --- scripts and processes

SCRIPT = """
import sys
from dataclasses import dataclass
import numpy as np
import tabular_rl as trl
from tabular_rl.experiments import Experiment, Trace

VALUE = {value}

def helper():
    return VALUE

@dataclass(frozen=True)
class Mine:
    def run(self, problem, n, seed):
        print("runs", file=open({log!r}, "a"))
        return Trace(np.array([n]), {{"regret": np.array([helper()])}}, np.ones((1, 1, 1)))

if __name__ == "__main__":
    river = trl.instances.river_swim(n=3, horizon=4)
    frame = Experiment("script", {{"river": river}}, {{"mine": Mine()}}, 5, 2).run(
        {store!r}, jobs=2, backend={backend!r}, progress=False)
    print(frame.regret.tolist()){end}
"""


@pytest.fixture
def script(tmp_path):
    """Runs SCRIPT: (the values that it prints, cells that were run so far)."""

    def call(value, backend="threads", end=""):
        settings = {"log": str(tmp_path / "log"), "store": str(tmp_path / "store"), "backend": backend}
        (tmp_path / "script.py").write_text(SCRIPT.format(value=value, end=end, **settings))
        done = subprocess.run(
            [sys.executable, str(tmp_path / "script.py")], capture_output=True, text=True,
            env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)}, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1], (tmp_path / "log").read_text().count("runs")

    return call


def test_a_script_that_is_edited_runs_again_and_one_that_is_not_does_not(script):
    assert script("1.0") == ("[1.0, 1.0]", 2)
    assert script("1.0", end="\n    print([1.0, 1.0])") == ("[1.0, 1.0]", 2)  # what the class does not reach
    assert script("2.0") == ("[2.0, 2.0]", 4)


@pytest.mark.parametrize("backend", ["processes", "dask"])
def test_classes_of_scripts_go_to_other_processes(script, backend):
    assert script("1.0", backend) == ("[1.0, 1.0]", 2)


def test_processes_that_wait_do_not_run_what_they_loaded_before_a_reload(module, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(PACKAGE.parent)]))
    values = []
    for value in ("1.0", "2.25"):
        mine = module(mine=ALGORITHM.format(imports="", value=value))
        frame = Experiment("reload", {"river": RIVER}, {"mine": mine.Mine()}, 5, 2).run(
            tmp_path / "s", jobs=2, backend="processes", progress=False
        )
        values.append(frame.regret.tolist())
    assert values == [[1.0, 1.0], [2.25, 2.25]]


def test_a_worker_with_another_version_is_refused(module, tmp_path, monkeypatch):
    """The session holds what it loaded; processes that start later load the file as it is by then."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(PACKAGE.parent)]))
    mine = module(mine=ALGORITHM.format(imports="", value="1.0"))
    experiment = Experiment("worker", {"river": RIVER}, {"mine": mine.Mine()}, 5, 2)
    assert experiment.cells[0].key
    (tmp_path / "mine.py").write_text(textwrap.dedent(ALGORITHM.format(imports="", value="3.0")))
    with pytest.raises(RuntimeError, match="mine in a process at work is not what the result would be kept under"):
        experiment.run(tmp_path / "s", jobs=2, backend="processes", progress=False)
    assert not list((tmp_path / "s").glob("*.parquet"))
