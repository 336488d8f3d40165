"""Text that is not ours, made safe to print: to a terminal, and to a log that a CI runner reads for commands.

Names of classes, versions and paths come from files that somebody else may have written. Whatever would move a cursor,
turn the reading direction, begin a line or be obeyed by a runner is shown as an escape, as in `\\x1b`.
"""

import re

# C0 and C1 controls and DEL; marks, overrides and isolates of the reading direction; separators of lines and
# paragraphs; halves of surrogate pairs, which no encoding takes.
_UNSEEN = r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
# GitHub's runner obeys a line that begins with '::', after any space, and '##[' anywhere in one; Azure '##vso[' and
# TeamCity '##teamcity['.
# https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
_OBEYED = r"#(?=#\w*\[)"
_AT_THE_START = r"^(\s*)::"


def inline(text: str) -> str:
    """A text as one line, with a visible escape for each character that a terminal or a runner would obey."""
    seen = re.sub(_UNSEEN, lambda found: found[0].encode("unicode_escape").decode(), text)
    return re.sub(_AT_THE_START, r"\1\\x3a:", re.sub(_OBEYED, r"\\x23", seen))


def printable(text: str) -> str:
    """As `inline`, for a text of several lines, which stay lines."""
    return "\n".join(map(inline, text.split("\n")))


def inert_json(document: str) -> str:
    """The same JSON document, with JSON's own escapes for what `inline` escapes inside a line: no value changes."""
    return "\n".join(
        re.sub(f"{_UNSEEN}|{_OBEYED}", lambda found: f"\\u{ord(found[0]):04x}", line) for line in document.split("\n")
    )
