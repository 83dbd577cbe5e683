# One line each; what they call is what CI and the README call.

# Run an edge
run *ARGS:
    cargo run --release -- {{ARGS}}

# Run every test
test:
    tests/run

# Everything CI checks
check:
    .ci/run

# An edge's map page with fifty walkers on it: run `just run` first
demo:
    cargo run --release -- bots --count 50 --duration 60

# Every figure of the native door (docs/performance.md), or one: `just bench fanout`
bench *FIGURE:
    bench/run {{FIGURE}}

# The island engine's table: times, island changes, bytes per peer, ratio to the pairwise oracle
bench-islands *WORLDS:
    cargo bench -p atoll-bench --bench islands_table -- {{WORLDS}}

# The same worlds under criterion, to compare with an earlier run
bench-criterion:
    cargo bench -p atoll-bench --bench islands
