//! Watching a training: bars on a terminal, plain lines elsewhere.

use crate::output::Program;
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::io::{IsTerminal, stderr};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use synfire::curriculum::{Evaluation, Lesson, UpdateRecord};
use synfire::observer::Observe;

/// More members than this share one bar.
const MOST_BARS: usize = 6;

/// Time between two plain lines of one member, unless a lesson begins.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Shows rate, level, accuracy, loss and remaining time of every member.
pub struct Progress<'a> {
    program: &'a Program,
    level_name: String,
    members: Vec<Mutex<Member>>,
    bars: Vec<ProgressBar>,
}

/// What is known of one member.
struct Member {
    began: Instant,
    from: u64,
    updates: u64,
    budget: u64,
    level: String,
    /// When its last line was written, unless a lesson began since.
    spoken: Option<Instant>,
    /// The update its last line was about.
    told: Option<u64>,
    judged: Option<(f64, Option<f64>)>,
}

impl<'a> Progress<'a> {
    /// For `members` networks; `level_name` is what a level of the task counts, for example `N`.
    pub fn new(program: &'a Program, members: usize, level_name: &str) -> Self {
        let quiet = program.output.quiet;
        let count = if quiet || !stderr().is_terminal() {
            0
        } else if members > MOST_BARS {
            1
        } else {
            members
        };
        let bars = (0..count).map(|member| bar(&program.bars, (members > 1 && count > 1).then_some(member))).collect();
        let fresh = || Member {
            began: Instant::now(),
            from: 0,
            updates: 0,
            budget: 0,
            level: String::new(),
            spoken: None,
            told: None,
            judged: None,
        };
        let members = (0..members).map(|_| Mutex::new(fresh())).collect();
        Self { program, level_name: level_name.to_string(), members, bars }
    }

    /// Take the bars away; what is to stay is in the result.
    pub fn clear(&self) {
        self.bars.iter().for_each(ProgressBar::finish_and_clear);
    }

    fn with<R>(&self, member: usize, change: impl FnOnce(&mut Member) -> R) -> Option<R> {
        // A poisoned lock belongs to a member that failed; its last words stay as they are.
        self.members.get(member)?.lock().ok().map(|mut member| change(&mut member))
    }

    fn bar(&self, member: usize) -> Option<&ProgressBar> {
        if self.shared() { self.bars.first() } else { self.bars.get(member) }
    }

    fn shared(&self) -> bool {
        self.bars.len() < self.members.len()
    }

    fn line(&self, member: usize, state: &Member) {
        if self.bars.is_empty() {
            let name = if self.members.len() > 1 { format!("member {member}: ") } else { String::new() };
            self.program.note(&format!("{name}{}", state.line()));
        }
    }
}

impl Member {
    fn score(&self) -> String {
        let Some((loss, accuracy)) = self.judged else { return self.level.clone() };
        let accuracy = accuracy.map_or_else(String::new, |accuracy| format!("  accuracy {:.2} %", 100.0 * accuracy));
        format!("{}{accuracy}  loss {loss:.4}", self.level)
    }

    fn line(&self) -> String {
        let done = self.updates.saturating_sub(self.from);
        let rate = done as f64 / self.began.elapsed().as_secs_f64().max(1e-9);
        let left = Duration::from_secs_f64((self.budget.saturating_sub(self.updates) as f64 / rate.max(1e-9)).min(1e9));
        let left = indicatif::HumanDuration(left);
        let left = if self.updates < self.budget { format!("  at most {left} left") } else { String::new() };
        let pace = if done > 0 { format!("  {rate:.1} updates/s{left}") } else { String::new() };
        format!("update {}/{}  {}{pace}", self.updates, self.budget, self.score())
    }
}

/// What a bar shows at work.
const AT_WORK: &str = "{prefix}{bar:24.cyan/blue} {pos}/{len}  {rate}  {msg}  at most {eta} left";

/// What it shows when its member has stopped.
const DONE: &str = "{prefix}{bar:24.cyan/blue} {pos}/{len}  {msg}";

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("rate", |state: &ProgressState, text: &mut dyn Write| {
        // A terminal that does not take it has nobody who reads it.
        let _ = write!(text, "{:.1} updates/s", state.per_sec());
    })
}

fn bar(bars: &MultiProgress, member: Option<usize>) -> ProgressBar {
    let prefix = member.map_or_else(String::new, |member| format!("#{member} "));
    bars.add(ProgressBar::new(0).with_style(style(AT_WORK)).with_prefix(prefix))
}

impl Observe for Progress<'_> {
    fn start(&self, member: usize, updates: u64, budget: u64) {
        self.with(member, |state| {
            (state.began, state.from, state.updates, state.budget) = (Instant::now(), updates, updates, budget);
        });
        if let Some(bar) = self.bar(member) {
            let members = if self.shared() { self.members.len() as u64 } else { 1 };
            bar.set_length(budget * members);
            bar.inc(updates);
            bar.reset_eta();
        }
    }

    fn lesson(&self, member: usize, lesson: &Lesson) {
        let (first, last) = (lesson.levels.first(), lesson.levels.last());
        let level = match (first, last) {
            (Some(first), Some(last)) if first.level != last.level => {
                format!("{} = {}..{}", self.level_name, first.level, last.level)
            }
            (Some(only), _) => format!("{} = {}", self.level_name, only.level),
            _ => String::new(),
        };
        self.with(member, |state| {
            // The next evaluation is spoken of at once.
            (state.level, state.spoken) = (level.clone(), None);
        });
        if let Some(bar) = self.bar(member) {
            bar.set_message(level);
        }
    }

    fn update(&self, member: usize, record: &UpdateRecord) {
        self.with(member, |state| state.updates = record.update);
        if let Some(bar) = self.bar(member) {
            bar.inc(1);
        }
    }

    fn evaluation(&self, member: usize, evaluation: &Evaluation, _: &Lesson) {
        let message = self.with(member, |state| {
            state.judged = Some((evaluation.loss, evaluation.accuracy));
            if state.spoken.is_none_or(|last| last.elapsed() >= BETWEEN_LINES) {
                (state.spoken, state.told) = (Some(Instant::now()), Some(evaluation.update));
                self.line(member, state);
            }
            state.score()
        });
        if let (Some(bar), Some(message)) = (self.bar(member), message) {
            bar.set_message(if self.shared() { format!("#{member} {message}") } else { message });
        }
    }

    fn stop(&self, member: usize, updates: u64, reason: &str) {
        self.with(member, |state| {
            state.updates = updates;
            if state.told != Some(updates) {
                self.line(member, state);
            }
        });
        tracing::info!(member, updates, reason, "a member stopped");
        if let (Some(bar), false) = (self.bar(member), self.shared()) {
            bar.set_style(style(DONE));
            bar.set_message(format!("{}  {reason}", self.with(member, |state| state.score()).unwrap_or_default()));
        }
    }
}
