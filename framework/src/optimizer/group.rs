use super::{pattern, require_decay};
use crate::Problems;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters with a learning rate or weight decay of their own.
///
/// Where several groups match a parameter, the first one counts. A pattern that matches no parameter is refused at the first
/// step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// Patterns over parameter names; `*` stands for any run of characters: `head.*`, `time_constants`.
    #[schemars(length(min = 1))]
    pub parameters: Vec<String>,
    /// Learning rate of the group; left out, the optimiser's. 0 freezes the group, its moments still run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub learning_rate: Option<f64>,
    /// Weight decay of the group; left out, the optimiser's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub weight_decay: Option<f64>,
}

impl Group {
    /// Whether one of the patterns matches `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.parameters.iter().any(|pattern| pattern::matches(pattern, name))
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        if self.parameters.is_empty() {
            problems.add("parameters", "is empty", "name at least one pattern such as \"head.*\"");
        }
        if let Some(rate) = self.learning_rate {
            problems.require(rate.is_finite() && rate >= 0.0, "learning_rate", rate, "0 or greater");
        }
        if let Some(decay) = self.weight_decay {
            require_decay(problems, decay);
        }
    }
}
