//! How networks are judged: on trials as in training, or under other options of their task.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use synfire::Result;
use synfire::subject::RunView;

/// Options of the run's own task that are otherwise while it is judged, for example `{ rate = 0.5, answer = "every-step",
/// length = 1100 }`; those left out are as in training.
///
/// Tables among them are joined with those of the task. They are checked together with the experiment, under `analysis.task`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct TaskOptions(pub Map<String, Value>);

impl TaskOptions {
    /// Whether nothing is otherwise.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The run under these options.
    ///
    /// # Errors
    /// When the task refuses them, or has other inputs or outputs with them.
    pub fn view<'a>(&self, run: &RunView<'a>) -> Result<RunView<'a>> {
        run.with_task(&self.0)
    }

    /// The protocol that numbers come from, in words.
    pub fn protocol(&self) -> String {
        if self.is_empty() {
            return "trials as in training".into();
        }
        let options: Vec<String> = self.0.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        format!("trials with {}, otherwise as in training", options.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_protocol_is_said_in_words() {
        let read = |value: Value| serde_json::from_value::<TaskOptions>(value).expect("reads");
        assert_eq!(read(json!({})).protocol(), "trials as in training");
        let running = read(json!({ "rate": 0.5, "answer": "every-step" }));
        assert_eq!(running.protocol(), "trials with rate = 0.5, answer = \"every-step\", otherwise as in training");
        assert!(serde_json::from_value::<TaskOptions>(json!([1])).is_err());
    }
}
