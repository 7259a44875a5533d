"""No directive of the installed stock client is forgotten, and the document is up to date."""

import re
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_ROOT / "tools")]

import directives_doc  # noqa: E402

from branchline.openvpn.directives import find_directive  # noqa: E402


def test_every_directive_of_the_stock_clients_help_is_in_the_table():
    text = subprocess.run(["openvpn", "--help"], capture_output=True, text=True).stdout
    names = set(re.findall(r"^--([a-z0-9-]+)", text, re.MULTILINE))
    assert len(names) > 200
    assert not [name for name in sorted(names) if find_directive(name) is None]


def test_the_document_is_generated_from_the_table():
    text = (_ROOT / "docs" / "directives.md").read_text()
    assert text == directives_doc.document(), "run: python3 tools/directives_doc.py > docs/..."
