"""The CSV format of the robust-MDP benchmarks: idstatefrom, idaction, idstateto, probability, reward."""

import csv
import os
from pathlib import Path

import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.models.assembly import assemble
from tabular_rl.models.discounted import DiscountedMDP
from tabular_rl.models.files import replacing
from tabular_rl.models.validation import ROW_TOLERANCE

COLUMNS = ("idstatefrom", "idaction", "idstateto", "probability", "reward")


def read_csv(path, discount, initial=None):
    """A DiscountedMDP from a benchmark file (UTF-8): one line per transition, states and actions numbered from 0 without gaps.

    The format keeps neither a discount nor a start; rewards of transitions become expected rewards. States may have different numbers
    of actions (see ``assemble``). Errors name the file and the line.
    """
    (S, A), (source, action, successor, probability, reward) = read_transitions(path)
    return assemble((S, A), source * A + action, successor, probability, reward, initial=initial, discount=discount)


def read_transitions(path):
    """((S, A), five arrays: state, action, next state, probability, reward) of a benchmark file, checked as ``read_csv`` says."""
    pairs: dict[tuple[int, int], float] = {}
    rows, lines = [], []
    for line, fields in _lines(os.fspath(path)):
        rows.append(_parse(fields, f"{path}, line {line}"))
        lines.append(line)
        pairs[rows[-1][:2]] = pairs.get(rows[-1][:2], 0.0) + rows[-1][3]
    if not rows:
        raise ValueError(f"{path}: no transitions after the header")
    for (s, a), total in pairs.items():
        if abs(total - 1) > ROW_TOLERANCE:
            line = next(n for n, row in zip(lines, rows, strict=True) if row[:2] == (s, a))
            raise ValueError(f"{path}, line {line}: the probabilities of state {s}, action {a} sum to {total!r}, expected 1")
    columns = list(zip(*rows, strict=True))
    S, A = (1 + max(max(column) for column in group) for group in ((columns[0], columns[2]), columns[1:2]))
    for kind, n, present in ("state", S, set(columns[0])), ("action", A, set(columns[1])):
        if len(present) < n:
            missing = next(number for number in range(n) if number not in present)
            raise ValueError(f"{path}: {kind} {missing} has no transitions, but there is {kind} {n - 1}")
    return (S, A), tuple(map(np.array, columns))


def write_csv(mdp, path):
    """Write a DiscountedMDP; every transition of (s, a) carries the expected reward r(s, a). Atomic: the old file or the whole new one."""
    check.kind("mdp", mdp, DiscountedMDP)
    from scipy.sparse import csr_array

    S, A = mdp.shape
    flat = mdp.transition if mdp.is_sparse else csr_array(mdp.transition.reshape(S * A, S))
    row = np.repeat(np.arange(S * A), np.diff(flat.indptr))
    with replacing(Path(os.fspath(path))) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        columns = (row // A, row % A, flat.indices, flat.data, mdp.reward.ravel()[row])
        writer.writerows(zip(*(column.tolist() for column in columns), strict=True))


def _lines(path):
    """(line number, fields) of every line after the header that is not empty."""
    with open(path, newline="", encoding="utf-8-sig", errors="backslashreplace") as file:
        reader = csv.reader(file)
        try:
            header = next(reader, [])
            if tuple(name.strip() for name in header) != COLUMNS:
                raise ValueError(f"{path}, line 1: expected the header {','.join(COLUMNS)}, got {','.join(header)!r}")
            for fields in reader:
                if fields:
                    yield reader.line_num, fields
        except csv.Error as error:
            raise ValueError(f"{path}, line {reader.line_num}: {error}") from None


def _parse(fields, place):
    if len(fields) != len(COLUMNS):
        raise ValueError(f"{place}: expected {len(COLUMNS)} fields, got {len(fields)}")
    try:
        s, a, t = (int(field) for field in fields[:3])
        probability, reward = float(fields[3]), float(fields[4])
    except ValueError:
        raise ValueError(f"{place}: expected three integers and two numbers, got {','.join(fields)!r}") from None
    if min(s, a, t) < 0 or not 0 <= probability <= 1 + ROW_TOLERANCE or not np.isfinite(reward):
        raise ValueError(f"{place}: expected ids >= 0, a probability in [0, 1] and a finite reward, got {','.join(fields)!r}")
    return s, a, t, probability, reward
