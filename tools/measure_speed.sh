#!/bin/sh
# Run every benchmark on an otherwise idle machine and keep its last line, which is JSON, in docs/results/speed.
set -eu
out=docs/results/speed
mkdir -p "$out"
measure() {
    name=$1
    shift
    .venv/bin/python "$@" | tee /dev/stderr | tail -n 1 >"$out/$name.json"
}
measure rendering benchmarks/rendering.py
measure planning benchmarks/planning.py --task humanoid
measure batching benchmarks/planning.py --task humanoid --batching
measure memory benchmarks/planning.py --task cartpole --memory
measure goal_rewards benchmarks/goal_rewards.py
measure correspondence benchmarks/correspondence.py --threads 2
measure prediction benchmarks/prediction.py
measure planning_table benchmarks/planning_table.py
