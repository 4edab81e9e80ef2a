//! The subset of ERB (Ruby templates) that configuration files of Rails need: environment variables
//! with literal defaults. Any other Ruby code is refused, since a guess at its result would be worse.

/// Longest part of a tag that an error message quotes.
const MAX_QUOTED_CHARS: usize = 80;

/// Returns the text with all tags replaced. Values of variables are inserted as they are, as ERB does.
///
/// # Errors
/// When a tag is not closed or not supported. The message has the line, the tag and the reason.
pub fn render<'a>(
    text: &str,
    variable: &dyn Fn(&str) -> Option<&'a str>,
) -> Result<String, String> {
    let mut rendered = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<%") {
        rendered.push_str(before);
        if let Some(literal) = after.strip_prefix('%') {
            rendered.push_str("<%");
            rest = literal;
            continue;
        }
        let line = 1 + text[..text.len() - after.len()].matches('\n').count();
        let (tag, remaining) =
            after.split_once("%>").ok_or(format!("line {line}: `<%` has no `%>`"))?;
        let last_line = rendered.rsplit('\n').next().unwrap_or_default();
        match evaluate_tag(tag, variable) {
            Ok(value) => rendered.push_str(&value),
            // In a comment of the YAML file the value does not matter.
            Err(_) if last_line.trim_start().starts_with('#') => {}
            Err(reason) => {
                let quoted: String = tag.chars().take(MAX_QUOTED_CHARS).collect();
                return Err(format!("line {line}: `<%{quoted}%>`: {reason}"));
            }
        }
        rest = remaining;
    }
    rendered.push_str(rest);
    Ok(rendered)
}

/// The text that replaces a tag.
fn evaluate_tag<'a>(
    tag: &str,
    variable: &dyn Fn(&str) -> Option<&'a str>,
) -> Result<String, String> {
    let tag = tag.strip_suffix('-').unwrap_or(tag);
    if tag.trim_start_matches('-').starts_with('#') {
        return Ok(String::new());
    }
    let code = tag.strip_prefix('=').map(|code| code.strip_prefix('-').unwrap_or(code));
    let mut ruby = RubyParser { rest: code.unwrap_or_default(), variable };
    match ruby.parse_alternatives().filter(|_| ruby.rest.trim().is_empty()) {
        Some(RubyValue::Text(text)) => Ok(text),
        Some(RubyValue::Nil) => Ok(String::new()),
        Some(RubyValue::False) => Ok("false".to_owned()),
        Some(RubyValue::Missing(name)) => Err(format!("{name} is not set")),
        None => {
            Err("only ENV['NAME'] and ENV.fetch('NAME') with literal defaults are supported"
                .to_owned())
        }
    }
}

/// The value of an expression.
enum RubyValue {
    Nil,
    False,
    Text(String),
    /// `ENV.fetch` of a variable that is not set: an error if the value is used.
    Missing(String),
}

/// Evaluates expressions: `a || b` of strings, numbers, `true`, `false`, `nil` and variables.
struct RubyParser<'t, 'v, 'a> {
    rest: &'t str,
    variable: &'v dyn Fn(&str) -> Option<&'a str>,
}

