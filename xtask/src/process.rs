//! Running other programs: handing the terminal over to them, or watching what they complain about.

use std::io::{self, BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};

/// Run a program with our terminal and give back its exit code.
///
/// # Errors
/// When it cannot be started, or is killed before it could say what is wrong.
pub fn hand_over(command: &mut Command) -> Result<ExitCode, String> {
    let status = command.status().map_err(|error| cannot_run(command, &error))?;
    let Some(code) = status.code() else {
        return Err(format!("{} ended by {status}", command.get_program().to_string_lossy()));
    };
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Run a program to its end, showing what it prints on our standard error.
///
/// # Errors
/// When it cannot be started or fails: then the last lines of its complaint.
pub fn watch(command: &mut Command) -> Result<(), String> {
    command.stdin(Stdio::null()).stdout(io::stderr()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| cannot_run(command, &error))?;
    let mut complaint = String::new();
    if let Some(stream) = child.stderr.take() {
        for line in BufReader::new(stream).split(b'\n') {
            let line = line.map_err(|error| cannot_run(command, &error))?;
            let line = String::from_utf8_lossy(&line);
            eprintln!("{line}");
            complaint.push_str(&line);
            complaint.push('\n');
        }
    }
    let status = child.wait().map_err(|error| cannot_run(command, &error))?;
    if status.success() { Ok(()) } else { Err(last_lines(&complaint, &status.to_string())) }
}

/// Run a program to its end and give back what it printed.
///
/// # Errors
/// When it cannot be started or fails: then the last lines of its complaint.
pub fn read(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| cannot_run(command, &error))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(last_lines(&String::from_utf8_lossy(&output.stderr), &output.status.to_string()))
    }
}

fn cannot_run(command: &Command, error: &io::Error) -> String {
    format!("{} cannot be run: {error}", command.get_program().to_string_lossy())
}

/// The last two lines that say something; programs put the cause there, after warnings and traces.
fn last_lines(complaint: &str, otherwise: &str) -> String {
    let lines: Vec<&str> = complaint.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines[..] {
        [] => otherwise.to_owned(),
        [.., first, second] if second.starts_with("ERROR") && first.starts_with("ERROR") => {
            format!("{first}\n{second}")
        }
        [.., last] => last.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_the_end_of_the_complaint() {
        assert_eq!(last_lines("Traceback\n  File x\nImportError: no torch\n\n", "1"), "ImportError: no torch");
        assert_eq!(last_lines("\n", "exit status: 3"), "exit status: 3");
        let pip = "WARNING: retry\nERROR: no version (from versions: none)\nERROR: No matching distribution\n";
        assert_eq!(last_lines(pip, ""), "ERROR: no version (from versions: none)\nERROR: No matching distribution");
    }

    #[test]
    fn an_exit_code_is_passed_on_and_a_signal_is_named() {
        let code = hand_over(Command::new("sh").args(["-c", "exit 101"]));
        assert_eq!(code, Ok(ExitCode::from(101)));
        let killed = hand_over(Command::new("sh").args(["-c", "kill -9 $$"])).unwrap_err();
        assert!(killed.starts_with("sh ended by signal: 9"), "{killed}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = read(&mut Command::new("no-such-program-anywhere")).unwrap_err();
        assert!(error.starts_with("no-such-program-anywhere cannot be run: "), "{error}");
    }
}
