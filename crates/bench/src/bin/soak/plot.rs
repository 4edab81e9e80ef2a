//! Draws the samples of a soak, one below the other.

use std::fmt::Write as _;

use crate::samples::Figures;

const WIDTH: f64 = 760.0;
const ROW: f64 = 110.0;
const LEFT: f64 = 90.0;

/// A row of the plot: what it shows, and its lines.
type PlotRow = (&'static str, &'static [(&'static str, fn(&Figures) -> f64)]);

const ROWS: [PlotRow; 5] = [
    ("memory, MiB", &[("#2f7fd1", |figures| figures.memory_mib)]),
    ("descriptors", &[("#2f7fd1", |figures| figures.descriptors)]),
    ("store, MiB", &[("#2f7fd1", |figures| figures.store_mib)]),
    (
        "create, ms",
        &[
            ("#2f7fd1", |figures| figures.create_p50_ms),
            ("#c0504d", |figures| figures.create_p99_ms),
        ],
    ),
    (
        "join, ms",
        &[("#2f7fd1", |figures| figures.join_p50_ms), ("#c0504d", |figures| figures.join_p99_ms)],
    ),
];

/// Draws all figures over time; where two are together, the darker line is the median and the other one the 99th percentile.
pub(crate) fn draw(figures: &[Figures]) -> String {
    let end = figures.last().map_or(1.0, |sample| sample.minute).max(0.1);
    let height = ROW * ROWS.len() as f64 + 24.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"11\"><rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>"
    );
    for (row, (label, lines)) in ROWS.iter().enumerate() {
        let bottom = ROW * (row as f64 + 1.0);
        let values = lines.iter().flat_map(|(_, value)| figures.iter().map(value));
        let top = values.fold(0.0, f64::max).max(1.0) * 1.05;
        let y = |value: f64| bottom - value / top * (ROW - 20.0);
        let x = |minute: f64| LEFT + minute / end * (WIDTH - LEFT - 10.0);
        let _ = write!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{bottom}\" y2=\"{bottom}\" stroke=\"#bbb\"/>\
             <text x=\"6\" y=\"{}\">{label}</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{top:.0}</text>",
            WIDTH - 10.0,
            bottom - ROW / 2.0,
            LEFT - 4.0,
            bottom - ROW + 24.0
        );
        for (colour, value) in *lines {
            let mut path = String::new();
            for sample in figures {
                let command = if path.is_empty() { 'M' } else { 'L' };
                let _ = write!(path, "{command}{:.1} {:.1}", x(sample.minute), y(value(sample)));
            }
            let _ = write!(svg, "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\"/>");
        }
    }
    for mark in 0..=6 {
        let minute = end * f64::from(mark) / 6.0;
        let x = LEFT + f64::from(mark) / 6.0 * (WIDTH - LEFT - 10.0);
        let _ = write!(
            svg,
            "<text x=\"{x:.0}\" y=\"{}\" text-anchor=\"middle\">{minute:.0} min</text>",
            height - 6.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}
