//! The one error type: its variants say what the reader must do.

use serde::Serialize;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// What every fallible function of the workspace returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One thing wrong with a configuration: where, what, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Path of the field as written in the TOML, for example `task.bits`.
    pub path: String,
    /// What is wrong, with the value that was found.
    pub problem: String,
    /// What to do about it; empty where the problem says it all.
    pub remedy: String,
}

/// What helps where numbers are not finite and nothing else is known.
const SMALLER_STEPS: &str = "lower the learning rate or the clipping bound, then resume from the last checkpoint";

/// What can go wrong, by what the reader must do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong: every problem found, not only the first.
    #[error("{}", lines(.0))]
    Config(Vec<Problem>),
    /// A name that the registry does not know.
    #[error("unknown {kind} '{name}'{}", suggestion(.near))]
    Unknown {
        /// What was looked for, for example `task`.
        kind: String,
        /// The name as given.
        name: String,
        /// Known names that look like it, the nearest first.
        near: Vec<String>,
    },
    /// Tensors that do not fit together.
    #[error("{what} has shape {found}, expected {expected}")]
    Shape {
        /// Which tensor.
        what: String,
        /// The shape it should have.
        expected: String,
        /// The shape it has.
        found: String,
    },
    /// Training produced a NaN or an infinity.
    #[error("{what} is not finite at update {update}; {}", .caution.as_deref().unwrap_or(SMALLER_STEPS))]
    NotFinite {
        /// Which quantity.
        what: String,
        /// The update at which it appeared; rules need not know it.
        update: u64,
        /// What the network's cell knows of the reason and of a remedy; rules need not ask it.
        caution: Option<String>,
    },
    /// Two parts that cannot work together.
    #[error("{needs}: {because}")]
    Incompatible {
        /// The part and what it needs.
        needs: String,
        /// Why the other part cannot give it, and what would.
        because: String,
    },
    /// An external plugin was refused.
    #[error(transparent)]
    Plugin(#[from] crate::plugin::PluginError),
    /// A component panicked; the run stopped at its last checkpoint.
    #[error("{component} panicked: {message}")]
    Panicked {
        /// Kind and name of the component.
        component: String,
        /// The panic's text.
        message: String,
    },
    /// The operating system refused a file operation.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's own error.
        source: std::io::Error,
    },
    /// A file or run directory that is missing, damaged, or not what it should be.
    #[error("{}: {problem}{}", path.display(), remedy_suffix(.remedy))]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What to do about it; may be empty.
        remedy: String,
    },
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(String),
    /// The work itself failed for a reason that fits no other variant.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// One configuration problem at `path`.
    pub fn config(path: impl Into<String>, problem: impl Display, remedy: impl Display) -> Self {
        Self::Config(vec![Problem { path: path.into(), problem: problem.to_string(), remedy: remedy.to_string() }])
    }

    /// An I/O error with the path it happened at; for `map_err`.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io { path, source }
    }

    /// A file that is missing, damaged or foreign.
    pub fn file(path: impl AsRef<Path>, problem: impl Display, remedy: impl Display) -> Self {
        Self::File { path: path.as_ref().to_path_buf(), problem: problem.to_string(), remedy: remedy.to_string() }
    }

    /// Exit code of the program: 1 the work failed, 2 bad usage or configuration, 3 plugin refused.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Config(_) | Self::Unknown { .. } | Self::Incompatible { .. } => 2,
            Self::Plugin(_) => 3,
            _ => 1,
        }
    }

    /// Short name of the variant for `--json` output.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Config(_) => "config",
            Self::Unknown { .. } => "unknown",
            Self::Shape { .. } => "shape",
            Self::NotFinite { .. } => "not-finite",
            Self::Incompatible { .. } => "incompatible",
            Self::Plugin(_) => "plugin",
            Self::Panicked { .. } => "panicked",
            Self::Io { .. } => "io",
            Self::File { .. } => "file",
            Self::Torch(_) => "torch",
            Self::Failed(_) => "failed",
        }
    }

    /// The same error with configuration problems that have no path of their own put down to a file.
    pub fn in_file(self, path: &std::path::Path) -> Self {
        match self {
            Self::Config(mut problems) => {
                for problem in problems.iter_mut().filter(|problem| problem.path.is_empty()) {
                    problem.path = path.display().to_string();
                }
                Self::Config(problems)
            }
            other => other,
        }
    }

    /// The same error as configuration problems under `path`, so that many can be shown at once.
    pub fn into_problems(self, path: &str) -> Vec<Problem> {
        match self {
            Self::Config(problems) => problems,
            Self::Unknown { kind, name, near } => vec![Problem {
                path: path.into(),
                problem: format!("is '{name}', an unknown {kind}"),
                remedy: match &near[..] {
                    [] => format!("`synfire list {kind}` shows all"),
                    near => suggestion(near).trim_start_matches("; ").to_string(),
                },
            }],
            other => vec![Problem { path: path.into(), problem: other.to_string(), remedy: String::new() }],
        }
    }
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        // libtorch appends a C++ stack trace; its first line is the message.
        let text = error.to_string();
        Self::Torch(text.lines().next().unwrap_or_default().to_string())
    }
}

