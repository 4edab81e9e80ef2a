//! The plot: a line for each policy, a dot on it for each day, a bar at the mean.

use std::fmt::Write;

use crate::report::{Row, mean};

const LINE: f64 = 22.0;
const LEFT: f64 = 210.0;
const WIDTH: f64 = 300.0;
const GAP: f64 = 40.0;
const TOP: f64 = 46.0;
/// What does not fit is drawn at the edge.
const MOST: f64 = 3.0;
const LEAST: f64 = 0.8;

/// A title, and which of a row's days are drawn under it.
type Side = (&'static str, fn(&Row) -> &[f64]);

/// Draws all rows, equal servers on the left, unequal ones on the right.
pub(crate) fn svg(rows: &[Row]) -> String {
    let height = TOP + LINE * rows.len() as f64 + 34.0;
    let width = LEFT + 2.0 * WIDTH + GAP + 20.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    let sides: [Side; 2] =
        [("equal servers", |row| &row.equal), ("unequal servers", |row| &row.unequal)];
    for (number, (title, values)) in sides.into_iter().enumerate() {
        let left = LEFT + number as f64 * (WIDTH + GAP);
        side(&mut svg, left, title, height);
        for (line, row) in rows.iter().enumerate() {
            let y = TOP + LINE * (line as f64 + 0.5);
            days(&mut svg, left, y, values(row));
        }
    }
    for (line, row) in rows.iter().enumerate() {
        let y = TOP + LINE * (line as f64 + 0.5) + 4.0;
        let weight = if row.name.starts_with('*') { "bold" } else { "normal" };
        let (name, x) = (row.name.replace('*', ""), LEFT - 12.0);
        put(
            &mut svg,
            &format!(
                "<text x=\"{x}\" y=\"{y}\" text-anchor=\"end\" font-weight=\"{weight}\">{name}</text>"
            ),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn place(left: f64, value: f64) -> f64 {
    left + (value.clamp(LEAST, MOST) - LEAST) / (MOST - LEAST) * WIDTH
}

fn side(svg: &mut String, left: f64, title: &str, height: f64) {
    let (middle, bottom) = (left + WIDTH / 2.0, height - 26.0);
    put(svg, &format!("<text x=\"{middle}\" y=\"18\" text-anchor=\"middle\">{title}</text>"));
    for step in 0..=4 {
        let value = 1.0 + 0.5 * f64::from(step);
        let x = place(left, value);
        let colour = if step == 0 { "#888" } else { "#ddd" };
        put(
            svg,
            &format!(
                "<line x1=\"{x}\" y1=\"{TOP}\" x2=\"{x}\" y2=\"{bottom}\" stroke=\"{colour}\"/>\
             <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" fill=\"#666\">{value}</text>",
                TOP - 6.0
            ),
        );
    }
    let y = height - 8.0;
    put(
        svg,
        &format!(
            "<text x=\"{middle}\" y=\"{y}\" text-anchor=\"middle\" fill=\"#666\">\
         fullness of the fullest server, clairvoyant = 1</text>"
        ),
    );
}

fn days(svg: &mut String, left: f64, y: f64, values: &[f64]) {
    for value in values {
        let x = place(left, *value);
        put(
            svg,
            &format!(
                "<circle cx=\"{x:.1}\" cy=\"{y}\" r=\"2.5\" fill=\"#36c\" fill-opacity=\"0.3\"/>"
            ),
        );
    }
    let x = place(left, mean(values).0);
    let (above, below) = (y - 7.0, y + 7.0);
    put(
        svg,
        &format!(
            "<line x1=\"{x:.1}\" y1=\"{above}\" x2=\"{x:.1}\" y2=\"{below}\" stroke=\"#c30\" stroke-width=\"2.5\"/>"
        ),
    );
}

fn put(svg: &mut String, element: &str) {
    let _infallible = writeln!(svg, "{element}");
}
