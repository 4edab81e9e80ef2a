//! Plots of the console, as SVG. They use no script and no style of their own: classes are defined in `console.css`.

use std::fmt::Write as _;

/// A line of a plot.
pub(super) struct Line<'a> {
    /// What it shows.
    pub(super) label: &'a str,
    /// Its class, which gives it its colour.
    pub(super) class: &'static str,
    /// Its points by x; where x jumps by more than the plot's gap, the line is interrupted.
    pub(super) points: Vec<(f64, f64)>,
}

/// What is around the lines.
pub(super) struct Frame<'a> {
    /// What the plot shows, for people who do not see it.
    pub(super) title: &'a str,
    /// The first and the last x.
    pub(super) x_range: (f64, f64),
    /// Marks below the x axis.
    pub(super) x_marks: Vec<(f64, String)>,
    /// The longest distance of two points that are connected.
    pub(super) gap: f64,
    /// A number that the y axis reaches at least, which is drawn as a line: a limit.
    pub(super) limit: Option<f64>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 160.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 22.0;

/// Draws lines.
pub(super) fn draw(frame: &Frame<'_>, lines: &[Line<'_>]) -> String {
    let highest = lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y);
    let top = round_up(highest.chain(frame.limit).fold(0.0, f64::max));
    let (from, until) = frame.x_range;
    let x = |value: f64| LEFT + (value - from) / (until - from).max(1e-9) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escape(frame.title)
    );
    for step in [0.0, 0.5, 1.0] {
        let (value, height) = (top * step, y(top * step));
        let end = WIDTH - RIGHT;
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{end}\" y1=\"{height:.1}\" y2=\"{height:.1}\"/>\
             <text class=\"mark\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value:.0}</text>",
            LEFT - 5.0,
            height + 4.0
        );
    }
    for (at, text) in &frame.x_marks {
        let _ = write!(
            svg,
            "<text class=\"mark\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x(*at),
            HEIGHT - 6.0,
            escape(text)
        );
    }
    if let Some(limit) = frame.limit {
        let (height, end) = (y(limit), WIDTH - RIGHT);
        let _ = write!(
            svg,
            "<line class=\"limit\" x1=\"{LEFT}\" x2=\"{end}\" y1=\"{height:.1}\" y2=\"{height:.1}\"/>"
        );
    }
    for line in lines {
        let path = draw_path(&line.points, frame.gap, x, y);
        let (class, label) = (line.class, escape(line.label));
        let _ =
            write!(svg, "<path class=\"line {class}\" d=\"{path}\"><title>{label}</title></path>");
    }
    svg.push_str("</svg>");
    svg
}

fn draw_path(
    points: &[(f64, f64)],
    gap: f64,
    x: impl Fn(f64) -> f64,
    y: impl Fn(f64) -> f64,
) -> String {
    let mut path = String::new();
    let mut last: Option<f64> = None;
    for (at, value) in points {
        let command = if last.is_some_and(|last| at - last <= gap) { 'L' } else { 'M' };
        let _ = write!(path, "{command}{:.1} {:.1}", x(*at), y(*value));
        last = Some(*at);
    }
    path
}

/// Returns a round number that is not lower, and at least 1.
fn round_up(value: f64) -> f64 {
    if !value.is_finite() || value <= 1.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 4.0, 5.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|step| *step >= value).unwrap_or(value)
}

/// A candidate for a meeting, as a picture shows it.
pub(super) struct CostBar<'a> {
    /// The host of the server.
    pub(super) host: &'a str,
    /// The cost, or why the meeting cannot go there.
    pub(super) cost: Result<f64, String>,
    /// Whether the meeting would go there.
    pub(super) is_chosen: bool,
}

/// Height of a candidate's line.
const COST_LINE: f64 = 20.0;
/// Where the bars of candidates begin, and how long the longest is.
const COST_BARS: (f64, f64) = (240.0, 380.0);

