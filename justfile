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
