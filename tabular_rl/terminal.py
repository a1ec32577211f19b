"""How commands end: a user's mistake in one line without a traceback, Ctrl-C with a word about what is kept."""

import functools
import sys


def command(function):
    """Decorator of a command: ValueError, TypeError and OSError become ``error: ...`` and exit code 1; Ctrl-C ends with code 130."""

    @functools.wraps(function)
    def run(*arguments, **keywords):
        try:
            return function(*arguments, **keywords)
        except (ValueError, TypeError, OSError) as error:
            print(f"error: {error}", *getattr(error, "__notes__", ()), sep="\n  ", file=sys.stderr)
            raise SystemExit(1) from None
        except KeyboardInterrupt:
            print("interrupted: what is finished is kept, and the next call goes on from there", file=sys.stderr)
            raise SystemExit(130) from None

    return run
