"""The CSV format of the robust-MDP benchmarks: their files, there and back, and errors that name the file and the line."""

import csv
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from quantecon.markov import DiscreteDP

from tabular_rl import instances
from tabular_rl.models import DiscountedMDP, read_csv, write_csv
from tabular_rl.planning import solve

FOLDER = Path(__file__).parents[2] / "tabular_rl" / "instances" / "data" / "rmdp"
SHAPES = {"machine_replacement_mdp": (10, 2), "riverswim_mdp": (6, 2), "riverswim2_mdp": (6, 2), "riverswim3_mdp": (6, 2)}
benchmarks = pytest.mark.parametrize("name", SHAPES)
HEADER = "idstatefrom,idaction,idstateto,probability,reward\n"


def literally(name):
    """(P [S, A, S], r [S, A]) of a benchmark file, line by line."""
    P, r = np.zeros((*SHAPES[name], SHAPES[name][0])), np.zeros(SHAPES[name])
    with open(FOLDER / f"{name}.csv") as file:
        for line in csv.DictReader(file):
            s, a, t = (int(line[column]) for column in ("idstatefrom", "idaction", "idstateto"))
            P[s, a, t] += float(line["probability"])
            r[s, a] += float(line["probability"]) * float(line["reward"])
    return P, r


def test_every_file_of_the_folder_is_tested():
    assert {path.stem for path in FOLDER.glob("*.csv")} == set(SHAPES)


@benchmarks
def test_the_benchmarks_are_read_as_they_stand(name):
    P, r = literally(name)
    mdp = read_csv(FOLDER / f"{name}.csv", 0.9)
    np.testing.assert_array_equal(mdp.transition, P)
    np.testing.assert_allclose(mdp.reward, r, rtol=1e-15)
    assert (mdp.discount, np.argmax(mdp.initial)) == (0.9, 0)


@benchmarks
def test_the_benchmarks_have_the_values_that_quantecon_finds(name):
    P, r = literally(name)
    theirs = DiscreteDP(r, P, 0.95).solve(method="policy_iteration").v
    np.testing.assert_allclose(solve(read_csv(FOLDER / f"{name}.csv", 0.95), tolerance=1e-8).values, theirs, atol=1e-7)


def test_the_swimmer_does_not_swim_for_five():
    """By hand: staying left earns 5 for ever."""
    values = solve(read_csv(FOLDER / "riverswim_mdp.csv", 0.5), tolerance=1e-10).values
    assert values[0] == pytest.approx(10)


SPARSE = DiscountedMDP(sp.csr_array(np.eye(5)[[1, 2, 3, 4, 0]] * 0.1 + 0.9 * np.eye(5)), np.arange(5.0)[:, None] / 3, 0.9)


@pytest.mark.parametrize("mdp", [*(read_csv(FOLDER / f"{name}.csv", 0.9) for name in SHAPES), instances.garnet(), SPARSE], ids=repr)
def test_there_and_back_is_the_same_model(mdp, tmp_path):
    write_csv(mdp, tmp_path / "model.csv")
    again = read_csv(tmp_path / "model.csv", mdp.discount, mdp.initial)
    assert again.transition.tobytes() == (mdp.transition.toarray() if mdp.is_sparse else mdp.transition).tobytes()
    assert again.reward.tobytes() == mdp.reward.tobytes()


def test_what_is_written_is_the_format(tmp_path):
    write_csv(DiscountedMDP([[[0.25, 0.75]], [[0, 1]]], [[1], [1 / 3]], 0.9), tmp_path / "model.csv")
    assert (tmp_path / "model.csv").read_bytes() == (HEADER + "0,0,0,0.25,1.0\n0,0,1,0.75,1.0\n1,0,1,1.0,0.3333333333333333\n").encode()


@pytest.fixture
def read(tmp_path):
    def function(text, discount=0.5, initial=None):
        content = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "some model.csv").write_bytes(content)
        return read_csv(str(tmp_path / "some model.csv"), discount, initial)

    return function


