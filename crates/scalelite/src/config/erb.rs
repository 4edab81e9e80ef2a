//! The little of ERB that configuration files of Rails need: variables of the environment with
//! plain defaults. Anything else is Ruby, and guessing what it would have said is worse than
//! refusing it.

/// Longest piece of a tag that an error quotes.
const QUOTED_MAX: usize = 80;

/// The text with all tags replaced; what a variable holds goes into it as it is, as ERB does it.
///
/// # Errors
/// The line, the tag and what is wrong with it.
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
        let closed = after.split_once("%>").ok_or(format!("line {line}: `<%` has no `%>`"))?;
        let (tag, behind) = closed;
        let last_line = rendered.rsplit('\n').next().unwrap_or_default();
        match fill(tag, variable) {
            Ok(value) => rendered.push_str(&value),
            // What a comment of the YAML file says is nobody's loss.
            Err(_) if last_line.trim_start().starts_with('#') => {}
            Err(reason) => {
                let quoted: String = tag.chars().take(QUOTED_MAX).collect();
                return Err(format!("line {line}: `<%{quoted}%>`: {reason}"));
            }
        }
        rest = behind;
    }
    rendered.push_str(rest);
    Ok(rendered)
}

/// What a tag stands for.
fn fill<'a>(tag: &str, variable: &dyn Fn(&str) -> Option<&'a str>) -> Result<String, String> {
    let tag = tag.strip_suffix('-').unwrap_or(tag);
    if tag.trim_start_matches('-').starts_with('#') {
        return Ok(String::new());
    }
    let code = tag.strip_prefix('=').map(|code| code.strip_prefix('-').unwrap_or(code));
    let mut ruby = Ruby { rest: code.unwrap_or_default(), variable };
    match ruby.alternatives().filter(|_| ruby.rest.trim().is_empty()) {
        Some(Value::Text(text)) => Ok(text),
        Some(Value::Nil) => Ok(String::new()),
        Some(Value::False) => Ok("false".to_owned()),
        Some(Value::Missing(name)) => Err(format!("{name} is not set")),
        None => Err("of Ruby, only ENV['NAME'] and ENV.fetch('NAME') are understood, with plain \
                     defaults"
            .to_owned()),
    }
}

/// What an expression is worth.
enum Value {
    Nil,
    False,
    Text(String),
    /// `ENV.fetch` of a variable that is not there: an error unless nobody looks at it.
    Missing(String),
}

/// Reads expressions: `a || b` of strings, numbers, `true`, `false`, `nil` and variables.
struct Ruby<'t, 'v, 'a> {
    rest: &'t str,
    variable: &'v dyn Fn(&str) -> Option<&'a str>,
}

impl Ruby<'_, '_, '_> {
    /// `None`, here and below, means that this is not understood.
    fn alternatives(&mut self) -> Option<Value> {
        let mut value = self.term()?;
        while self.eat("||") {
            let other = self.term()?;
            if matches!(value, Value::Nil | Value::False) {
                value = other;
            }
        }
        Some(value)
    }

    fn term(&mut self) -> Option<Value> {
        if self.eat("ENV.fetch") {
            return self.fetch();
        }
        if self.eat("ENV") {
            let name = self.between("[", "]", Self::string)?;
            return Some((self.variable)(&name).map_or(Value::Nil, Self::text));
        }
        if self.rest.trim_start().starts_with(['\'', '"']) {
            return self.string().map(Value::Text);
        }
        let word = self.word();
        match word.as_str() {
            "nil" => Some(Value::Nil),
            "false" => Some(Value::False),
            "true" => Some(Value::Text(word)),
            number => {
                let digits = number.chars().all(|c| c.is_ascii_digit() || ".-".contains(c));
                let is_number = digits && number.parse::<f64>().is_ok();
                is_number.then(|| Value::Text(number.to_owned()))
            }
        }
    }

    /// What follows `ENV.fetch`: a name, and a default as second argument or in a block.
    fn fetch(&mut self) -> Option<Value> {
        let (name, mut default) = self.between("(", ")", |ruby| {
            let name = ruby.string()?;
            let default = if ruby.eat(",") { Some(ruby.alternatives()?) } else { None };
            Some((name, default))
        })?;
        if default.is_none() && self.rest.trim_start().starts_with('{') {
            default = Some(self.between("{", "}", Self::alternatives)?);
        }
        let found = (self.variable)(&name).map(Self::text);
        Some(found.or(default).unwrap_or(Value::Missing(name)))
    }

    fn between<T>(
        &mut self,
        open: &str,
        close: &str,
        inside: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let inside = self.eat(open).then(|| inside(self))??;
        self.eat(close).then_some(inside)
    }

    /// A quoted string without escapes or expressions in it.
    fn string(&mut self) -> Option<String> {
        let text = self.rest.trim_start();
        let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (string, rest) = text[1..].split_once(quote)?;
        self.rest = rest;
        (!string.contains('\\') && !string.contains("#{")).then(|| string.to_owned())
    }

    /// Letters, digits and what numbers are made of.
    fn word(&mut self) -> String {
        let text = self.rest.trim_start();
        let ends = |c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c));
        let (word, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
        self.rest = rest;
        word.to_owned()
    }

    fn eat(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rendered(text: &str) -> Result<String, String> {
        let variable = |name: &str| match name {
            "SET" => Some("value"),
            "EMPTY" => Some(""),
            "HASH" => Some("a: b # c"),
            _ => None,
        };
        render(text, &variable)
    }

    #[test]
    fn what_is_understood() {
        for (text, filled) in [
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
            // To Ruby an empty text is a value.
            ("<%= ENV['EMPTY'] || 'default' %>", ""),
            ("<%# Rails.root\n %>x", "x"),
            ("<%#- y -%>x", "x"),
            ("# was <%= Rails.root %> here", "# was  here"),
            ("  # <% if x %>", "  # "),
            ("50 <%% of", "50 <% of"),
        ] {
            assert_eq!(rendered(text).as_deref(), Ok(filled), "{text}");
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
            let error = rendered(&format!("a: b\n c: {tag}\n")).unwrap_err();
            assert!(error.starts_with(&format!("line 2: `{tag}`: of Ruby")), "{error}");
        }
        let missing = rendered("\n\n<%= ENV.fetch('NO') %>").unwrap_err();
        assert_eq!(missing, "line 3: `<%= ENV.fetch('NO') %>`: NO is not set");
        assert_eq!(rendered("x <%= y").unwrap_err(), "line 1: `<%` has no `%>`");
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "([<%=>'\"{}()\\[\\]|,# -]|ENV|fetch|.){0,40}") {
            let _ = rendered(&text);
            let _ = rendered(&format!("<%= {text} %>"));
            let _ = rendered(&format!("<%= ENV.fetch('NO') {text} %>"));
        }

        #[test]
        fn text_without_tags_stays(text in "[^<]{0,40}") {
            prop_assert_eq!(rendered(&text), Ok(text));
        }
    }
}
