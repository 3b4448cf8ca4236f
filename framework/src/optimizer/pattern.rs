//! Patterns over parameter names, such as `head.*` or `time_constants`.

/// Whether `name` as a whole fits `pattern`, in which `*` stands for any run of characters, also none.
///
/// Every other character stands for itself; there is no escape and no other wildcard.
///
/// ```
/// use synfire::optimizer::pattern::matches;
///
/// assert!(matches("head.*", "head.3.weight"));
/// assert!(matches("*weight", "recurrent_weight"));
/// assert!(!matches("head", "head.3.weight"));
/// ```
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to go on if the latest star must swallow one character more. Earlier stars never need to be tried again.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            retry = Some((p + 1, n));
            p += 1;
        } else if p < pattern.len() && pattern[p] == name[n] {
            p += 1;
            n += 1;
        } else if let Some((after_star, from)) = retry {
            retry = Some((after_star, from + 1));
            p = after_star;
            n = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition itself, slow: a star takes nothing or one character and stays.
    fn by_definition(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.first(), name.first()) {
            (None, None) => true,
            (Some(b'*'), _) => {
                by_definition(&pattern[1..], name) || (!name.is_empty() && by_definition(pattern, &name[1..]))
            }
            (Some(a), Some(b)) => a == b && by_definition(&pattern[1..], &name[1..]),
            _ => false,
        }
    }

    #[test]
    fn stars_stand_for_any_run() {
        for (pattern, name) in [("*", ""), ("", ""), ("a*c", "abcabc"), ("*b*", "abc"), ("**", "x"), ("τ*", "τ1")] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("", "a"), ("a*c", "abca"), ("a", "ab"), ("a*b*c", "acb"), ("head.*", "heads.1")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn agrees_with_the_definition_on_all_short_words() {
        let words = |letters: &'static [u8], longest: u32| {
            (0..=longest).flat_map(move |length| {
                (0..letters.len().pow(length)).map(move |mut code| {
                    (0..length)
                        .map(|_| {
                            let letter = letters[code % letters.len()];
                            code /= letters.len();
                            letter
                        })
                        .collect::<Vec<u8>>()
                })
            })
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("ascii");
        for pattern in words(b"ab*", 5) {
            for name in words(b"ab", 6) {
                assert_eq!(
                    matches(&text(&pattern), &text(&name)),
                    by_definition(&pattern, &name),
                    "{} {}",
                    text(&pattern),
                    text(&name)
                );
            }
        }
    }
}
