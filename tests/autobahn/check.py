"""check.py EXPECTED REPORTS PATTERN...: compares every expected case that a pattern names with both roles' reports."""
import collections
import fnmatch
import json
import sys

expected_file, reports, *patterns = sys.argv[1:]
wrong = 0

expected = {}
for line in open(expected_file):
    case, *results = line.split("#")[0].split() or [None]
    if case and any(fnmatch.fnmatchcase(case, pattern) for pattern in patterns):
        expected[case] = dict(zip(["server", "client"], results, strict=True))

for role in ["server", "client"]:
    report = json.load(open(f"{reports}/{role}/index.json"))["wsplug"]
    seen = {case: f"{result['behavior']}/{result['behaviorClose']}" for case, result in report.items()}
    for case in expected.keys() | seen.keys():
        wanted, got = expected.get(case, {}).get(role, "not expected"), seen.get(case, "did not run")
        if wanted != got:
            wrong += 1
            print(f"{role}: case {case}: expected {wanted}, got {got}")
    counts = collections.Counter(result.split("/")[0] for result in seen.values())
    print(f"{role}: {len(seen)} cases: " + ", ".join(f"{n} {result}" for result, n in counts.most_common()))

print("every case as expected" if expected and not wrong else f"{wrong} of {2 * len(expected)} results differ")
sys.exit(wrong > 0 or not expected)
