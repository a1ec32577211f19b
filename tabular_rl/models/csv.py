"""The CSV format of the robust-MDP benchmarks: idstatefrom, idaction, idstateto, probability, reward."""

import csv
import os
from pathlib import Path

import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.models.assembly import assemble
from tabular_rl.models.atomic import replacing
from tabular_rl.models.discounted import DiscountedMDP
from tabular_rl.models.validation import NORMALIZABLE, ROW_TOLERANCE

COLUMNS = ("idstatefrom", "idaction", "idstateto", "probability", "reward")
INDEX = ("", "index", "unnamed: 0")  # what pandas calls the column that it adds


def read_csv(path, discount, initial=None, normalize=False):
    """A DiscountedMDP from a benchmark file (UTF-8): one line per transition, states and actions numbered from 0 without gaps.

    The columns ``idstatefrom, idaction, idstateto, probability, reward`` may stand in any order, beside an index column (without a name,
    or called ``index``) and an ``idoutcome`` column that tells one outcome per pair. States may have different actions, and
    a state that has none but is led to is terminal: it stays where it is and earns 0. Rewards that differ between the moves of
    a pair are kept as ``move_rewards``. The format keeps neither a discount nor a start. ``normalize``: divide the probabilities of a pair
    that sum to 1 only within 5 % (rounded digits) by their sum; otherwise they are refused. Errors name the file and the line.
    """
    (S, A), (source, action, successor, probability, reward) = read_transitions(path, normalize)
    setting = {"initial": initial, "discount": discount, "normalize": normalize}
    return assemble((S, A), source * A + action, successor, probability, reward, **setting)


def read_transitions(path, normalize=False):
    """((S, A), five arrays: state, action, next state, probability, reward) of a benchmark file, checked as ``read_csv`` says."""
    tolerance = NORMALIZABLE if check.flag("normalize", normalize) else ROW_TOLERANCE
    pairs: dict[tuple[int, int], float] = {}
    outcomes: dict[tuple[int, int], int] = {}
    rows, lines = [], []
    for line, fields in _lines(os.fspath(path)):
        row, outcome = _parse(fields, f"{path}, line {line}")
        rows.append(row)
        lines.append(line)
        pairs[row[:2]] = pairs.get(row[:2], 0.0) + row[3]
        if outcomes.setdefault(row[:2], outcome) != outcome:
            s, a = row[:2]
            raise ValueError(f"{path}, line {line}: state {s}, action {a} has outcomes {outcomes[s, a]} and {outcome}, an MDP has one")
    if not rows:
        raise ValueError(f"{path}: no transitions after the header")
    for (s, a), total in pairs.items():
        if abs(total - 1) > tolerance:
            line = next(n for n, row in zip(lines, rows, strict=True) if row[:2] == (s, a))
            remedy = "; if they were rounded, normalize=True divides them by their sum" if abs(total - 1) <= NORMALIZABLE else ""
            raise ValueError(f"{path}, line {line}: the probabilities of state {s}, action {a} sum to {total!r}, expected 1{remedy}")
    columns = list(zip(*rows, strict=True))
    with_rows, led_to = set(columns[0]), set(columns[2])
    S, A = 1 + max(with_rows | led_to), 1 + max(columns[1])
    for kind, n, present in ("state", S, with_rows | led_to), ("action", A, set(columns[1])):
        if len(present) < n:
            missing = next(number for number in range(n) if number not in present)
            raise ValueError(f"{path}: {kind} {missing} has no transitions, but there is {kind} {n - 1}")
    rows += [(s, a, s, 1.0, 0.0) for s in sorted(led_to - with_rows) for a in range(A)]
    return (S, A), tuple(map(np.array, zip(*rows, strict=True)))


def write_csv(mdp, path):
    """Write a DiscountedMDP: the transitions of the pairs that exist, with the rewards of the moves, or of the pair where it has only one.

    Atomic: the old file or the whole new one.
    """
    check.kind("mdp", mdp, DiscountedMDP)
    from scipy.sparse import csr_array

    S, A = mdp.shape
    flat = mdp.transition if mdp.is_sparse else csr_array(mdp.transition.reshape(S * A, S))
    row = np.repeat(np.arange(S * A), np.diff(flat.indptr))
    paid = mdp.reward.ravel()[row]
    if mdp.move_rewards is not None:
        paid = mdp.move_rewards.data if mdp.is_sparse else mdp.move_rewards.reshape(S * A, S)[row, flat.indices]
    there = mdp.available.ravel()[row]
    with replacing(Path(os.fspath(path))) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        columns = (row // A, row % A, flat.indices, flat.data, paid)
        writer.writerows(zip(*(column[there].tolist() for column in columns), strict=True))


def _lines(path):
    """(line number, fields in the order of COLUMNS, then the outcome if there is one) of every line after the header that is not empty."""
    with open(path, newline="", encoding="utf-8-sig", errors="backslashreplace") as file:
        reader = csv.reader(file)
        try:
            header = [name.strip().lower() for name in next(reader, [])]
            named = [name for name in header if name not in INDEX]
            if sorted(set(named) - {"idoutcome"}) != sorted(COLUMNS) or len(named) != len(set(named)):
                raise ValueError(f"{path}, line 1: expected the header {','.join(COLUMNS)}, got {check.short(','.join(header))}")
            places = [header.index(name) for name in (*COLUMNS, *(["idoutcome"] if "idoutcome" in header else []))]
            for fields in reader:
                if fields:
                    if len(fields) != len(header):
                        raise ValueError(f"{path}, line {reader.line_num}: expected {len(header)} fields, got {len(fields)}")
                    yield reader.line_num, [fields[place] for place in places]
        except csv.Error as error:
            raise ValueError(f"{path}, line {reader.line_num}: {error}") from None


def _parse(fields, place):
    """((state, action, next state, probability, reward), outcome)."""
    try:
        s, a, t, outcome = (int(field) for field in (*fields[:3], *(fields[5:] or ["0"])))
        probability, reward = float(fields[3]), float(fields[4])
    except ValueError:
        raise ValueError(f"{place}: expected three integers and two numbers, got {check.short(','.join(fields))}") from None
    if min(s, a, t) < 0 or not 0 <= probability <= 1 + NORMALIZABLE or not np.isfinite(reward):
        raise ValueError(f"{place}: expected ids >= 0, a probability in [0, 1] and a finite reward, got {check.short(','.join(fields))}")
    return (s, a, t, probability, reward), outcome