FORMS = {
    "plain": HEADER + "0,0,0,1,2\n",
    "no end of line": HEADER + "0,0,0,1,2",
    "Windows": (HEADER + "0,0,0,1,2\n").replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + HEADER + "0,0,0,1,2\n",
    "spaces": HEADER.replace(",", ", ") + " 0, 0, 0, 1.0, 2e0\n",
    "quotes": '"idstatefrom","idaction","idstateto","probability","reward"\n"0","0","0","1","2"\n',
    "empty lines": HEADER + "\n0,0,0,1,2\n\n\n",
    "in two parts": HEADER + "0,0,0,0.5,2\n0,0,0,0.5,2\n",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_every_way_to_write_it_is_read(read, text):
    mdp = read(text)
    assert (mdp.transition.tolist(), mdp.reward.tolist()) == ([[[1]]], [[2]])


def test_the_model_has_the_expected_rewards_of_transitions(read):
    assert read(HEADER + "0,0,0,0.25,8\n0,0,1,0.75,-4\n1,0,1,1,0\n").reward.tolist() == [[-1], [0]]


DIALECTS = {
    "outcomes": "idstatefrom,idaction,idoutcome,idstateto,probability,reward\n0,0,0,1,1.0,3\n1,1,0,0,1,5\n1,0,0,1,1,0\n",
    "another order": "reward,idaction,idstateto,idstatefrom,probability\n3,0,1,0,1\n5,1,0,1,1\n0,0,1,1,1\n",
    "an index": ",idstatefrom,idaction,idstateto,probability,reward\n0,0,0,1,1,3\n1,1,1,0,1,5\n2,1,0,1,1,0\n",
    "capitals": "IdStateFrom,IdAction,IdStateTo,Probability,Reward\n0,0,1,1,3\n1,1,0,1,5\n1,0,1,1,0\n",
}


@pytest.mark.parametrize("text", DIALECTS.values(), ids=DIALECTS)
def test_the_dialects_are_read(read, text):
    mdp = read(text)
    assert mdp.barred_reward.tolist() == [[3, -np.inf], [0, 5]]
    assert mdp.transition[1].tolist() == [[0, 1], [1, 0]]


def test_a_state_that_is_only_led_to_is_terminal(read):
    mdp = read(HEADER + "0,0,0,0.5,1\n0,0,1,0.5,1\n")
    assert (mdp.transition[1].tolist(), mdp.reward[1].tolist(), mdp.has_all_actions) == ([[0, 1]], [0], True)


def test_rounded_digits_are_normalized_on_request(tmp_path):
    text = HEADER + "".join(f"0,0,{t},0.333333,1\n" for t in range(3)) + "1,0,1,1,0\n2,0,2,1,0\n"
    (tmp_path / "model.csv").write_text(text)
    with pytest.raises(ValueError, match=r"line 2: the probabilities .* sum to 0.999999, expected 1; if .* normalize=True"):
        read_csv(tmp_path / "model.csv", 0.9)
    mdp = read_csv(tmp_path / "model.csv", 0.9, normalize=True)
    np.testing.assert_allclose(mdp.transition[0, 0], 1 / 3, atol=1e-15)
    assert mdp.reward[0, 0] == 1


def test_states_may_have_different_actions(read):
    mdp = read(HEADER + "0,0,1,1,3\n1,1,0,1,5\n1,0,1,1,0\n")
    assert mdp.transition[0].tolist() == [[0, 1], [0, 1]]
    assert mdp.reward.tolist() == [[3, 3], [0, 5]]


OUTCOMES = HEADER.replace("idaction", "idaction,idoutcome")
WRONG = [
    ("", r", line 1: expected the header idstatefrom,.*, got ''"),
    ("a,b,c\n0,0,0,1,0\n", ", line 1: expected the header .*, got 'a,b,c'"),
    (HEADER, ": no transitions after the header"),
    (HEADER + "\n\n", ": no transitions after the header"),
    (HEADER + "0,0,0,1,0\n0,0\n", ", line 3: expected 5 fields, got 2"),
    (HEADER + "0,0,0,1,0,7\n", ", line 2: expected 5 fields, got 6"),
    (HEADER + "0,0,0,one,0\n", ", line 2: expected three integers and two numbers, got '0,0,0,one,0'"),
    (HEADER + "0.5,0,0,1,0\n", ", line 2: expected three integers and two numbers"),
    (HEADER + "\n\n-1,0,0,1,0\n", ", line 4: expected ids >= 0, a probability in .*, got '-1,0,0,1,0'"),
    (HEADER + "0,0,0,nan,0\n", ", line 2: expected ids >= 0, a probability in"),
    (HEADER + "0,0,0,1.5,0\n", ", line 2: expected ids >= 0, a probability in"),
    (HEADER + "0,0,0,-0.5,0\n", ", line 2: expected ids >= 0, a probability in"),
    (HEADER + "0,0,0,1,inf\n", ", line 2: expected ids >= 0, a probability in .* and a finite reward"),
    (
        HEADER.replace("idaction", "idaction,idoutcome") + "0,0,0,0,1,0\n0,0,1,0,1,0\n",
        ", line 3: state 0, action 0 has outcomes 0 and 1, an MDP",
    ),
    (HEADER + "0,0,0,1,0\n0,1,0,0.5,0\n0,1,0,0.4,0\n", ", line 3: the probabilities of state 0, action 1 sum to 0.9, expected 1"),
    (HEADER + "0,0,0,1,0\n2,0,0,1,0\n", ": state 1 has no transitions, but there is state 2"),
    (HEADER + "0,0,2,1,0\n", ": state 1 has no transitions, but there is state 2"),
    (HEADER + f"0,0,{10**30},1,0\n", ": state 1 has no transitions"),
    (HEADER + "0,0,0,1,0\n0,2,0,1,0\n", ": action 1 has no transitions, but there is action 2"),
    (HEADER + f"0,{10**12},0,1,0\n", ": action 0 has no transitions"),
    ((HEADER + "0,0,0,1,0\n0,0,").encode() + b"\xff\xfe,1,0\n", r", line 3: expected three integers"),
    (b"\xff\xfe" + HEADER.encode("utf-16-le"), ", line 1: expected the header"),
    (HEADER + f"0,0,0,1,{'0' * 200_000}\n", ", line 2: field larger than field limit"),
    (HEADER + "0,0,\0,1,0\n", ", line 2: expected three integers"),
]


@pytest.mark.parametrize("text, message", WRONG)
def test_an_error_names_the_file_and_the_line(read, text, message):
    with pytest.raises(ValueError, match=f"some model.csv{message}"):
        read(text)


@pytest.mark.parametrize("text", [HEADER + "0,0,0,1,0\n"])
def test_discount_and_start_are_checked(read, text):
    with pytest.raises(ValueError, match=r"^discount must lie in"):
        read(text, 1)
    with pytest.raises(ValueError, match=r"^initial must be a state below 1"):
        read(text, 0.5, 1)


def test_what_is_no_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        read_csv(tmp_path / "none.csv", 0.9)
    with pytest.raises(IsADirectoryError):
        read_csv(tmp_path, 0.9)
    for wrong in (0, None, 1.5):
        with pytest.raises(TypeError):
            read_csv(wrong, 0.9)


def test_only_discounted_models_are_written_and_nothing_is_left_behind(tmp_path):
    (tmp_path / "old.csv").write_text("old")
    with pytest.raises(TypeError, match=r"^mdp must be a DiscountedMDP, got FiniteHorizonMDP"):
        write_csv(instances.bandit(), tmp_path / "old.csv")
    with pytest.raises(FileNotFoundError):
        write_csv(SPARSE, tmp_path / "no folder" / "new.csv")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"old.csv": "old"}


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(st.data())
def test_whatever_is_in_the_file_is_a_model_or_an_error_that_names_it(tmp_path_factory, data):
    content = bytearray((FOLDER / "riverswim2_mdp.csv").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content) - 1))
        end = start + data.draw(st.integers(0, 12))
        content[start:end] = data.draw(st.binary(max_size=4) | st.text("0123456789.,-\n\r\"'einf", max_size=4).map(str.encode))
    path = tmp_path_factory.getbasetemp() / "mutant.csv"
    path.write_bytes(content)
    try:
        mdp = read_csv(path, 0.9)
    except ValueError as error:
        if str(path) not in str(error):
            raise
    else:
        assert np.isfinite(mdp.reward).all()
