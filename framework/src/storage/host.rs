//! The name of this machine, for locks, manifests and event files.

/// The name this machine gives itself; letters, digits, dots, dashes and underscores only, never empty.
pub fn name() -> String {
    let raw = rustix::system::uname();
    let kept = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = raw.nodename().to_string_lossy().chars().filter(kept).collect();
    if name.is_empty() { "localhost".into() } else { name }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_name_can_stand_in_a_file_name() {
        let name = super::name();
        assert!(!name.is_empty() && !name.contains(['/', ' ']), "{name}");
    }
}
