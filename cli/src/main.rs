//! The program `synfire`.

fn main() -> std::process::ExitCode {
    synfire_cli::main()
}
