//! The original's table: columns two blanks apart, headings centred, numbers to the right.

/// A cell; numbers stand at the right, text at the left.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Text.
    Text(String),
    /// A number, already formatted.
    Number(String),
}

impl Cell {
    /// A cell of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn content(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(text) => text,
        }
    }
}

/// Renders a table, one line a row, each ended by a line feed.
pub fn render(headings: &[&str], rows: &[Vec<Cell>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.content().chars().count()).max().unwrap_or(0);
        widest.max(headings.get(column).map_or(0, |heading| heading.chars().count()))
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let mut text = String::new();
    for (heading, width) in headings.iter().zip(&widths) {
        let free = width - heading.chars().count();
        let left = free.div_ceil(2);
        text.push_str(&format!(" {:left$}{heading}{:right$} ", "", "", right = free - left));
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

    /// As printed by the original's `rake status`.
    const STATUS: [&str; 4] = [
        "      HOSTNAME        STATE   STATUS  MEETINGS  LARGEST MEETING  LOAD  BBB VERSION   TAG ",
        " bbb1.example.test  enabled   online  0         0                 0.0  2.7.12            ",
        " bbb2.example.test  enabled   online  0         0                 0.0  2.7.12       blue ",
        " bbb3.example.test  disabled  online  0         0                      2.7.12            ",
    ];

    #[test]
    fn as_the_original_prints_it() {
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
