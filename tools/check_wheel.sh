#!/bin/sh
# Build the wheel and use it from a clean virtual environment: what is not packaged must not seem to work.
# Third-party packages are borrowed from .venv by a path file, so that nothing is installed twice.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
.venv/bin/python -m build --wheel --outdir "$tmp/dist" . >"$tmp/build.log" 2>&1 || { cat "$tmp/build.log"; exit 1; }
rm -rf build
.venv/bin/python -m venv "$tmp/clean"
"$tmp/clean/bin/pip" install --quiet --no-deps --no-index "$tmp"/dist/*.whl
site=$("$tmp/clean/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$site/borrowed.pth"
cd "$tmp"
clean/bin/python - <<'PY'
import pathlib, corrwise, corrwise.envs, corrwise.costs, corrwise.mpc, corrwise.predictors
from corrwise.costs.flow import LearnedFlow
from corrwise.envs.tasks.manifest import frozen_manifest
from corrwise.experiments.report.page import write_report

home = pathlib.Path(corrwise.__file__).parent
assert "clean" in home.parts, f"imported {home}, which is not the wheel"
assert list((home / "experiments/report/templates").glob("*.html")), "the report's templates are not in the wheel"
LearnedFlow()  # its weights are in the wheel
frozen_manifest("cartpole")  # and so are the frozen episodes
assert (home / "py.typed").exists(), "py.typed is not in the wheel"
PY
clean/bin/corrwise mpc --steps 2 --episodes 1 --costs l1 --candidates 4 --out run >/dev/null 2>&1
test -s run/report.html
echo "wheel: built, imported and run from a clean environment"
