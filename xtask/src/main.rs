//! What must run before libtorch exists: the set-up, and the commands of the README.
//!
//! Depends on the standard library alone, so that `cargo xtask setup` compiles in a second on a bare machine. Python 3 does
//! what it needs for its own package index anyway: downloading wheels and opening zip files.

mod checkout;
mod demo;
mod failure;
mod libtorch;
mod process;
mod python;
mod selection;
mod setup;
mod ways;

use std::env;
use std::process::ExitCode;

use checkout::Checkout;
use libtorch::Wanted;

const HELP: &str = "\
Usage: cargo xtask COMMAND [ARGUMENTS]

Commands:
  setup [--cuda | --cpu]   put a fitting libtorch under target/libtorch; keeps the one that is there,
                           unless --cuda asks for a GPU build or --cpu for the small one
  demo [ARGUMENTS]         set-up, release build, then train and analyse the demo experiment;
                           ARGUMENTS go to `synfire run`
  test [ARGUMENTS]         set-up, then every test of the workspace; ARGUMENTS go to `cargo test`
  help                     this text

Where libtorch comes from, in this order: LIBTORCH, what is under target/, an installed PyTorch of the
same version, the wheels of the Python package index (through pip), the official archives.

Examples:
  cargo xtask demo --seed 2
  cargo xtask test -p synfire
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    match dispatch(command, rest) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &str, rest: &[String]) -> Result<ExitCode, String> {
    match command {
        "setup" => match wanted(rest) {
            Ok(wanted) => setup::setup(&Checkout::find()?, wanted).map(|ready| {
                eprintln!("{ready}");
                ExitCode::SUCCESS
            }),
            Err(message) => Ok(usage(&message)),
        },
        "demo" => demo::demo(&Checkout::find()?, rest),
        "test" => test(&Checkout::find()?, rest),
        "help" | "-h" | "--help" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        other => Ok(usage(&format!("no command `{other}`"))),
    }
}

fn usage(message: &str) -> ExitCode {
    eprintln!("error: {message}\n\n{HELP}");
    ExitCode::from(2)
}

fn wanted(arguments: &[String]) -> Result<Wanted, String> {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(Wanted::Any),
        ["--cpu"] => Ok(Wanted::Cpu),
        ["--cuda"] => Ok(Wanted::Cuda),
        _ => Err(format!("`setup` takes --cuda or --cpu, not `{}`", arguments.join(" "))),
    }
}

fn test(checkout: &Checkout, arguments: &[String]) -> Result<ExitCode, String> {
    let ready = setup::setup(checkout, Wanted::Any)?;
    let mut command = checkout.cargo(&ready);
    command.args(["test", "--release"]);
    if !names_packages(arguments) {
        command.arg("--workspace");
    }
    process::hand_over(command.args(arguments))
}

/// Whether the arguments for `cargo test` choose packages themselves, which `--workspace` would override.
fn names_packages(arguments: &[String]) -> bool {
    arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument.starts_with("-p") || argument.starts_with("--package"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn setup_takes_one_flag_at_most() {
        assert_eq!(wanted(&[]), Ok(Wanted::Any));
        assert_eq!(wanted(&words("--cuda")), Ok(Wanted::Cuda));
        assert_eq!(wanted(&words("--cpu")), Ok(Wanted::Cpu));
        assert_eq!(wanted(&words("--cuda --cpu")), Err("`setup` takes --cuda or --cpu, not `--cuda --cpu`".to_owned()));
    }

    #[test]
    fn a_package_of_the_user_replaces_the_whole_workspace() {
        assert!(names_packages(&words("-p synfire")));
        assert!(names_packages(&words("--package=synfire")));
        assert!(!names_packages(&words("parity -- -p")));
        assert!(!names_packages(&[]));
    }
}
