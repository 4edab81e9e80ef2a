//! The plot of the results: a line for each policy, with a dot for each day and a bar at the mean.

use std::fmt::Write;

use crate::report::{PolicyRow, mean_and_spread};

const LINE_HEIGHT: f64 = 22.0;
const LEFT_MARGIN: f64 = 210.0;
const PANEL_WIDTH: f64 = 300.0;
const PANEL_GAP: f64 = 40.0;
const TOP_MARGIN: f64 = 46.0;
/// Values outside of this range are drawn at its edge.
const MAX_VALUE: f64 = 3.0;
const MIN_VALUE: f64 = 0.8;

/// A title, and the values of a row that are drawn below it.
type Panel = (&'static str, fn(&PolicyRow) -> &[f64]);

/// Draws all rows, with equal servers on the left and unequal ones on the right.
pub(crate) fn draw_svg(rows: &[PolicyRow]) -> String {
    let height = TOP_MARGIN + LINE_HEIGHT * rows.len() as f64 + 34.0;
    let width = LEFT_MARGIN + 2.0 * PANEL_WIDTH + PANEL_GAP + 20.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    let panels: [Panel; 2] =
        [("equal servers", |row| &row.equal), ("unequal servers", |row| &row.unequal)];
    for (number, (title, values)) in panels.into_iter().enumerate() {
        let left = LEFT_MARGIN + number as f64 * (PANEL_WIDTH + PANEL_GAP);
        draw_panel(&mut svg, left, title, height);
        for (line, row) in rows.iter().enumerate() {
            let y = TOP_MARGIN + LINE_HEIGHT * (line as f64 + 0.5);
            draw_days(&mut svg, left, y, values(row));
        }
    }
    for (line, row) in rows.iter().enumerate() {
        let y = TOP_MARGIN + LINE_HEIGHT * (line as f64 + 0.5) + 4.0;
        let weight = if row.name.starts_with('*') { "bold" } else { "normal" };
        let (name, x) = (row.name.replace('*', ""), LEFT_MARGIN - 12.0);
        write_element(
            &mut svg,
            &format!(
                "<text x=\"{x}\" y=\"{y}\" text-anchor=\"end\" font-weight=\"{weight}\">{name}</text>"
            ),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn to_x(left: f64, value: f64) -> f64 {
    left + (value.clamp(MIN_VALUE, MAX_VALUE) - MIN_VALUE) / (MAX_VALUE - MIN_VALUE) * PANEL_WIDTH
}

fn draw_panel(svg: &mut String, left: f64, title: &str, height: f64) {
    let (middle, bottom) = (left + PANEL_WIDTH / 2.0, height - 26.0);
    write_element(
        svg,
        &format!("<text x=\"{middle}\" y=\"18\" text-anchor=\"middle\">{title}</text>"),
    );
    for step in 0..=4 {
        let value = 1.0 + 0.5 * f64::from(step);
        let x = to_x(left, value);
        let colour = if step == 0 { "#888" } else { "#ddd" };
        write_element(
            svg,
            &format!(
                "<line x1=\"{x}\" y1=\"{TOP_MARGIN}\" x2=\"{x}\" y2=\"{bottom}\" stroke=\"{colour}\"/>\
             <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" fill=\"#666\">{value}</text>",
                TOP_MARGIN - 6.0
            ),
        );
    }
    let y = height - 8.0;
    write_element(
        svg,
        &format!(
            "<text x=\"{middle}\" y=\"{y}\" text-anchor=\"middle\" fill=\"#666\">\
         fullness of the fullest server, clairvoyant = 1</text>"
        ),
    );
}

fn draw_days(svg: &mut String, left: f64, y: f64, values: &[f64]) {
    for value in values {
        let x = to_x(left, *value);
        write_element(
            svg,
            &format!(
                "<circle cx=\"{x:.1}\" cy=\"{y}\" r=\"2.5\" fill=\"#36c\" fill-opacity=\"0.3\"/>"
            ),
        );
    }
    let x = to_x(left, mean_and_spread(values).0);
    let (above, below) = (y - 7.0, y + 7.0);
    write_element(
        svg,
        &format!(
            "<line x1=\"{x:.1}\" y1=\"{above}\" x2=\"{x:.1}\" y2=\"{below}\" stroke=\"#c30\" stroke-width=\"2.5\"/>"
        ),
    );
}

fn write_element(svg: &mut String, element: &str) {
    let _infallible = writeln!(svg, "{element}");
}
