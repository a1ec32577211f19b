"""``python -m teeth.worker PATIENCE MODULE:CLAIM ...``: verify claims in order until one is not ok; a line of JSON for each."""

import faulthandler
import importlib
import json
import sys


def run(patience, names):
    """A claim that takes longer than ``patience`` seconds ends the process, compiled loops included."""
    for name in names:
        module, _, id = name.partition(":")
        faulthandler.dump_traceback_later(patience, exit=True)
        try:
            importlib.import_module(module)
            from proofs_check.engine import verify
            from proofs_check.registry import registered

            verdict = verify(registered(id))
            ok, reason = verdict.ok, "" if verdict.ok else verdict.reason
        except Exception as error:  # a fault may keep a file from loading
            ok, reason = False, f"{type(error).__name__}: {error}"
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps({"ok": ok, "claim": id, "reason": reason}), flush=True)
        if not ok:
            break


if __name__ == "__main__":
    run(float(sys.argv[1]), sys.argv[2:])
