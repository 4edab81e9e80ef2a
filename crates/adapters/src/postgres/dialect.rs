//! Translates statements from SQLite's dialect to PostgreSQL's: placeholders of parameters,
//! comparisons byte by byte, and names of functions.

/// Translates a statement.
///
/// Comparisons byte by byte use the operators of `text_pattern_ops`, so that they can use the index
/// that also serves searches by prefix.
pub(super) fn translate(sql: &str) -> String {
    const REPLACEMENTS: [(&str, &str); 9] = [
        (" COLLATE BINARY >=", " ~>=~"),
        (" COLLATE BINARY <=", " ~<=~"),
        (" COLLATE BINARY >", " ~>~"),
        (" COLLATE BINARY <", " ~<~"),
        // The remaining ones are in ORDER BY.
        (" COLLATE BINARY DESC", " USING ~>~"),
        (" COLLATE BINARY", " USING ~<~"),
        ("instr(", "strpos("),
        // The expression of our index of metadata.
        ("substr(m.value, 1, 255)", "left(m.value, 255)"),
        ("?", "$"),
    ];
    REPLACEMENTS.iter().fold(sql.to_owned(), |sql, (from, to)| sql.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_byte_order_are_translated() {
        assert_eq!(
            translate(
                "SELECT a FROM b WHERE a COLLATE BINARY > ?1 ORDER BY a COLLATE BINARY LIMIT ?12"
            ),
            "SELECT a FROM b WHERE a ~>~ $1 ORDER BY a USING ~<~ LIMIT $12"
        );
    }
}
