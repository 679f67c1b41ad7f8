//! Text in lines of a given width. Numbers are not torn from their units and intervals.

/// Words of `text` in lines of at most `width` characters, all but the first after `indent`. A word
/// that is wider has a line of its own.
pub fn wrapped(text: &str, width: usize, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in unbroken(text) {
        if !line.trim().is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::replace(&mut line, indent.to_string() + &word));
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.push(line);
    lines
}

/// Words, with the parts of one number, its unit and its interval kept together.
fn unbroken(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let joins = |last: &String| {
            let number = |text: &str| text.chars().next().is_some_and(|c| c.is_ascii_digit());
            let after_number = last.ends_with(|c: char| c.is_ascii_digit());
            let open = last.matches('[').count() > last.matches(']').count();
            open || (after_number && (number(word) || word.starts_with(['%', '['])))
                || (last.ends_with('%') && word.starts_with('['))
        };
        match words.last_mut().filter(|last| joins(last)) {
            Some(last) => *last = format!("{last} {word}"),
            None => words.push(word.to_string()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stays_with_its_interval_and_later_lines_are_indented() {
        let lines = wrapped("of 7 142 [7 085, 7 199] at 88 % [87, 89] here", 24, "  ");
        assert_eq!(
            lines,
            ["of 7 142 [7 085, 7 199]", "  at 88 % [87, 89] here"]
        );
    }
}
