//! Everything in which PostgreSQL's statements differ from SQLite's: the marks of parameters, and
//! the way to say that text is compared byte by byte.

/// A statement as PostgreSQL wants it.
///
/// Comparisons of bytes use the operators of `text_pattern_ops`, since these find the index that
/// serves searches by prefix too.
pub(super) fn translate(sql: &str) -> String {
    const REPLACEMENTS: [(&str, &str); 8] = [
        (" COLLATE BINARY >=", " ~>=~"),
        (" COLLATE BINARY <=", " ~<=~"),
        (" COLLATE BINARY >", " ~>~"),
        (" COLLATE BINARY <", " ~<~"),
        // What is left stands in ORDER BY.
        (" COLLATE BINARY", " USING ~<~"),
        ("instr(", "strpos("),
        // As our index of metadata has it.
        ("substr(m.value, 1, 255)", "left(m.value, 255)"),
        ("?", "$"),
    ];
    REPLACEMENTS.iter().fold(sql.to_owned(), |sql, (theirs, ours)| sql.replace(theirs, ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_orders_are_translated() {
        assert_eq!(
            translate(
                "SELECT a FROM b WHERE a COLLATE BINARY > ?1 ORDER BY a COLLATE BINARY LIMIT ?12"
            ),
            "SELECT a FROM b WHERE a ~>~ $1 ORDER BY a USING ~<~ LIMIT $12"
        );
    }
}
