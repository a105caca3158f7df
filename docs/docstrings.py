"""The project's docstrings as reStructuredText: prose with `code` in single backticks, then sections, each a word and a colon above
indented lines, with entries `name, name: what it is`."""

import re

_SECTION = re.compile(r"([A-Z]\w*(?:,? \w+)*):")
_ENTRY = re.compile(r"((?:\*{0,2}[A-Za-z_][\w.]*)(?:, \*{0,2}[A-Za-z_][\w.]*)*): (.*)")
_INITIAL = re.compile(r"^(\w\. )")  # of a name, not the number of a point
_LINKED = re.compile(r"tfqz(?:\.keras)?\.\w+")


def to_rst(lines):
    """The lines of a docstring, without its indentation, as lines of reStructuredText."""
    prose, sections = _split([line.rstrip() for line in lines])
    found = _prose(prose)
    for title, body in sections:
        found += ["", f":{title}:", "", *_indented(_entries(body), 3)]
    return [*found, ""]


def _split(lines):
    """What stands before the first section, and [(title, lines)]."""
    prose, sections = [], []
    for line, following in zip(lines, [*lines[1:], ""]):
        title = _SECTION.fullmatch(line)
        if title and following.startswith(" "):
            sections.append((title[1], []))
        else:
            (sections[-1][1] if sections else prose).append(line)
    return prose, [(title, _dedented(body)) for title, body in sections]


def _prose(lines):
    """Text as it is; what is indented after an empty line is code."""
    found, is_code = [], False
    for line, before in zip(lines, ["", *lines]):
        starts = not is_code and not before and line.startswith("    ")
        is_code = starts or (is_code and (not line or line.startswith("    ")))
        found += ["::", ""] if starts else []
        found.append(line if is_code else _inline(line))
    return found


def _entries(lines):
    """Entries as definitions, and other lines as prose."""
    found, text = [], []
    for line, rest in _with_indented(lines):
        entry = _ENTRY.fullmatch(line)
        if entry:
            found += [*map(_inline, text), "", f"**{_escaped(entry[1])}**", *_indented(_described([entry[2], *rest]), 3), ""]
            text = []
        else:
            text += [line, *(other.strip() for other in rest)]
    return [*found, *map(_inline, text), ""]


def _described(lines):
    """An entry's text: a line with indented ones below it is a point of a list."""
    found, is_point = [], False
    for line, rest in _with_indented(lines):
        if rest:
            found += ["", f"- {_inline(line)}", *_indented(map(_inline, (other.strip() for other in rest)), 2), ""]
        else:
            found += ["", _inline(line)] if is_point else [_inline(line)]
        is_point = bool(rest)
    return found


def _with_indented(lines):
    """[(line, the deeper lines below it, dedented)]."""
    found = []
    for line in lines:
        if line.startswith(" ") and found:
            found[-1][1].append(line)
        elif line:
            found.append((line, []))
    return [(line, _dedented(rest)) for line, rest in found]


def _dedented(lines):
    margin = min((len(line) - len(line.lstrip()) for line in lines if line), default=0)
    return [line[margin:] for line in lines]


def _indented(lines, by):
    return [" " * by + line if line else "" for line in lines]


def _inline(text):
    """Code in double backticks, or as a link to what it names; other text as it is."""
    parts = text.split("`")
    for i, part in enumerate(parts):
        if i % 2 == 0:
            parts[i] = _escaped(part)
        else:
            parts[i] = f":py:obj:`{part}`\\ " if _LINKED.fullmatch(part) else f"``{part}``\\ "
    return _INITIAL.sub(r"\\\1", "".join(parts))


def _escaped(text):
    return re.sub(r"([\\*|_])", r"\\\1", text)
