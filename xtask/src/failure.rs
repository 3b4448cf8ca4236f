//! The message for a machine where no libtorch can be had: every way that was tried, why it failed, and what to do.

use crate::libtorch::{Flavour, VERSION};

/// One way that was tried, and why it led nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Where libtorch was looked for.
    pub way: &'static str,
    /// Why it is not there, in one sentence.
    pub reason: String,
}

/// Compose the message from what was tried.
pub fn compose(attempts: &[Attempt], flavour: Flavour) -> String {
    let mut message = format!("no libtorch {VERSION} ({flavour}) could be had. Tried, in this order:\n");
    for (index, attempt) in attempts.iter().enumerate() {
        let reason = attempt.reason.trim().replace('\n', "\n     ");
        message.push_str(&format!("  {}. {}: {reason}\n", index + 1, attempt.way));
    }
    message.push_str("What to do, one of:\n");
    let mentions = |word: &str| attempts.iter().any(|attempt| attempt.reason.contains(word));
    if mentions("python3 cannot be run") {
        message.push_str("  - install Python 3 with pip (Debian, Ubuntu: apt install python3 python3-pip)\n");
    } else if mentions("No module named pip") {
        message
            .push_str("  - install pip (Debian, Ubuntu: apt install python3-pip; elsewhere: python3 -m ensurepip)\n");
    } else if mentions("No matching distribution") {
        message.push_str("  - bring pip up to date: python3 -m pip install --upgrade pip\n");
    }
    message.push_str("  - connect this machine to a Python package index, or tell pip where one is (pip config set global.index-url URL)\n");
    message
        .push_str(&format!("  - install PyTorch where `python3` finds it: python3 -m pip install torch=={VERSION}\n"));
    message.push_str(&format!(
        "  - unpack libtorch {VERSION} (https://pytorch.org/get-started/locally) and set LIBTORCH to the folder with include/ and lib/\n"
    ));
    message.push_str("then run the same command again.");
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_its_reason_and_a_fitting_remedy_are_named() {
        let attempts = [
            Attempt { way: "LIBTORCH", reason: "not set".to_owned() },
            Attempt { way: "pip", reason: "python3: No module named pip\n".to_owned() },
        ];
        let message = compose(&attempts, Flavour::Cpu);
        assert!(message.starts_with("no libtorch 2.13.0 (cpu) could be had."));
        assert!(message.contains("  1. LIBTORCH: not set\n  2. pip: python3: No module named pip\n"), "{message}");
        assert!(message.contains("install pip"));
        assert!(message.contains("set LIBTORCH to the folder"));
        assert!(!message.contains("install Python 3"));
    }

    #[test]
    fn without_python_the_first_remedy_is_python() {
        let attempts = [Attempt { way: "pip", reason: "python3 cannot be run: not found".to_owned() }];
        assert!(compose(&attempts, Flavour::Cuda).contains("- install Python 3 with pip"));
    }
}
