import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_table_of_rights_is_current() -> None:
    found = runpy.run_path(str(DOCS / "security.py"))
    assert found["page"]() == (DOCS / "security.md").read_text(), "run: python docs/security.py"
