//! Breaking prose into lines.

/// `text` in lines of at most `width` characters; paragraphs, and lines that begin with a space or a list mark, stay apart.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let keep = line.starts_with([' ', '-', '*', '|', '`']);
        if line.trim().is_empty() || keep {
            open = false;
        }
        if line.trim().is_empty() {
            if lines.last().is_some_and(|last| !last.is_empty()) {
                lines.push(String::new());
            }
            continue;
        }
        if keep {
            lines.push(line.to_string());
            continue;
        }
        for word in line.split_whitespace() {
            match lines.last_mut() {
                Some(last) if open && last.chars().count() + 1 + word.chars().count() <= width => {
                    last.push(' ');
                    last.push_str(word);
                }
                _ => lines.push(word.to_string()),
            }
            open = true;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_filled_and_paragraphs_and_lists_stay() {
        let text = "one two\nthree four\n\n\n  x = y\n- item\nlast";
        assert_eq!(wrap(text, 13), ["one two three", "four", "", "  x = y", "- item", "last"]);
    }
}
