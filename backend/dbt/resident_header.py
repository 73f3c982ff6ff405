#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a C header of the resident program, so that it is in the binary: resident_header.py HEADER FILE.py"""
import sys
from pathlib import Path

lines = Path(sys.argv[2]).read_text().splitlines()
quoted = "".join('\t"' + line.replace("\\", "\\\\").replace('"', '\\"') + '\\n" \\\n' for line in lines)
Path(sys.argv[1]).write_text(f"#define RESIDENT_PROGRAM \\\n{quoted}\t\"\"\n")
