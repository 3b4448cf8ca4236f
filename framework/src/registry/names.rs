//! Names that are nearly right.

/// Names that look like `name`: by edit distance, or because one contains the other; the nearest first.
pub fn near<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut scored: Vec<(usize, &str)> = known
        .map(|candidate| (strsim::levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= 1 + name.len().max(candidate.len()) / 3
                || (name.len() > 2 && (candidate.contains(name) || name.contains(candidate)))
        })
        .collect();
    scored.sort_unstable();
    scored.into_iter().take(3).map(|(_, candidate)| candidate.to_string()).collect()
}