impl RubyParser<'_, '_, '_> {
    /// Parses `a || b || …`. Here and below, `None` means that the expression is not supported.
    fn parse_alternatives(&mut self) -> Option<RubyValue> {
        let mut value = self.parse_term()?;
        while self.consume("||") {
            let alternative = self.parse_term()?;
            if matches!(value, RubyValue::Nil | RubyValue::False) {
                value = alternative;
            }
        }
        Some(value)
    }

    fn parse_term(&mut self) -> Option<RubyValue> {
        if self.consume("ENV.fetch") {
            return self.parse_fetch();
        }
        if self.consume("ENV") {
            let name = self.parse_between("[", "]", Self::parse_string)?;
            return Some((self.variable)(&name).map_or(RubyValue::Nil, Self::text_value));
        }
        if self.rest.trim_start().starts_with(['\'', '"']) {
            return self.parse_string().map(RubyValue::Text);
        }
        let word = self.parse_word();
        match word.as_str() {
            "nil" => Some(RubyValue::Nil),
            "false" => Some(RubyValue::False),
            "true" => Some(RubyValue::Text(word)),
            number => {
                let digits = number.chars().all(|c| c.is_ascii_digit() || ".-".contains(c));
                let is_number = digits && number.parse::<f64>().is_ok();
                is_number.then(|| RubyValue::Text(number.to_owned()))
            }
        }
    }

    /// Parses the arguments of `ENV.fetch`: a name, and a default as second argument or in a block.
    fn parse_fetch(&mut self) -> Option<RubyValue> {
        let (name, mut default) = self.parse_between("(", ")", |ruby| {
            let name = ruby.parse_string()?;
            let default = if ruby.consume(",") { Some(ruby.parse_alternatives()?) } else { None };
            Some((name, default))
        })?;
        if default.is_none() && self.rest.trim_start().starts_with('{') {
            default = Some(self.parse_between("{", "}", Self::parse_alternatives)?);
        }
        let value = (self.variable)(&name).map(Self::text_value);
        Some(value.or(default).unwrap_or(RubyValue::Missing(name)))
    }

    fn parse_between<T>(
        &mut self,
        open: &str,
        close: &str,
        inside: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let inside = self.consume(open).then(|| inside(self))??;
        self.consume(close).then_some(inside)
    }

    /// Parses a quoted string without escapes or interpolations.
    fn parse_string(&mut self) -> Option<String> {
        let text = self.rest.trim_start();
        let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (string, rest) = text[1..].split_once(quote)?;
        self.rest = rest;
        (!string.contains('\\') && !string.contains("#{")).then(|| string.to_owned())
    }

    /// Parses a run of letters, digits, `_`, `.` and `-`.
    fn parse_word(&mut self) -> String {
        let text = self.rest.trim_start();
        let ends = |c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c));
        let (word, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
        self.rest = rest;
        word.to_owned()
    }

    fn consume(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn text_value(text: &str) -> RubyValue {
        RubyValue::Text(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render_with_variables(text: &str) -> Result<String, String> {
        let variable = |name: &str| match name {
            "SET" => Some("value"),
            "EMPTY" => Some(""),
            "HASH" => Some("a: b # c"),
            _ => None,
        };
        render(text, &variable)
    }

    #[test]
    fn supported_tags_are_replaced() {
        for (text, rendered) in [
            ("<%= ENV['SET'] %>", "value"),
            ("<%=ENV[\"SET\"]%>", "value"),
            ("<%=- ENV[ 'SET' ] -%>", "value"),
            ("a<%= ENV['SET'] %>b<%= ENV['SET'] %>\n", "avaluebvalue\n"),
            ("<%= ENV['HASH'] %>", "a: b # c"),
            ("<%= ENV['NO'] %>", ""),
            ("<%= ENV.fetch('SET') %>", "value"),
            ("<%= ENV.fetch(\"NO\", 'x y') %>", "x y"),
            ("<%= ENV.fetch('NO', 5) %>", "5"),
            ("<%= ENV.fetch('NO') { 5.5 } %>", "5.5"),
            ("<%= ENV.fetch('NO'){'redis://h/0'} %>", "redis://h/0"),
            ("<%= ENV.fetch('NO') { nil } %>", ""),
            ("<%= ENV.fetch('NO', true) %>", "true"),
            ("<%= ENV.fetch('NO') { ENV.fetch('NEITHER', false) } %>", "false"),
            ("<%= ENV['NO'] || 'default' %>", "default"),
            ("<%= ENV['NO'] || ENV['NEITHER'] || -1 %>", "-1"),
            ("<%= ENV['SET'] || ENV.fetch('NO') %>", "value"),
            // In Ruby an empty string is true.
            ("<%= ENV['EMPTY'] || 'default' %>", ""),
            ("<%# Rails.root\n %>x", "x"),
            ("<%#- y -%>x", "x"),
            ("# was <%= Rails.root %> here", "# was  here"),
            ("  # <% if x %>", "  # "),
            ("50 <%% of", "50 <% of"),
        ] {
            assert_eq!(render_with_variables(text).as_deref(), Ok(rendered), "{text}");
        }
    }

    #[test]
    fn other_ruby_is_refused() {
        for tag in [
            "<% if true %>",
            "<% %>",
            "<%= %>",
            "<%= Rails.root %>",
            "<%= ENV['SET'].to_i %>",
            "<%= ENV['NO'] ? 1 : 2 %>",
            "<%= \"#{ENV['SET']}\" %>",
            "<%= 'a\\n' %>",
            "<%= ENV.fetch('NO') { |n| 1 } %>",
            "<%= ENV[NAME] %>",
            "<%= ENV.fetch('NO', %>",
            "<%= 'open %>",
            "<%= system('x') %>",
            "<%= NaNny %>",
        ] {
            let error = render_with_variables(&format!("a: b\n c: {tag}\n")).unwrap_err();
            assert!(error.starts_with(&format!("line 2: `{tag}`: only ENV")), "{error}");
        }
        let missing = render_with_variables("\n\n<%= ENV.fetch('NO') %>").unwrap_err();
        assert_eq!(missing, "line 3: `<%= ENV.fetch('NO') %>`: NO is not set");
        assert_eq!(render_with_variables("x <%= y").unwrap_err(), "line 1: `<%` has no `%>`");
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "([<%=>'\"{}()\\[\\]|,# -]|ENV|fetch|.){0,40}") {
            let _ = render_with_variables(&text);
            let _ = render_with_variables(&format!("<%= {text} %>"));
            let _ = render_with_variables(&format!("<%= ENV.fetch('NO') {text} %>"));
        }

        #[test]
        fn text_without_tags_is_unchanged(text in "[^<]{0,40}") {
            prop_assert_eq!(render_with_variables(&text), Ok(text));
        }
    }
}
