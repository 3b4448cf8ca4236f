//! `synfire export`: a network of a run, or all of the run, as files for another program.

use crate::choice::format_with;
use crate::output::{Answer, Program};
use serde_json::json;
use std::path::PathBuf;
use synfire::run::RunDir;
use synfire::subject::{At, RunView};
use synfire::workers::{Workers, guarded};
use synfire::{Error, Format, Result};

/// Two that work as typed.
pub const EXAMPLES: &str = "Examples:
  synfire export runs/parity --as npz -o parity.npz
  synfire export runs/parity --as safetensors --at 0 -o before-training.safetensors";

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run directory
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Name of the format
    #[arg(long = "as", value_name = "FORMAT")]
    format: String,
    /// Set an option of the format
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Take the checkpoint after this many updates; the last one unless given
    #[arg(long, value_name = "UPDATE")]
    at: Option<u64>,
    /// Which member of the run
    #[arg(long, value_name = "K", default_value_t = 0)]
    member: usize,
    /// File to write, or folder for a format of whole runs
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Do it.
///
/// # Errors
/// When the run cannot be read, or the format cannot hold its network.
pub fn execute(args: &Args, program: &Program) -> Result<Answer> {
    let spec = format_with(&args.format, &args.set)?;
    let format = program.registry.build::<dyn Format>(&spec, "format")?;
    let dir = RunDir::open(&args.run)?;
    let workers = Workers::new(1)?;
    // Files are written from the CPU, whatever the network was trained on.
    let experiment = synfire::Experiment { device: "cpu".into(), ..dir.experiment()? };
    let views = RunView::open_as(&dir, experiment, &program.registry, &workers)?;
    let view = views.get(args.member).ok_or_else(|| {
        let problem = format!("is {}, but the run has {} members", args.member, views.len());
        Error::config("--member", problem, "members are counted from 0")
    })?;
    let at = args.at.map_or(At::Last, At::Update);
    let files = guarded(&format!("format '{}'", args.format), || format.export_run(view, at, &args.output))?;
    let network = view.network(at)?;
    let tensors: Vec<serde_json::Value> =
        network.parameters.iter().map(|(name, tensor)| json!({ "name": name, "shape": tensor.size() })).collect();
    let text = match &files[..] {
        [file] if *file == args.output => {
            format!("wrote {}: {} tensors as {}", args.output.display(), tensors.len(), args.format)
        }
        _ => files.iter().fold(format!("wrote {} files as {}", files.len(), args.format), |text, file| {
            format!("{text}\n  {}", file.display())
        }),
    };
    let json = json!({
        "run": dir.path(), "member": args.member, "format": args.format, "file": args.output, "files": files,
        "tensors": tensors,
    });
    Ok(Answer::new(text, json))
}