/// Draws the costs of candidates as bars: the shorter, the better. The one that is chosen is marked.
pub(super) fn draw_costs(title: &str, bars: &[CostBar<'_>]) -> String {
    let costs = bars.iter().filter_map(|bar| bar.cost.as_ref().ok());
    let highest = costs.copied().filter(|cost| cost.is_finite()).fold(0.0, f64::max);
    let height = COST_LINE * bars.len() as f64;
    let mut svg = format!(
        "<svg class=\"costs\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">",
        escape(title)
    );
    let (left, longest) = COST_BARS;
    for (number, bar) in bars.iter().enumerate() {
        let top = COST_LINE * number as f64;
        let (class, mark) = if bar.is_chosen { ("chosen", "→ ") } else { ("candidate", "") };
        let _ = write!(
            svg,
            "<text class=\"host\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{mark}{}</text>",
            left - 8.0,
            top + 14.0,
            escape(bar.host)
        );
        let (length, text) = match &bar.cost {
            Ok(cost) if cost.is_finite() => {
                ((cost / highest.max(1e-9)).clamp(0.0, 1.0) * longest, format!("{cost:.1}"))
            }
            Ok(_) => (longest, "full".to_owned()),
            Err(reason) => (0.0, escape(reason)),
        };
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{left}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"12\"/>\
             <text class=\"mark\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>",
            top + 4.0,
            left + length + 6.0,
            top + 14.0
        );
    }
    svg.push_str("</svg>");
    svg
}

/// The users of a server now and later, each as a small bar against a full server. It warns where they are more than a limit.
pub(super) fn draw_bars(users: &[(&str, f64)], full: f64, limit: Option<f64>) -> String {
    let label: Vec<String> =
        users.iter().map(|(when, users)| format!("{when} {users:.0}")).collect();
    let mut svg = format!(
        "<svg class=\"bars\" viewBox=\"0 0 100 {}\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"users: {}; of {full:.0}\">",
        users.len() * 6,
        escape(&label.join(", "))
    );
    for (number, (_, users)) in users.iter().enumerate() {
        let class = match limit {
            Some(limit) if *users > limit => "over",
            _ if number == 0 => "present",
            _ => "expected",
        };
        let (top, width) = (number * 6, (users / full.max(1.0) * 100.0).clamp(0.0, 100.0));
        let _ = write!(
            svg,
            "<rect class=\"room\" y=\"{top}\" width=\"100\" height=\"5\"/>\
             <rect class=\"{class}\" y=\"{top}\" width=\"{width:.1}\" height=\"5\"/>"
        );
    }
    svg.push_str("</svg>");
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_y_axis_ends_at_a_round_number() {
        let ends = [0.0, 1.0, 7.0, 11.0, 99.0, 100.0, 101.0, f64::NAN].map(round_up);
        assert_eq!(ends, [1.0, 1.0, 10.0, 20.0, 100.0, 100.0, 200.0, 1.0]);
    }

    #[test]
    fn gaps_interrupt_lines() {
        let points = [(0.0, 1.0), (1.0, 2.0), (5.0, 1.0)];
        assert_eq!(draw_path(&points, 2.0, |x| x, |y| y), "M0.0 1.0L1.0 2.0M5.0 1.0");
    }

    proptest! {
        #[test]
        fn every_plot_is_well_formed(
            title in "[ -~äß€]{0,30}",
            points in proptest::collection::vec((0.0..100.0, 0.0..1e9), 0..20),
        ) {
            let frame = Frame { title: &title, x_range: (0.0, 100.0), x_marks: vec![(5.0, title.clone())], gap: 10.0, limit: Some(3.0) };
            let svg = draw(&frame, &[Line { label: &title, class: "users", points }]);
            prop_assert!(roxmltree::Document::parse(&svg).is_ok(), "{svg}");
            let bar = |cost| CostBar { host: &title, cost, is_chosen: true };
            let bars = [bar(Ok(1.0)), bar(Ok(f64::INFINITY)), bar(Err(title.clone()))];
            let svg = draw_costs(&title, &bars);
            prop_assert!(roxmltree::Document::parse(&svg).is_ok(), "{svg}");
            let svg = draw_bars(&[(&title, 5.0), ("x", 1e9)], 0.0, Some(3.0));
            prop_assert!(roxmltree::Document::parse(&svg).is_ok(), "{svg}");
        }
    }
}
