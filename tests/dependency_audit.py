"""Holds the pinned versions against what is known of vulnerabilities. Part of `make check`.

    python tests/dependency_audit.py constraints.txt

pip-audit does the work; this decides what its answers mean. A known vulnerability is a failure.
A service that can't be asked is none, but is said aloud: pip-audit itself exits with 0 and "No
known vulnerabilities found" where an index, such as a mirror, knows nothing of any package.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Answer", "answer_of", "main"]

SERVICES = ("pypi", "osv")  # asked in this order, until one answers
_SOCKET_TIMEOUT_S = 5
_TIMEOUT_S = 180.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service says of pins."""

    audited: int
    findings: tuple[str, ...]
    skipped: tuple[str, ...]  # with the reason of each
    failure: str = ""  # why there is no answer at all

    @property
    def usable(self) -> bool:
        return self.audited > 0

    @property
    def reason(self) -> str:
        """Why it is not usable."""
        return self.failure or next(iter(self.skipped), "there is nothing to audit")


def answer_of(stdout: str, stderr: str) -> Answer:
    """What pip-audit's output means; its exit code does not tell a failure from a finding."""
    try:
        dependencies: list[dict[str, Any]] = json.loads(stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        lines = stderr.strip().splitlines() or ["no output"]
        return Answer(0, (), (), failure=lines[-1])
    audited = [d for d in dependencies if "skip_reason" not in d]
    return Answer(
        len(audited),
        tuple(_findings(audited)),
        tuple(d["skip_reason"] for d in dependencies if "skip_reason" in d),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, help="pins, one a line")
    parser.add_argument("--service", choices=SERVICES, action="append", help="default: each")
    parser.add_argument("--osv-url", help="of another service with OSV's interface")
    options = parser.parse_args(arguments)
    pins = [
        line.strip()
        for line in options.file.read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith("#")
    ]
    reasons = []
    for service in options.service or SERVICES:
        extra = ["--osv-url", options.osv_url] if options.osv_url else []
        # One pin first: where a service does not answer, all of them would take their time.
        answer = _ask(pins[:1], service, extra)
        if answer.usable:
            answer = _ask(pins, service, extra)
        if answer.usable:
            return _report(answer, service, options.file)
        reasons.append(f"{service}: {answer.reason}")
    print(f"dependency audit SKIPPED, no service could be asked: {'; '.join(reasons)}")
    return 0


def _ask(pins: Iterable[str], service: str, extra: Sequence[str]) -> Answer:
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write("\n".join(pins))
        file.flush()
        command = [sys.executable, "-m", "pip_audit", "--requirement", file.name]
        command += ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
        command += ["--timeout", str(_SOCKET_TIMEOUT_S), "--vulnerability-service", service, *extra]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return Answer(0, (), (), failure=f"no answer in {_TIMEOUT_S:.0f} s")
    return answer_of(done.stdout, done.stderr)


def _findings(dependencies: Iterable[dict[str, Any]]) -> Iterator[str]:
    for dependency in dependencies:
        for vulnerability in dependency["vulns"]:
            fixed = ", ".join(vulnerability["fix_versions"]) or "no version yet"
            yield (
                f"{dependency['name']} {dependency['version']}: {vulnerability['id']}, "
                f"fixed in {fixed}: {vulnerability['description'][:200]}"
            )


def _report(answer: Answer, service: str, file: Path) -> int:
    for finding in answer.findings:
        print(f"{file}: {finding}")
    for reason in answer.skipped:
        print(f"not audited: {reason}")
    known = f"{len(answer.findings)} known vulnerabilities"
    print(f"dependency audit: {answer.audited} pins, {known} ({service})")
    if answer.findings:
        print("Raise the pin to a version with the fix, and run the tests.")
    return 1 if answer.findings else 0


if __name__ == "__main__":
    sys.exit(main())
