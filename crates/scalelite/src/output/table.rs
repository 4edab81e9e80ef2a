//! Tables of the command line. On a terminal, text is wrapped so that a table fits its width; in a
//! pipe or file, each row is one line.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};

/// Longest words that are not broken, in characters, in order of preference: the first one for which
/// the table fits the terminal is used.
const MAX_UNBROKEN_CHARS: [usize; 8] = [40, 32, 24, 20, 16, 13, 10, 8];
/// Characters of padding in each column.
const PADDING: usize = 2;

/// A cell. Text is left-aligned, numbers are right-aligned.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Text.
    Text(String),
    /// A formatted number.
    Number(String),
}

impl Cell {
    /// A cell of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The text or number.
    pub(super) fn content(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(text) => text,
        }
    }

    fn alignment(&self) -> CellAlignment {
        match self {
            Self::Text(_) => CellAlignment::Left,
            Self::Number(_) => CellAlignment::Right,
        }
    }
}

/// Renders a table without borders. Each line ends with a line feed. A heading is aligned like the
/// first cell of its column.
pub fn render(headings: &[&str], rows: &[Vec<Cell>]) -> String {
    render_with_width(headings, rows, None)
}

/// Renders a table for a terminal with that many columns; `None` stands for the width of the terminal
/// that is the standard output.
fn render_with_width(headings: &[&str], rows: &[Vec<Cell>], width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = width {
        table.set_width(width);
    }
    let first_row = rows.first().map_or(&[][..], Vec::as_slice);
    table.set_header(headings.iter().enumerate().map(|(column, heading)| {
        let alignment = first_row.get(column).map_or(CellAlignment::Left, Cell::alignment);
        comfy_table::Cell::new(heading).set_alignment(alignment)
    }));
    for row in rows {
        table
            .add_row(row.iter().map(|cell| {
                comfy_table::Cell::new(cell.content()).set_alignment(cell.alignment())
            }));
    }
    keep_words(&mut table, headings, rows);
    table.trim_fmt() + "\n"
}

/// Sets the minimum widths of the columns so that as few words as possible are broken when text is
/// wrapped.
fn keep_words(table: &mut Table, headings: &[&str], rows: &[Vec<Cell>]) {
    let Some(width) = table.width() else { return };
    let longest_word = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(Cell::content);
        let words = cells.chain([headings[column]]).flat_map(str::split_whitespace);
        words.map(|word| word.chars().count()).max().unwrap_or(0)
    };
    let longest_words: Vec<usize> = (0..headings.len()).map(longest_word).collect();
    for limit in MAX_UNBROKEN_CHARS {
        let widths: Vec<usize> = longest_words.iter().map(|word| *word.min(&limit)).collect();
        if widths.iter().sum::<usize>() + PADDING * widths.len() <= usize::from(width) {
            table.set_constraints(widths.into_iter().map(|width| {
                // The constraint is on the width with padding.
                let width = u16::try_from(width + PADDING).unwrap_or(u16::MAX);
                ColumnConstraint::LowerBoundary(Width::Fixed(width))
            }));
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> [Vec<Cell>; 2] {
        let number = |number: &str| Cell::Number(number.to_owned());
        [
            vec![Cell::text("bbb1"), number("7"), Cell::text("no answer within 10000 ms")],
            vec![Cell::text("b"), number("110"), Cell::text("")],
        ]
    }

    const HEADINGS: [&str; 3] = ["ID", "USERS", "FAILURE"];

    #[test]
    fn without_a_terminal_each_row_is_one_line() {
        let expected = " ID    USERS  FAILURE\n bbb1      7  no answer within 10000 ms\n \
                        b       110\n";
        assert_eq!(render(&HEADINGS, &rows()), expected);
    }

    #[test]
    fn words_are_not_broken_if_the_table_fits_otherwise() {
        let id = "d5eda03b-0d27-43c4-8cb5-e548c82e1fd8";
        let failure = "unreachable: connection refused ".repeat(5);
        let row = vec![Cell::text(id), Cell::Number("7".to_owned()), Cell::text(failure)];
        let table = render_with_width(&HEADINGS, &[row], Some(70));
        assert!(table.contains(id) && table.contains("unreachable:"), "{table}");
        assert!(table.lines().all(|line| line.len() <= 70), "{table}");
    }

    #[test]
    fn on_a_terminal_no_line_is_longer_than_it_is_wide() {
        let table = render_with_width(&HEADINGS, &rows(), Some(30));
        assert!(table.lines().count() > 3, "{table}");
        assert!(table.lines().all(|line| line.len() <= 30), "{table}");
        let words: Vec<_> = table.split_whitespace().collect();
        assert!(["answer", "within", "10000"].iter().all(|word| words.contains(word)), "{table}");
    }
}
