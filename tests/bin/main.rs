//! The program, for the tests of this package.

fn main() -> std::process::ExitCode {
    synfire_cli::main()
}
