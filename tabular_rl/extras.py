"""What some functions need beyond the package: libraries that come with its extras."""

from contextlib import contextmanager


@contextmanager
def extra(name):
    """Around an import of what the extra ``name`` installs: where it is missing, the ModuleNotFoundError says how to get it."""
    try:
        yield
    except ModuleNotFoundError as error:
        text = f"{error.name} is not installed; it comes with the extra {name}: pip install 'tabular-rl[{name}]'"
        raise ModuleNotFoundError(text, name=error.name) from None