/// Collects configuration problems below a path.
#[derive(Debug, Default)]
pub struct Problems {
    prefix: String,
    found: Vec<Problem>,
}

impl Problems {
    /// An empty collection whose paths start with `prefix`, for example `task`.
    pub fn under(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), found: Vec::new() }
    }

    /// Report that `field` is wrong.
    pub fn add(&mut self, field: &str, problem: impl Display, remedy: impl Display) {
        let path = match (self.prefix.is_empty(), field.is_empty()) {
            (true, _) => field.to_string(),
            (_, true) => self.prefix.clone(),
            _ => format!("{}.{field}", self.prefix),
        };
        self.found.push(Problem { path, problem: problem.to_string(), remedy: remedy.to_string() });
    }

    /// Report unless `condition` holds: `field is {value}, must be {rule}`.
    pub fn require(&mut self, condition: bool, field: &str, value: impl Display, rule: &str) {
        if !condition {
            self.add(field, format_args!("is {value}, must be {rule}"), "");
        }
    }

    /// Run the checks of a part that lies below `field`.
    pub fn inside(&mut self, field: &str, check: impl FnOnce(&mut Self)) {
        let longer = if self.prefix.is_empty() { field.to_string() } else { format!("{}.{field}", self.prefix) };
        let outer = std::mem::replace(&mut self.prefix, longer);
        check(self);
        self.prefix = outer;
    }

    /// Take over problems found elsewhere.
    pub fn extend(&mut self, problems: Vec<Problem>) {
        self.found.extend(problems);
    }

    /// How many were found so far.
    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    /// Everything found.
    pub fn into_vec(self) -> Vec<Problem> {
        self.found
    }

    /// `Ok` when nothing was found.
    ///
    /// # Errors
    /// [`Error::Config`] with all problems.
    pub fn into_result(self) -> Result<()> {
        if self.found.is_empty() { Ok(()) } else { Err(Error::Config(self.found)) }
    }
}

fn lines(problems: &[Problem]) -> String {
    let line = |p: &Problem| {
        let head = if p.path.is_empty() { p.problem.clone() } else { format!("{} {}", p.path, p.problem) };
        format!("{head}{}", remedy_suffix(&p.remedy))
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn remedy_suffix(remedy: &str) -> String {
    if remedy.is_empty() { String::new() } else { format!("; {remedy}") }
}

fn suggestion(near: &[String]) -> String {
    match near {
        [] => String::new(),
        [one] => format!("; did you mean '{one}'?"),
        many => format!("; did you mean one of: {}?", many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_printed_with_path_value_and_remedy() {
        let mut problems = Problems::under("task");
        problems.require(false, "bits", 0, "at least 1");
        problems.inside("noise", |p| p.add("sigma", "is negative", "use 0 for no noise"));
        let error = problems.into_result().expect_err("two problems");
        assert_eq!(
            error.to_string(),
            "task.bits is 0, must be at least 1\ntask.noise.sigma is negative; use 0 for no noise"
        );
        assert_eq!(error.exit_code(), 2);
    }
}
