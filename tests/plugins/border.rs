//! What the two sides share, and what they may not: in one process with both.

use super::{awkward, example, load};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use synfire::cell::{BuildContext, Mode, Setting};
use synfire::rollout::{Record, Rollout};
use synfire::tch::{self, Device, Kind, Tensor};
use synfire::workers::Workers;
use synfire::{Cell, Lesson, Registry, Spec, Stream, Task};

/// libtorch's generator is one for the whole process.
static GENERATOR: Mutex<()> = Mutex::new(());

fn registry(plugins: &[PathBuf]) -> Registry {
    let mut registry = Registry::linked().expect("no duplicates");
    for file in plugins {
        let plugin = load(file).unwrap_or_else(|error| panic!("{error}"));
        registry.add_plugin(plugin).unwrap_or_else(|error| panic!("{error}"));
    }
    registry
}

fn drawn_in_plugin(registry: &Registry) -> synfire::Trials {
    let spec = Spec::<dyn Task>::with("awkward", &serde_json::json!({"from_libtorch": true}));
    let task = registry.build(&spec, "task").expect("a task");
    task.trials(&Lesson::default(), 5, &mut Stream::new(1)).expect("draws")
}

#[test]
fn there_is_one_libtorch() {
    let registry = registry(&[awkward()]);
    let _alone = GENERATOR.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    // A seed set here is that of the plugin, and what it draws is taken from here.
    tch::manual_seed(7);
    let there = drawn_in_plugin(&registry).inputs;
    let next_here = Tensor::rand([3], (Kind::Float, Device::Cpu));
    tch::manual_seed(7);
    let here = Tensor::rand([4, 5, 1], (Kind::Float, Device::Cpu));
    assert_eq!(here, there);
    assert_eq!(next_here, Tensor::rand([3], (Kind::Float, Device::Cpu)));
    // The gradient mode of this thread is that of the plugin.
    assert_eq!(drawn_in_plugin(&registry).conditions["gradients"][0], 1.0);
    assert_eq!(tch::no_grad(|| drawn_in_plugin(&registry)).conditions["gradients"][0], 0.0);
    // A tensor from there is one like any other: in a graph, in place, and when it is dropped here.
    let mut leaf = there.set_requires_grad(true);
    let loss = (&leaf * &leaf).sum(Kind::Float);
    loss.backward();
    assert!(leaf.grad().allclose(&(leaf.detach() * 2.0), 1e-6, 1e-6, false));
    tch::no_grad(|| drop(leaf.fill_(3.0)));
    assert_eq!(leaf.double_value(&[0, 0, 0]), 3.0);
}

#[test]
fn a_cell_of_a_plugin_takes_the_fast_path() {
    let registry = registry(&[example()]);
    let cell = registry
        .build(&Spec::<dyn Cell>::with("dylib-example", &serde_json::json!({"hidden": 9})), "cell")
        .expect("a cell");
    let task = registry.build(&Spec::<dyn Task>::new("dylib-example"), "task").expect("a task");
    let context = BuildContext { registry: &registry, task: task.spec(), device: Device::Cpu, kind: Kind::Double };
    let mut network = cell.build(&context, &Stream::new(1)).expect("builds");
    network.add_heads(&[0], &context, &Stream::new(1)).expect("adds");
    let setting = Setting { mode: Mode::Training, dt_ms: Some(20.0), ..Setting::default() };
    assert!(matches!(network.dynamics.form(&setting), synfire::cell::Form::Rate(_)));
    let (workers, lesson) = (Workers::new(2).expect("threads"), Lesson::default());
    let trials = task.trials(&lesson, 70, &mut Stream::new(2)).expect("draws").to(Device::Cpu, Kind::Double);
    let rollout = |fast| Rollout {
        task: &*task,
        lesson: &lesson,
        setting: setting.clone(),
        stream: Stream::new(3),
        workers: &workers,
        fast,
        settle: 0,
    };
    let fast = rollout(true).gradient(&network, &trials, None, |_| true).expect("plays");
    let slow = rollout(false).gradient(&network, &trials, None, |_| true).expect("plays");
    for (name, gradient) in slow.gradients.iter() {
        let gap = (gradient - fast.gradients.get(name).expect("the same parameters")).abs().max().double_value(&[]);
        // rounding of 25 steps in double precision
        assert!(gap < 1e-10, "{name}: {gap:e}");
    }
    assert!(rollout(true).play(&network, &trials, Record::Rates).expect("plays").rates.is_some());
}

#[test]
fn a_plugin_is_written_down_as_where_it_came_from() {
    let registry = registry(&[example()]);
    let origin = registry.plugin_of(synfire::Kind::Task, "dylib-example").expect("brought by it");
    assert_eq!((&origin.name[..], &origin.author[..]), ("dylib-example", "the synfire authors"));
    assert_eq!(origin.file, example().canonicalize().expect("there"));
    assert_eq!(origin.hash.len(), 16);
    assert!(registry.plugin_of(synfire::Kind::Task, "n-parity").is_none());
}

/// Two allocators in one process would free each other's memory.
#[test]
fn no_crate_of_ours_brings_an_allocator() {
    let mut folders: Vec<PathBuf> = ["cli", "framework", "plugins", "tests"]
        .iter()
        .map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name))
        .collect();
    let attribute = ["global", "allocator"].join("_");
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                files += 1;
                let text = std::fs::read_to_string(&path).expect("text");
                assert!(!text.contains(&attribute), "{}", path.display());
            }
        }
    }
    assert!(files > 200, "only {files} files were looked at");
}
