//! The table of the twenty rules.

/// Epochs of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Structure {
    /// Fixation, stimulus, response.
    Immediate,
    /// Fixation, stimulus, delay, response.
    Delayed,
    /// Fixation, first stimulus, delay, second stimulus, response.
    TwoStimuli,
}

impl Structure {
    /// The weight of fixating before the response in the performance.
    pub fn fixation_share(self) -> f64 {
        match self {
            Self::Immediate => 2.0 / 3.0,
            Self::Delayed => 4.0 / 5.0,
            Self::TwoStimuli => 5.0 / 6.0,
        }
    }
}

/// What decides about the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// One stimulus: go to its angle, or to the opposite one.
    Angle {
        /// Whether the response is the opposite angle.
        opposite: bool,
    },
    /// Two stimuli in one modality: the stronger.
    Stronger {
        /// 0 or 1.
        modality: usize,
        /// Whether the other modality shows the same angles with strengths of its own.
        distracted: bool,
    },
    /// Two stimuli in both modalities with different weights: the stronger.
    Integrate,
    /// Two stimuli one after the other: whether they match.
    Match {
        /// Whether categories are compared, not angles.
        categories: bool,
        /// Whether the response is asked for where they do not match.
        inverted: bool,
    },
}

/// One of the twenty rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its place among the rule inputs.
    pub index: usize,
    /// Its short name.
    pub name: &'static str,
    /// Its epochs.
    pub structure: Structure,
    /// Whether the stimulus is shown in the response epoch instead, with the fixation input on.
    pub reaction: bool,
    /// What it asks.
    pub content: Content,
}

const fn rule(index: usize, name: &'static str, structure: Structure, content: Content) -> Rule {
    Rule { index, name, structure, reaction: false, content }
}

const fn reaction(index: usize, name: &'static str, content: Content) -> Rule {
    Rule { index, name, structure: Structure::Immediate, reaction: true, content }
}

const PRO: Content = Content::Angle { opposite: false };
const ANTI: Content = Content::Angle { opposite: true };

const fn stronger(modality: usize, distracted: bool) -> Content {
    Content::Stronger { modality, distracted }
}

const fn matching(categories: bool, inverted: bool) -> Content {
    Content::Match { categories, inverted }
}

/// All rules, in the order of their inputs.
pub const RULES: [Rule; 20] = [
    rule(0, "go", Structure::Immediate, PRO),
    reaction(1, "rtgo", PRO),
    rule(2, "dlygo", Structure::Delayed, PRO),
    rule(3, "anti", Structure::Immediate, ANTI),
    reaction(4, "rtanti", ANTI),
    rule(5, "dlyanti", Structure::Delayed, ANTI),
    rule(6, "dm1", Structure::Immediate, stronger(0, false)),
    rule(7, "dm2", Structure::Immediate, stronger(1, false)),
    rule(8, "ctxdm1", Structure::Immediate, stronger(0, true)),
    rule(9, "ctxdm2", Structure::Immediate, stronger(1, true)),
    rule(10, "multsendm", Structure::Immediate, Content::Integrate),
    rule(11, "dlydm1", Structure::TwoStimuli, stronger(0, false)),
    rule(12, "dlydm2", Structure::TwoStimuli, stronger(1, false)),
    rule(13, "ctxdlydm1", Structure::TwoStimuli, stronger(0, true)),
    rule(14, "ctxdlydm2", Structure::TwoStimuli, stronger(1, true)),
    rule(15, "multsendlydm", Structure::TwoStimuli, Content::Integrate),
    rule(16, "dms", Structure::TwoStimuli, matching(false, false)),
    rule(17, "dnms", Structure::TwoStimuli, matching(false, true)),
    rule(18, "dmc", Structure::TwoStimuli, matching(true, false)),
    rule(19, "dnmc", Structure::TwoStimuli, matching(true, true)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_structures_are_the_published_ones() {
        assert!(RULES.iter().enumerate().all(|(index, rule)| rule.index == index));
        let count = |structure| RULES.iter().filter(|rule| rule.structure == structure).count();
        let all = [Structure::Immediate, Structure::Delayed, Structure::TwoStimuli];
        assert_eq!(all.map(count), [9, 2, 9]);
        let names: Vec<_> = RULES.iter().map(|rule| rule.name).collect();
        assert_eq!(
            names.join(" "),
            "go rtgo dlygo anti rtanti dlyanti dm1 dm2 ctxdm1 ctxdm2 multsendm dlydm1 dlydm2 ctxdlydm1 ctxdlydm2 multsendlydm dms dnms dmc dnmc"
        );
    }
}
