//! Differences between two lists of lines in unified form.
//!
//! The crate `snapbox` would replace these lines only: it has no list of excused differences and no
//! numbered placeholders, which the conformance cases and the transcripts need.

const CONTEXT_LINES: usize = 2;

/// Lines marked `-` (only expected), `+` (only found) or with a space (both), and `@@` between
/// distant places. Empty if the lists are equal.
pub(crate) fn unified_diff(expected: &[String], found: &[String]) -> String {
    let marked = edit_script(expected, found);
    let is_near_change = |n: usize| {
        let around = n.saturating_sub(CONTEXT_LINES)..(n + CONTEXT_LINES + 1).min(marked.len());
        marked[around].iter().any(|(mark, _)| *mark != ' ')
    };
    let mut out = String::new();
    let mut shown_before = true;
    for (n, (mark, line)) in marked.iter().enumerate() {
        let is_shown = is_near_change(n);
        if is_shown && !shown_before && !out.is_empty() {
            out.push_str("  @@\n");
        }
        if is_shown {
            out.push_str(&format!("  {mark}{line}\n"));
        }
        shown_before = is_shown;
    }
    out
}

/// Every line of both lists once, in order, along a longest common subsequence.
fn edit_script<'a>(old: &'a [String], new: &'a [String]) -> Vec<(char, &'a str)> {
    let longest = common_lengths(old, new);
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            out.push((' ', old[i].as_str()));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && longest[i + 1][j] >= longest[i][j + 1]) {
            out.push(('-', old[i].as_str()));
            i += 1;
        } else {
            out.push(('+', new[j].as_str()));
            j += 1;
        }
    }
    out
}

/// At `[i][j]` the length of the longest common subsequence of `old[i..]` and `new[j..]`.
fn common_lengths(old: &[String], new: &[String]) -> Vec<Vec<usize>> {
    let mut table = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            table[i][j] = if old[i] == new[j] {
                table[i + 1][j + 1] + 1
            } else {
                table[i + 1][j].max(table[i][j + 1])
            };
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn shows_changes_with_two_lines_around_them() {
        let diff = unified_diff(&lines("a b c d e f g h i j"), &lines("a b c D e f g h i j k"));
        assert_eq!(diff, "   b\n   c\n  -d\n  +D\n   e\n   f\n  @@\n   i\n   j\n  +k\n");
    }

    #[test]
    fn equal_lists_have_no_difference() {
        assert_eq!(unified_diff(&lines("a b"), &lines("a b")), "");
    }
}
