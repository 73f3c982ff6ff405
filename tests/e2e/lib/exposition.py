# SPDX-License-Identifier: Apache-2.0
"""A strict reader of Prometheus' text format, version 0.0.4: what the format only tolerates is a fault, too."""
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
COMMENT = re.compile(rf"# (HELP|TYPE) ({NAME}) (.+)")
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (-?\d+(?:\.\d+)?)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
PLAIN = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def labels_of(text):
    found, at = {}, 0
    while at < len(text):
        m = LABEL.match(text, at)
        assert m and m[1] not in found and (m[3] or m.end() == len(text)), text
        found[m[1]] = re.sub(r"\\.", lambda e: PLAIN[e[0]], m[2])
        at = m.end()
    return found


def read(text):
    """{name: (type, {((label, value), ...): number})}: each family once, after its HELP and its TYPE, no sample twice."""
    assert text.endswith("\n") and "\n\n" not in text
    families, helped, name = {}, None, None
    for line in text.splitlines():
        if line.startswith("#"):
            m = COMMENT.fullmatch(line)
            assert m, line
            if m[1] == "HELP":
                assert m[2] not in families, line
                helped = m[2]
            else:
                assert m[2] == helped and m[3] in ("counter", "gauge"), line
                name, helped = m[2], None
                families[name] = (m[3], {})
            continue
        m = SAMPLE.fullmatch(line)
        assert m and m[1] == name and helped is None, line
        key = tuple(sorted(labels_of(m[2] or "").items()))
        assert key not in families[name][1], line
        families[name][1][key] = float(m[3])
    for name, (kind, samples) in families.items():
        assert name.endswith("_total") == (kind == "counter"), name
        assert len({tuple(k for k, _ in key) for key in samples}) <= 1, name
    return families
