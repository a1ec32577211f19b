"""One spelling, the field's: American."""

import re

BRITISH = re.compile(
    r"(normal|regular|random|maxim|minim|linear|factor|vector|equal|summar|organ|general|discret|initial|penal|parametr|optim|real|recogn)"
    r"is(e|es|ed|er|ers|ing|ation)\b|colour|centre|centring|behaviour|neighbour|favour|labelled|modelling|grey(?!s)|analyse|judgement|licence",
    re.IGNORECASE,
)


def test_spelling_is_american(pytestconfig):
    root = pytestconfig.rootpath
    folders = ("tabular_rl", "proofs_check", "figures", "tests", "benchmarks", "teeth", "docs")
    files = [file for folder in folders for file in (root / folder).rglob("*") if file.suffix in (".py", ".pyi", ".md", ".toml", ".j2")]
    found = [
        f"{file.relative_to(root)}:{number}: {match[0]}"
        for file in [*files, *root.glob("*.md"), root / "Makefile", root / "pyproject.toml"]
        if file.name != "test_spelling.py"
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        for match in BRITISH.finditer(line)
    ]
    assert found == []
