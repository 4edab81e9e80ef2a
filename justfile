# Every recipe consists of commands that also work without `just`.

# What CI runs.
check:
    .ci/run

# Install what the tests need, then run them all.
test:
    bin/test

# Run the balancer with a pool of simulated servers.
demo:
    cargo run --release -- demo

# Write the documentation that is generated from the code.
gen:
    cargo run -q -- config --reference > docs/configuration.md
    cargo run -q -- config --metrics-reference > docs/metrics.md
    cargo run -q -- generate openapi > docs/openapi.json

# Measure the balancer and a baseline in the same run (see docs/performance.md).
bench *ARGS:
    cargo bench -q -p bench
    cargo build --release -p scalelite -p bench --bins
    target/release/load {{ARGS}}

# Run clients that create and join meetings while servers fail; prints a report.
chaos *ARGS:
    cargo build --release -p scalelite -p bench --bins
    target/release/chaos {{ARGS}}

# Check dependencies: advisories, licences, duplicate versions (needs cargo-deny).
deny:
    cargo deny check
