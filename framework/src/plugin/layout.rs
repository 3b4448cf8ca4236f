//! The layout of every type that crosses between program and plugin, as one number.
//!
//! Rust promises no layout between two compilations. Program and plugin are therefore built by the same compiler from the same
//! framework; what could still differ is a library below a type of ours, for example by a feature that another dependency of the
//! plugin switches on. That shows in sizes, alignments and places of fields.

use super::fingerprint::{START, number};
use super::{Handover, HostServices};
use crate::analysis::Scope;
use crate::cell::{BuildContext, Clock, Form, Setting};
use crate::curriculum::{Evaluation, HeadResult, LessonContext, LessonRecord, Level, Step, Tally, UpdateRecord};
use crate::experiment::{Experiment, Parts, Training};
use crate::figure::{Axis, Figure, Mark, Panel};
use crate::format::{Imported, Judged, Past, Stage};
use crate::network::Readout;
use crate::recurrence::{GatedForm, RateForm};
use crate::registry::Built;
use crate::rollout::{Moment, Rollout};
use crate::run::{Checkpoint, RunDir, State};
use crate::storage::Array;
use crate::subject::{At, RunView};
use crate::table::{Table, Value};
use crate::task::{Difficulty, HeadScore, Objective, Period, Scores, Segment, Target};
use crate::workers::Workers;
use crate::{
    Component, Error, Findings, History, Kind, Lesson, Network, Problem, Problems, Properties, Registry, Spec,
    StepReport, Stream, Subject, Task, TaskSpec, Tensors, Trials,
};
use std::mem::offset_of;

macro_rules! crossing {
    ($($type:ty $({ $($field:ident)* })?;)*) => {
        /// The types that cross, as written here. A type of another crate may stand here only if that crate is pinned exactly in the
        /// framework's manifest.
        pub const CROSSING: &[&str] = &[$(stringify!($type)),*];

        /// Digest of size, alignment and places of fields of all of them.
        pub(super) const LAYOUT: u64 = {
            let mut digest = START;
            $(
                digest = number(digest, size_of::<$type>());
                digest = number(digest, align_of::<$type>());
                $($(digest = number(digest, offset_of!($type, $field));)*)?
            )*
            digest
        };
    };
}

crossing! {
    HostServices { dispatch };
    Handover { components };
    Component { kind name };
    Registry;
    Built;
    Kind;
    Spec<dyn Task> { name };
    Option<Box<dyn Task>>;
    Error;
    Problem { path problem remedy };
    Problems;
    Properties;
    TaskSpec { inputs outputs objective dt_ms difficulty closed_loop };
    Difficulty { name lowest highest default several_at_once };
    Objective { loss answer tolerance };
    Trials { inputs targets answer periods substeps settle hints conditions initial rest };
    Target { head level values weight total };
    Period { name steps };
    Segment { inputs targets periods };
    Scores { loss heads };
    HeadScore { head level loss accuracy };
    BuildContext<'static> { registry task device kind };
    Setting { mode dt_ms substeps schedule };
    Clock<'static> { step since_border period setting };
    Form;
    RateForm { placement activation state linear_input mixing reads_state };
    GatedForm { gates hidden cell };
    Network { parameters dynamics readout };
    Readout { heads outputs bias feedback };
    Tensors;
    Stream;
    Step;
    Lesson { levels tasks schedule trainable frozen drop_heads dt_ms mode update };
    Level { level head };
    LessonContext<'static> { registry stream };
    LessonRecord { from lesson };
    History { updates restarts lessons evaluations recent tally };
    Evaluation { update lesson trials loss accuracy heads };
    HeadResult { head level loss accuracy };
    UpdateRecord { update loss accuracy };
    Tally { updates loss accuracy gradient_norm };
    Rollout<'static> { task lesson setting stream workers fast settle };
    Moment<'static> { clock input projected dynamics };
    Workers;
    StepReport { loss accuracy gradient_norm };
    Subject<'static> { runs groups data stream workers };
    RunView<'static> { label member experiment parts dir workers };
    At;
    Scope;
    Findings { values tables arrays figures notes };
    Table { name title columns rows };
    Value;
    Array;
    Figure { name title caption columns panels };
    Panel;
    Axis;
    Mark;
    Experiment { name seed members device plugins task cell curriculum rule training analysis };
    Training;
    Parts { task spec cell curriculum rule analyses };
    RunDir;
    Checkpoint { parameters learner state };
    State { version history readout };
    Imported { parameters heads task cell curriculum rule training lesson past notes };
    Past { stages history evaluations };
    Stage { origin history parameters heads };
    Judged { evaluation lesson training_loss };
    tch::Tensor;
    tch::Kind;
    tch::Device;
    indexmap::IndexMap<String, tch::Tensor>;
    serde_json::Value;
    serde_json::Map<String, serde_json::Value>;
    tracing_core::Dispatch;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_other_crates_cross_only_if_they_are_pinned() {
        let manifest: toml::Value = toml::from_str(include_str!("../../Cargo.toml")).expect("a manifest");
        let mut seen = Vec::new();
        for name in CROSSING {
            let Some((origin, _)) = name.split_once("::") else { continue };
            let all = &manifest["dependencies"];
            let dependency = all.get(origin).or_else(|| all.get(origin.replace('_', "-")));
            let version = dependency.and_then(|d| d.as_str().or_else(|| d.get("version").and_then(|v| v.as_str())));
            assert!(
                version.is_some_and(|version| version.starts_with('=')),
                "{origin} is not pinned, but {name} crosses"
            );
            seen.push(origin);
        }
        assert!(["tch", "indexmap", "serde_json", "tracing_core"].iter().all(|name| seen.contains(name)), "{seen:?}");
    }

    /// What a feature such as `preserve_order` does to a type must show.
    #[test]
    fn another_size_is_another_digest() {
        assert_ne!(number(START, 32), number(START, 72));
        assert_ne!(number(number(START, 8), 16), number(number(START, 16), 8));
        assert_ne!(LAYOUT, START);
    }
}
