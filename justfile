# A thin front door: every recipe is one command that works without `just`, too.

# What CI runs.
check:
    .ci/run

# Install what the tests need, then run them all.
test:
    bin/test

# The balancer with a pool of simulated servers.
demo:
    cargo run --release -- demo

# Rewrite what is generated from the code.
gen:
    cargo run -q -- config --reference > docs/configuration.md

# Measure against a floor, side by side (see docs/performance.md).
bench *ARGS:
    cargo bench -q -p bench
    cargo build --release -p scalelite -p bench --bins
    target/release/load {{ARGS}}

# Clients create and join while servers die, hang, crawl and come back; prints a report.
chaos *ARGS:
    cargo build --release -p scalelite -p bench --bins
    target/release/chaos {{ARGS}}

# Advisories, licences, duplicate versions (needs cargo-deny).
deny:
    cargo deny check
