//! What reaches the user: one answer or one error on stdout, notes and logs on stderr.

use crate::args::Args;
use indicatif::MultiProgress;
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Write};
use synfire::{Error, Registry};
use tracing_subscriber::EnvFilter;

/// What every command is handed.
pub struct Program {
    /// All components.
    pub registry: Registry,
    /// How to answer.
    pub output: Output,
    /// Where progress bars are drawn.
    pub bars: MultiProgress,
}

impl Program {
    /// A line for the reader on stderr, above the progress bars; nothing with `-q`.
    pub fn note(&self, text: &str) {
        if !self.output.quiet {
            self.bars.suspend(|| to(&mut io::stderr(), text));
        }
    }
}

/// What a command came to.
pub struct Answer {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// Exit code.
    pub code: u8,
}

impl Answer {
    /// An answer of work that was done.
    pub fn new(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, code: 0 }
    }
}

/// How to answer.
#[derive(Clone, Copy)]
pub struct Output {
    /// One JSON document on stdout.
    pub json: bool,
    /// Nothing but results and errors.
    pub quiet: bool,
}

impl Output {
    /// Print an answer.
    pub fn answer(&self, answer: &Answer) {
        if self.json {
            document(&answer.json);
        } else if !answer.text.is_empty() {
            to(&mut io::stdout(), answer.text.trim_end_matches('\n'));
        }
    }

    /// Print an error: text on stderr, JSON on stdout.
    pub fn error(&self, error: &Error) {
        if self.json {
            return document(&json!({ "error": error_value(error) }));
        }
        let text = error.to_string();
        let mark = if io::stderr().is_terminal() { "\x1b[1;31merror:\x1b[0m" } else { "error:" };
        let several = text.contains('\n');
        let text = if several { format!("{mark}\n  {}", text.replace('\n', "\n  ")) } else { format!("{mark} {text}") };
        to(&mut io::stderr(), &text);
    }
}

/// Bad usage as JSON.
pub fn usage_json(message: &str) {
    let message = message.trim().trim_start_matches("error: ");
    document(&json!({ "error": { "kind": "usage", "message": message, "exit_code": 2 } }));
}

fn document(value: &Value) {
    to(&mut io::stdout(), &serde_json::to_string_pretty(value).unwrap_or_default());
}

/// The reader may have gone away (`synfire list | head -1`): then there is nobody to tell.
fn to(stream: &mut impl Write, text: &str) {
    let _ = writeln!(stream, "{text}").and_then(|()| stream.flush());
}

/// An error as JSON: kind, message, and the fields of its kind.
pub fn error_value(error: &Error) -> Value {
    let mut value = json!({ "kind": error.kind(), "message": error.to_string(), "exit_code": error.exit_code() });
    let fields = match error {
        Error::Config(problems) => json!({ "problems": problems }),
        Error::Unknown { kind, name, near } => json!({ "what": kind, "name": name, "near": near }),
        Error::Shape { what, expected, found } => json!({ "what": what, "expected": expected, "found": found }),
        Error::NotFinite { what, update, caution } => json!({ "what": what, "update": update, "caution": caution }),
        Error::Panicked { component, .. } => json!({ "component": component }),
        Error::Io { path, .. } => json!({ "path": path }),
        Error::Plugin(refusal) => json!({
            "refusal": refusal.kind(), "file": refusal.file(), "mismatches": refusal.mismatches(),
        }),
        Error::File { path, problem, remedy } => json!({ "path": path, "problem": problem, "remedy": remedy }),
        _ => json!({}),
    };
    if let (Value::Object(value), Value::Object(fields)) = (&mut value, fields) {
        value.extend(fields);
    }
    value
}

/// Send logs to stderr, above the progress bars: warnings, more with `-v` and `-vv`, or what `SYNFIRE_LOG` says.
pub fn start_logs(args: &Args, bars: &MultiProgress) {
    let level = match (args.quiet, args.verbose) {
        (true, _) => "error",
        (_, 0) => "warn",
        (_, 1) => "info",
        (_, _) => "debug",
    };
    let filter = EnvFilter::try_from_env("SYNFIRE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let bars = bars.clone();
    let writer = move || Above { bars: bars.clone(), line: Vec::new() };
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let logs = logs.with_ansi(io::stderr().is_terminal()).with_target(false).without_time();
    // A second call in one process, as in tests, keeps the first subscriber.
    let _ = logs.try_init();
}

/// Collects a log line and writes it above the progress bars.
struct Above {
    bars: MultiProgress,
    line: Vec<u8>,
}

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Above {
    fn drop(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.bars.suspend(|| drop(io::stderr().write_all(&line)));
        }
    }
}
