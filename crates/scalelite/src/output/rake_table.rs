//! Tables in the layout of the original's rake tasks, which scripts may parse: cells have a blank on
//! either side, headings are centred, numbers are right-aligned.

use super::table::Cell;

/// Renders a table. Each line ends with a line feed.
pub fn render(headings: &[&str], rows: &[Vec<Cell>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let longest = cells.map(|cell| cell.content().chars().count()).max().unwrap_or(0);
        longest.max(headings.get(column).map_or(0, |heading| heading.chars().count()))
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let mut text = String::new();
    for (heading, width) in headings.iter().zip(&widths) {
        let padding = width - heading.chars().count();
        let left = padding.div_ceil(2);
        text.push_str(&format!(" {:left$}{heading}{:right$} ", "", "", right = padding - left));
    }
    text.push('\n');
    for row in rows {
        for (cell, width) in row.iter().zip(&widths) {
            match cell {
                Cell::Text(content) => text.push_str(&format!(" {content:<width$} ")),
                Cell::Number(content) => text.push_str(&format!(" {content:>width$} ")),
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The output of the original's `rake status`.
    const STATUS: [&str; 4] = [
        "      HOSTNAME        STATE   STATUS  MEETINGS  LARGEST MEETING  LOAD  BBB VERSION   TAG ",
        " bbb1.example.test  enabled   online  0         0                 0.0  2.7.12            ",
        " bbb2.example.test  enabled   online  0         0                 0.0  2.7.12       blue ",
        " bbb3.example.test  disabled  online  0         0                      2.7.12            ",
    ];

    #[test]
    fn the_layout_is_that_of_the_original() {
        let row = |host: &str, state: &str, load: &str, tag: &str| {
            let text = Cell::text;
            vec![
                text(host),
                text(state),
                text("online"),
                text("0"),
                text("0"),
                Cell::Number(load.to_owned()),
                text("2.7.12"),
                text(tag),
            ]
        };
        let rows = [
            row("bbb1.example.test", "enabled", "0.0", ""),
            row("bbb2.example.test", "enabled", "0.0", "blue"),
            row("bbb3.example.test", "disabled", "", ""),
        ];
        let headings = [
            "HOSTNAME",
            "STATE",
            "STATUS",
            "MEETINGS",
            "LARGEST MEETING",
            "LOAD",
            "BBB VERSION",
            "TAG",
        ];
        let table = render(&headings, &rows);
        assert_eq!(table.lines().collect::<Vec<_>>(), STATUS);
    }
}
